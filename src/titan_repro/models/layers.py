"""Pieces that several image models are made of."""

import torch
from torch import Tensor, nn

from titan_repro.models.base import BlockNetwork
from titan_repro.models.norm import norm_layer


def convolution(
    inputs: int, outputs: int, norm: str, *, kernel: int = 3, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """Return a padded convolution, its normalisation and ReLU, from `inputs` channels to `outputs`.

    torchvision's Conv2dNormActivation does the same, but importing it takes seconds. A bias before
    a normalisation would be subtracted again, so there is one only with norm "none".
    """
    convolve = nn.Conv2d(
        inputs,
        outputs,
        kernel,
        stride,
        padding=kernel // 2,
        groups=groups,
        bias=norm == "none",
    )
    normalise = [] if norm == "none" else [norm_layer(norm)(outputs)]
    return [convolve, *normalise, nn.ReLU(inplace=True)]


class AveragePooling(nn.Module):
    """The neck (n, c, h, w) -> (n, c) that averages every channel over the image.

    nn.AdaptiveAvgPool2d(1) computes the same, but not efficiently under `torch.func.vmap`.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Return the means, (n, c)."""
        return features.mean(dim=(2, 3))


def initialise_he(network: nn.Module) -> None:
    """Draw convolutions' weights as He et al. 2015 do (normal, fan-in), with biases of zero."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def image_network(blocks: nn.Sequential, neck: nn.Module, classifier: nn.Linear) -> BlockNetwork:
    """Return the network with its convolutions in channels_last memory format.

    With one thread and batches below 16 a contiguous training step takes about twice the time.
    """
    network = BlockNetwork(blocks, neck, classifier)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
