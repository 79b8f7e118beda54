"""AlexNet (Krizhevsky et al. 2012) for small images."""

from collections.abc import Sequence

from torch import nn

from titan_repro.choices import Norm
from titan_repro.models.base import BlockNetwork
from titan_repro.models.layers import convolution, image_network
from titan_repro.models.norm import NORMS, check_norm
from titan_repro.models.shapes import image_channels


def alexnet(input_shape: Sequence[int], num_classes: int, norm: Norm = "none") -> BlockNetwork:
    """Build AlexNet with five 3 x 3 convolutions and a 1024-4096-4096-n head.

    23.27 M parameters with ten classes, which fits the memory of the paper's figure 6(c).
    Blocks (5): one convolution each, with normalisation, ReLU and the pooling that follows.
    The last pooling is adaptive, to 2 x 2, so that every image size gives the 1024 inputs of the
    head; on 32 x 32 images it is the usual 2 x 2 pooling.

    No dropout: the paper does not mention it, and with it the samples would be scored by another
    model than the one that is trained, or by one that draws random numbers of its own.

    norm: none (as published), batch or group, after every convolution.
    Raises ValueError for inputs that are not images and for another norm.
    """
    check_norm("alexnet", norm, NORMS)
    channels = image_channels("alexnet", input_shape)
    blocks = nn.Sequential(
        nn.Sequential(*convolution(channels, 64, norm, stride=2), _pool()),
        nn.Sequential(*convolution(64, 192, norm), _pool()),
        nn.Sequential(*convolution(192, 384, norm)),
        nn.Sequential(*convolution(384, 256, norm)),
        nn.Sequential(*convolution(256, 256, norm), nn.AdaptiveMaxPool2d(2)),
    )
    neck = nn.Sequential(
        nn.Flatten(), nn.Linear(1024, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU()
    )
    return image_network(blocks, neck, nn.Linear(4096, num_classes))


def _pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(2, ceil_mode=True)
