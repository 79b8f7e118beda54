"""MobileNetV1 (Howard et al. 2017) for small images."""

from collections.abc import Sequence

from torch import nn

from titan_repro.choices import Norm
from titan_repro.models.base import BlockNetwork
from titan_repro.models.layers import AveragePooling, convolution, image_network
from titan_repro.models.norm import NORMS, check_norm
from titan_repro.models.shapes import image_channels

SEPARABLE = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)
"""Output channels and stride of each depthwise separable convolution: table 1 of Howard et al."""


def mobilenet(input_shape: Sequence[int], num_classes: int, norm: Norm = "batch") -> BlockNetwork:
    """Build MobileNetV1 with a stride-1 stem: 3.2 M parameters.

    Blocks (14): the stem, then one depthwise separable convolution each.

    PyTorch's default initialisation: Howard et al. state none, and with torchvision's for
    MobileNetV2 (He's, fan-out) the loss is higher throughout 1,000 rounds at the paper's rate.

    norm: batch (as published), group or none, after every convolution.
    Raises ValueError for inputs that are not images and for another norm.
    """
    check_norm("mobilenet", norm, NORMS)
    width = 32
    blocks = [nn.Sequential(*convolution(image_channels("mobilenet", input_shape), width, norm))]
    for outputs, stride in SEPARABLE:
        blocks.append(_separable(width, outputs, stride, norm))
        width = outputs
    return image_network(nn.Sequential(*blocks), AveragePooling(), nn.Linear(width, num_classes))


def _separable(inputs: int, outputs: int, stride: int, norm: str) -> nn.Sequential:
    depthwise = convolution(inputs, inputs, norm, stride=stride, groups=inputs)
    pointwise = convolution(inputs, outputs, norm, kernel=1)
    return nn.Sequential(*depthwise, *pointwise)
