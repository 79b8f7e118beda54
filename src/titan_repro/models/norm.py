"""Normalisation layers: which kinds there are, and how they behave while samples are scored."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import get_args

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from titan_repro.choices import Norm, ScoringNorm

NORMS: tuple[str, ...] = get_args(Norm)
SCORING_NORMS: tuple[str, ...] = get_args(ScoringNorm)

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


@contextmanager
def scoring_mode(model: nn.Module, norm: str) -> Iterator[None]:
    """Inside the block the BatchNorm layers of `model` normalise as `norm` says.

    running: with their running statistics. batch: with those of the batch at hand (then samples
    scored together influence one another). Either way, running statistics and batch counts are
    not changed, and afterwards, also after an error, each layer is as it was. Other layers keep
    their mode. Raises ValueError for any other `norm`.
    """
    if norm not in SCORING_NORMS:
        raise ValueError(f"no scoring norm {norm!r}; allowed: {', '.join(SCORING_NORMS)}")
    wanted = (
        {"training": True, "track_running_stats": False} if norm == "batch" else {"training": False}
    )
    layers = [layer for layer in model.modules() if isinstance(layer, _BatchNorm)]
    before = [
        (layer, name, getattr(layer, name))
        for layer in layers
        for name, value in wanted.items()
        if getattr(layer, name) != value
    ]
    try:
        for layer, name, _ in before:
            setattr(layer, name, wanted[name])
        yield
    finally:
        for layer, name, value in before:
            setattr(layer, name, value)
