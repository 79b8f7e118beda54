"""A folded network scores as the network itself does with its running statistics."""

import copy

import pytest
import torch
from torch import nn

from titan_repro.models.alexnet import alexnet
from titan_repro.models.base import BlockNetwork
from titan_repro.models.inference.folding import FoldedNetwork
from titan_repro.models.inference.pooling import PooledInPieces
from titan_repro.models.inference.scoring import scoring_mode
from titan_repro.models.mlp import mlp
from titan_repro.models.mobilenet import mobilenet
from titan_repro.models.resnet import resnet34, resnet50
from titan_repro.models.small_cnn import small_cnn
from titan_repro.models.squeezenet import squeezenet
from titan_repro.training import Schedule, Trainer

IMAGE = (3, 16, 16)
NETWORKS = {
    "alexnet": (lambda: alexnet((3, 32, 32), 4), 0),
    "mobilenet": (lambda: mobilenet(IMAGE, 4), 27),
    "mobilenet group": (lambda: mobilenet(IMAGE, 4, norm="group"), 0),
    "squeezenet": (lambda: squeezenet(IMAGE, 4), 25),
    "resnet34": (lambda: resnet34((1, 40, 98), 4), 36),
    "resnet50": (lambda: resnet50(IMAGE, 4), 53),
    "small_cnn": (lambda: small_cnn((1, 8, 8), 4, norm="batch"), 3),
    "mlp": (lambda: mlp((20,), 4), 0),
}
SHAPES = {"alexnet": (3, 32, 32), "resnet34": (1, 40, 98), "small_cnn": (1, 8, 8), "mlp": (20,)}


def steps(network: BlockNetwork, shape: tuple[int, ...], number: int = 2) -> None:
    """Train a little, so that running statistics, gammas and betas are nobody's defaults."""
    g = torch.Generator().manual_seed(0)
    trainer = Trainer(network, Schedule(0.02, 1.0, 1))
    for t in range(number):
        inputs = torch.randn(6, *shape, generator=g) * 2 + 1
        trainer.step(inputs, torch.arange(6) % 4, torch.ones(6), t)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name == "resnet50" else [])
        for name in NETWORKS
    ],
)
def test_features_and_embeddings_are_the_networks_own_and_follow_its_training(name: str) -> None:
    torch.manual_seed(0)
    build, folds = NETWORKS[name]
    network, shape = build(), SHAPES.get(name, IMAGE)
    folded = FoldedNetwork(network)
    norms = sum(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
    assert len(folded._folds) == folds == norms
    inputs = torch.randn(5, *shape)
    for _ in range(2):
        steps(network, shape)
        before = copy.deepcopy(network.state_dict())
        with torch.no_grad(), scoring_mode(network, "running"):
            for blocks in (1, len(network.blocks)):
                found = folded.refresh(range(blocks)).features(inputs, blocks)
                close(found, network.features(inputs, blocks))
            close(folded.refresh().embed(inputs), network.embed(inputs))
            rest = folded.refresh(range(1, len(network.blocks))).embed(
                network.features(inputs, 1), 1
            )
            close(rest, network.embed(inputs))
        assert all(torch.equal(before[key], now) for key, now in network.state_dict().items())


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    scale = expected.abs().max().item()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * scale)


def test_a_convolution_with_a_bias_and_layers_used_twice() -> None:
    """The bias goes through the norm; what two others see, or is called twice, stays as it is."""
    torch.manual_seed(0)

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
            self.again, self.shared = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen_twice = self.first(x)
            x = self.norm(seen_twice) + seen_twice
            return self.shared(self.again(self.shared(self.again(x))))

    norm = nn.BatchNorm2d(3, eps=0.1)
    plain = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), norm, nn.ReLU())
    plain.extend([nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3)])
    neck = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = BlockNetwork(nn.Sequential(plain, Twice()), neck, nn.Linear(3, 4))
    steps(network, IMAGE)
    folded, inputs = FoldedNetwork(network), torch.randn(5, *IMAGE)
    assert len(folded._folds) == 2
    with torch.no_grad(), scoring_mode(network, "running"):
        close(folded.refresh().embed(inputs), network.embed(inputs))


def test_pooling_comes_first_and_changes_nothing():
    layers = nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, padding=1)
    neck = nn.Sequential(nn.Flatten(), nn.LazyLinear(4))
    network = BlockNetwork(nn.Sequential(nn.Sequential(*layers)), neck, nn.Linear(4, 4))
    inputs = torch.randn(5, *IMAGE)
    inputs[0] = torch.nan
    with torch.no_grad():
        network(inputs)
        folded = FoldedNetwork(network).refresh()
        first, *others = folded.blocks[0]
        assert type(first) is PooledInPieces
        assert [type(layer) for layer in others] == [nn.Identity, nn.Identity]
        found = folded.features(inputs, 1)
        assert torch.equal(found.nan_to_num(-1), network.features(inputs, 1).nan_to_num(-1))
        assert [type(layer) for layer in network.blocks[0]] == [type(each) for each in layers]


def test_frozen_weights_stay_while_the_networks_go_on():
    network = small_cnn((1, 8, 8), 10, norm="batch")
    inputs = torch.randn(5, 1, 8, 8)
    network.eval()
    with torch.no_grad():
        before = network.embed(inputs)
        frozen = FoldedNetwork(network).refresh()
        network.blocks[0][0].weight.mul_(2)
        assert torch.allclose(frozen.embed(inputs), before, atol=1e-5)
        assert not torch.allclose(network.embed(inputs), before, atol=1e-2)


@pytest.mark.parametrize("name", ["squeezenet", "mobilenet"])
def test_a_folded_network_can_be_folded_again(name: str) -> None:
    build, _ = NETWORKS[name]
    shape = SHAPES.get(name, IMAGE)
    network, inputs = build(), torch.randn(5, *shape)
    steps(network, shape)
    once = FoldedNetwork(network).refresh()
    with torch.no_grad():
        assert torch.equal(FoldedNetwork(once).refresh().embed(inputs), once.embed(inputs))


def test_bytes_of_folded_weights_by_hand():
    """One channel to 32, 3 x 3 kernels, and a bias each; then 32 to 64 and 64 to 64."""
    folded = FoldedNetwork(small_cnn((1, 8, 8), 10, norm="batch"))
    first = 4 * (32 * 1 * 9 + 32)
    assert folded.own_bytes(1) == first
    assert folded.own_bytes(3) == first + 4 * (64 * 32 * 9 + 64) + 4 * (64 * 64 * 9 + 64)
    assert FoldedNetwork(small_cnn((1, 8, 8), 10, norm="none")).own_bytes(3) == 0
