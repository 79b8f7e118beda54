"""SqueezeNet 1.1 (Iandola et al. 2016) for small images."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from titan_repro.choices import Norm
from titan_repro.compat import import_torchvision
from titan_repro.models.base import BlockNetwork
from titan_repro.models.layers import AveragePooling, convolution, image_network
from titan_repro.models.norm import NORMS, check_norm, norm_layer
from titan_repro.models.shapes import image_channels

FIRES = (
    (16, 64, False),
    (16, 64, True),
    (32, 128, False),
    (32, 128, True),
    (48, 192, False),
    (48, 192, False),
    (64, 256, False),
    (64, 256, False),
)
"""Of each Fire module: channels of its squeeze, of either expand, and whether it is pooled."""


def squeezenet(input_shape: Sequence[int], num_classes: int, norm: Norm = "batch") -> BlockNetwork:
    """Build SqueezeNet 1.1 with a 3 x 3, stride-1 stem: 0.73 M parameters with ten classes.

    Blocks (9): the stem, then one Fire module each, with the pooling that follows.
    The published network ends with a 1 x 1 convolution, ReLU and average pooling. Here the pooling
    comes first and a linear layer last: without the final ReLU, which would only keep logits from
    being negative, the two orders compute the same, and the last layer is a linear one. No
    dropout, for the reasons given for AlexNet.

    norm: batch, group or none (as published), after every convolution. Batch is the default, since
    with none it does not learn at the paper's rate of 0.1: torchvision's initialisation diverges,
    with PyTorch's, Glorot's or an orthogonal one the loss stays that of a constant guess.
    Raises ValueError for inputs that are not images and for another norm.
    """
    check_norm("squeezenet", norm, NORMS)
    channels = image_channels("squeezenet", input_shape)
    width = 64
    blocks = [nn.Sequential(*convolution(channels, width, norm), _pool())]
    for squeeze, expand, pooled in FIRES:
        fire = _fire(width, squeeze, expand, norm)
        blocks.append(nn.Sequential(fire, _pool()) if pooled else fire)
        width = 2 * expand
    network = image_network(nn.Sequential(*blocks), AveragePooling(), nn.Linear(width, num_classes))
    _initialise(network)
    return network


def _fire(inputs: int, squeeze: int, expand: int, norm: str) -> Any:
    """Return torchvision's Fire module, with a normalisation after each of its convolutions."""
    fire = import_torchvision("torchvision.models.squeezenet").Fire(inputs, squeeze, expand, expand)
    if norm != "none":
        for name in ("squeeze", "expand1x1", "expand3x3"):
            convolve: nn.Conv2d = getattr(fire, name)
            convolve.bias = None  # as in `convolution`
            setattr(fire, name, nn.Sequential(convolve, norm_layer(norm)(convolve.out_channels)))
    return fire


def _pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)


def _initialise(network: BlockNetwork) -> None:
    """Initialise as torchvision's SqueezeNet does."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    nn.init.normal_(network.classifier.weight, std=0.01)
    nn.init.zeros_(network.classifier.bias)
