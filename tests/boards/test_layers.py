"""Layers against hand counts, PyTorch's own counter and published numbers."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from titan_repro.boards import networks
from titan_repro.boards.layers import META, Kind, walk
from titan_repro.errors import ConfigurationError
from titan_repro.models.base import BlockNetwork
from titan_repro.models.mobilenet import mobilenet

IMAGE = (3, 224, 224)


def published(name: str) -> BlockNetwork:
    with torch.device(META):
        return getattr(networks, name)(IMAGE, 10)


def tiny(*layers: nn.Module) -> BlockNetwork:
    neck = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return BlockNetwork(nn.Sequential(nn.Sequential(*layers)), neck, nn.Linear(8, 2))


@pytest.mark.parametrize(
    ("name", "gmac", "millions"),
    [
        # Of 1,000 classes: 0.71, 0.82, 0.57, 4.09, 3.66, 0.35 (torchvision; Howard et al. 2017,
        # table 4) less 990 classes: of 4096 inputs, of 13 x 13 x 512, of 1024, 2048, 512 inputs.
        ("alexnet", 0.710, 57.04),
        ("squeezenet", 0.733, 0.74),
        ("mobilenet", 0.568, 3.22),
        ("resnet50", 4.087, 23.53),
        ("resnet34", 3.663, 21.29),
        ("squeezenet1_1", 0.263, 0.73),
    ],
)
def test_published_networks_have_their_published_sizes(name, gmac, millions):
    layers = walk(published(name), IMAGE)
    assert sum(layer.multiply_adds for layer in layers) == pytest.approx(gmac * 1e9, rel=0.005)
    assert sum(layer.weights for layer in layers) == pytest.approx(millions * 1e6, rel=0.005)


@pytest.mark.parametrize("name", ["alexnet", "squeezenet", "mobilenet", "resnet50"])
def test_pytorch_counts_the_same_arithmetic(name):
    network = published(name).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.empty(1, *IMAGE, device=META))
    assert counter.get_total_flops() == 2 * sum(
        layer.multiply_adds for layer in walk(network, IMAGE)
    )


def test_kinds_and_sizes_by_hand():
    network = tiny(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.Conv2d(8, 8, 1, groups=2),
    )
    first, norm, relu, depthwise, grouped, pool, last = walk(network, (3, 16, 16))
    assert [layer.kind for layer in (first, norm, relu)] == [
        Kind.DENSE,
        Kind.NORM,
        Kind.ELEMENTWISE,
    ]
    assert (first.multiply_adds, first.weights) == (64 * 8 * 27, 8 * 27)
    assert (first.inputs, first.outputs, first.channels) == (3 * 256, 8 * 64, 0)
    assert (norm.multiply_adds, norm.weights, norm.inputs) == (0, 16, 8 * 64)
    assert (depthwise.kind, depthwise.multiply_adds, depthwise.channels) == (
        Kind.DEPTHWISE,
        64 * 8 * 9,
        8,
    )
    assert (grouped.kind, grouped.multiply_adds) == (Kind.DENSE, 64 * 8 * 4)
    assert (pool.kind, pool.inputs, pool.outputs) == (Kind.ELEMENTWISE, 8 * 64, 8)
    assert (last.kind, last.multiply_adds, last.weights) == (Kind.LINEAR, 16, 18)
    assert [layer.block for layer in (first, grouped, pool, last)] == [0, 0, 1, 1]


def test_mobilenet_has_46_million_multiply_adds_at_32_by_32():
    layers = walk(mobilenet((3, 32, 32), 10), (3, 32, 32))
    assert sum(layer.multiply_adds for layer in layers) == pytest.approx(46.4e6, rel=0.005)
    assert sum(layer.channels for layer in layers) == 4960


def test_a_layer_used_twice_learns_once():
    shared = nn.Conv2d(8, 8, 3, padding=1, bias=False)
    layers = walk(tiny(nn.Conv2d(3, 8, 3), shared, shared), (3, 16, 16))
    assert [layer.weights for layer in layers[:3]] == [8 * 27 + 8, 8 * 72, 0]


def test_layers_whose_work_is_not_known_are_refused():
    with pytest.raises(ConfigurationError, match=r"^model: found ConvTranspose2d \(blocks\.0\.0\)"):
        walk(tiny(nn.ConvTranspose2d(3, 8, 3)), (3, 16, 16))


def test_the_network_stays_as_it_was():
    network = mobilenet((3, 32, 32), 10).train()
    walk(network, (3, 32, 32))
    assert network.training
    assert all(weight.device.type == "cpu" for weight in network.parameters())
    assert not any(module._forward_hooks for module in network.modules())


def test_published_networks_are_of_colour_images():
    with pytest.raises(ValueError, match="colour images"):
        networks.resnet50((1, 40, 98), 10)
