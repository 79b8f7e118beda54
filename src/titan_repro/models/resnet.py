"""ResNet-34 (He et al. 2016) for spectrograms and ResNet-50 for small images."""

from collections.abc import Sequence
from types import ModuleType
from typing import Literal, get_args

from torch import nn

from titan_repro.compat import import_torchvision
from titan_repro.models.base import BlockNetwork
from titan_repro.models.layers import AveragePooling, image_network
from titan_repro.models.norm import check_norm, norm_layer
from titan_repro.models.shapes import image_channels

Norm = Literal["batch", "group"]
NORMS: tuple[str, ...] = get_args(Norm)
"""Not none: each of the 16 residual sums would double the variance, and the known remedies (zero
initialisation of branches, added scales) make it another architecture."""


def resnet34(input_shape: Sequence[int], num_classes: int, norm: Norm = "batch") -> BlockNetwork:
    """Build ResNet-34 with the stem as published, 7 x 7 and stride 2: 21.3 M parameters.

    A spectrogram of one second is 40 x 98, so it can afford to be halved; with the stem of
    `resnet50` a training step would take four times as long.
    Blocks (17): the stem with its pooling, then one residual block each.

    norm: batch (as published) or group.
    Raises ValueError for inputs that are not images and for another norm.
    """
    return _resnet("resnet34", input_shape, num_classes, norm, stem_kernel=7, stem_stride=2)


def resnet50(input_shape: Sequence[int], num_classes: int, norm: Norm = "batch") -> BlockNetwork:
    """Build ResNet-50 with a 3 x 3, stride-1 stem and its max-pooling kept: 23.5 M parameters.

    Blocks, norm and errors as for `resnet34`.
    """
    return _resnet("resnet50", input_shape, num_classes, norm, stem_kernel=3, stem_stride=1)


def _resnet(
    model: str,
    input_shape: Sequence[int],
    num_classes: int,
    norm: str,
    *,
    stem_kernel: int,
    stem_stride: int,
) -> BlockNetwork:
    check_norm(model, norm, NORMS)
    channels = image_channels(model, input_shape)
    torchvision: ModuleType = import_torchvision("torchvision.models.resnet")
    parts = getattr(torchvision, model)(num_classes=num_classes, norm_layer=norm_layer(norm))
    stem = nn.Conv2d(channels, 64, stem_kernel, stem_stride, stem_kernel // 2, bias=False)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    blocks = nn.Sequential(
        nn.Sequential(stem, parts.bn1, parts.relu, parts.maxpool),
        *parts.layer1,
        *parts.layer2,
        *parts.layer3,
        *parts.layer4,
    )
    return image_network(blocks, AveragePooling(), parts.fc)
