"""Normalisation layers: which kinds there are."""

from collections.abc import Callable, Sequence
from typing import get_args

from torch import nn

from titan_repro.choices import Norm

NORMS: tuple[str, ...] = get_args(Norm)

CHANNELS_PER_GROUP = 16
"""Wu & He 2018, "Group Normalization", table 3: as good as their default of 32 groups, and
independent of a layer's width, so that no layer ends with one channel a group (which on a 1 x 1
feature map would be zero)."""


def check_norm(model: str, norm: str, allowed: Sequence[str]) -> None:
    """Raise ValueError if the architecture `model` is not defined with this kind of `norm`."""
    if norm not in allowed:
        raise ValueError(f"{model} takes norm {' or '.join(allowed)}, not {norm!r}")


def norm_layer(kind: str) -> Callable[[int], nn.Module]:
    """Return what builds a normalisation layer from the number of channels of an image.

    batch: BatchNorm, over the batch. group: GroupNorm, within a sample, in groups of 16 channels,
    or one group where 16 does not divide the channels. none: the identity.
    Raises ValueError for any other kind.
    """
    builders: dict[str, Callable[[int], nn.Module]] = {
        "batch": nn.BatchNorm2d,
        "group": _group_norm,
        "none": lambda channels: nn.Identity(),
    }
    if kind not in builders:
        raise ValueError(f"no norm {kind!r}; allowed: {', '.join(NORMS)}")
    return builders[kind]


def _group_norm(channels: int) -> nn.GroupNorm:
    groups, rest = divmod(channels, CHANNELS_PER_GROUP)
    return nn.GroupNorm(groups if rest == 0 else 1, channels)
