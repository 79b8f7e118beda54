"""The paper's image models as they were published, for 224 x 224 images (conf/device/jetson_nano).

The paper trains on CIFAR-10, yet the seconds and megabytes of its device are those of these
networks at this size: the memory of a training step, 497, 368, 377 and 1,372 MB in Figure 6(c),
is 494, 436, 357 and 1,048 MB here and 189, 59, 9 and 207 MB for 32 x 32 images.
"""

from collections.abc import Sequence

from torch import nn

from titan_repro.compat import import_torchvision
from titan_repro.models.base import BlockNetwork
from titan_repro.models.layers import AveragePooling, convolution
from titan_repro.models.mobilenet import SEPARABLE


def alexnet(input_shape: Sequence[int], num_classes: int) -> BlockNetwork:
    """Build torchvision's AlexNet: 57.0 M parameters with ten classes.

    Blocks (5): a convolution each, with its ReLU and the pooling that follows.
    """
    _check(input_shape)
    whole = import_torchvision("torchvision.models").alexnet(num_classes=num_classes)
    blocks = _cut(whole.features, (3, 6, 8, 10, 13))
    *hidden, last = whole.classifier
    neck = nn.Sequential(whole.avgpool, nn.Flatten(), *_without_dropout(hidden))
    return BlockNetwork(blocks, neck, last)


def squeezenet(input_shape: Sequence[int], num_classes: int) -> BlockNetwork:
    """Build torchvision's SqueezeNet 1.0, averaged before its last layer: 0.74 M parameters.

    Blocks (9): the stem, then a Fire module each, with the pooling that follows. The published
    last layer is a 1 x 1 convolution of 13 x 13 positions, with ten classes 1 % of the arithmetic;
    here it comes after the average, as data selection needs a last layer that is linear.
    """
    _check(input_shape)
    whole = import_torchvision("torchvision.models").squeezenet1_0(num_classes=num_classes)
    blocks = _cut(whole.features, (3, 4, 5, 7, 8, 9, 10, 12, 13))
    return BlockNetwork(blocks, AveragePooling(), nn.Linear(512, num_classes))


def mobilenet(input_shape: Sequence[int], num_classes: int) -> BlockNetwork:
    """Build MobileNetV1 with its stem of stride 2 (Howard et al. 2017): 3.2 M parameters.

    Blocks (14): the stem, then one depthwise separable convolution each.
    """
    _check(input_shape)
    width = 32
    blocks = [nn.Sequential(*convolution(3, width, "batch", stride=2))]
    for outputs, stride in SEPARABLE:
        depthwise = convolution(width, width, "batch", stride=stride, groups=width)
        pointwise = convolution(width, outputs, "batch", kernel=1)
        blocks.append(nn.Sequential(*depthwise, *pointwise))
        width = outputs
    return BlockNetwork(nn.Sequential(*blocks), AveragePooling(), nn.Linear(width, num_classes))


def resnet50(input_shape: Sequence[int], num_classes: int) -> BlockNetwork:
    """Build torchvision's ResNet-50: 23.5 M parameters with ten classes.

    Blocks (17): the stem with its pooling, then one residual block each.
    """
    return _resnet("resnet50", input_shape, num_classes)


def resnet34(input_shape: Sequence[int], num_classes: int) -> BlockNetwork:
    """Build torchvision's ResNet-34; blocks as of `resnet50`."""
    return _resnet("resnet34", input_shape, num_classes)


def squeezenet1_1(input_shape: Sequence[int], num_classes: int) -> BlockNetwork:
    """Build torchvision's SqueezeNet 1.1, the one of ncnn's benchmark; otherwise `squeezenet`."""
    _check(input_shape)
    whole = import_torchvision("torchvision.models").squeezenet1_1(num_classes=num_classes)
    blocks = _cut(whole.features, (3, 4, 6, 7, 9, 10, 11, 12, 13))
    return BlockNetwork(blocks, AveragePooling(), nn.Linear(512, num_classes))


def _resnet(name: str, input_shape: Sequence[int], num_classes: int) -> BlockNetwork:
    _check(input_shape)
    whole = getattr(import_torchvision("torchvision.models"), name)(num_classes=num_classes)
    stem = nn.Sequential(whole.conv1, whole.bn1, whole.relu, whole.maxpool)
    stages = (*whole.layer1, *whole.layer2, *whole.layer3, *whole.layer4)
    return BlockNetwork(nn.Sequential(stem, *stages), AveragePooling(), whole.fc)


def _cut(features: nn.Sequential, ends: Sequence[int]) -> nn.Sequential:
    """Return the parts between the places where blocks end."""
    starts = (0, *ends[:-1])
    return nn.Sequential(
        *(
            nn.Sequential(*list(features)[start:end])
            for start, end in zip(starts, ends, strict=True)
        )
    )


def _without_dropout(layers: Sequence[nn.Module]) -> list[nn.Module]:
    return [layer for layer in layers if not isinstance(layer, nn.Dropout)]


def _check(input_shape: Sequence[int]) -> None:
    if len(input_shape) != 3 or input_shape[0] != 3:
        raise ValueError(f"published networks take colour images, not {tuple(input_shape)}")
