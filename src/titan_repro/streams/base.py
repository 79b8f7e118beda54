"""A stream yields a round of labelled samples, by index until a stage needs the inputs.

Below the protocol stands what all streams share: checks of their settings, and copies to a device.
"""

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Protocol, TypeGuard

import torch
from torch import Tensor

from titan_repro.errors import ConfigurationError
from titan_repro.tasks.base import Task


@dataclass(frozen=True)
class Samples:
    """The labelled samples of one round, or some of them, in arrival order.

    indices: (n,) int64, positions in the task's training split.
    labels: (n,) int64, as the stream shows them; wrong where label noise struck.
    noisy: (n,) bool, True where the stream disturbed the input or the label.
    """

    indices: Tensor
    labels: Tensor
    noisy: Tensor

    def __len__(self) -> int:
        return self.indices.shape[0]

    def take(self, positions: Tensor) -> "Samples":
        """Return the samples at `positions` (m,) of this round, in that order."""
        return Samples(self.indices[positions], self.labels[positions], self.noisy[positions])

    def to(self, device: torch.device) -> "Samples":
        """Return the same samples with all tensors on `device`."""
        return Samples(self.indices.to(device), self.labels.to(device), self.noisy.to(device))


class Stream(Protocol):
    """Rounds of fresh samples. Stateless: round t follows from the seed and t alone."""

    velocity: int
    """Samples that arrive in a round (paper section 4.1: 100)."""

    def round(self, t: int) -> Samples:
        """Return round t's `velocity` samples."""
        ...

    def inputs(self, arrivals: Samples) -> Tensor:
        """Return the normalised, possibly disturbed inputs (n, *input_shape), float32.

        The same sample has the same inputs at every visit: noise belongs to the sample.
        """
        ...


def refusal(key: str, found: object, allowed: str) -> ConfigurationError:
    """Return the error that names the key, what was found and what is allowed."""
    return ConfigurationError(f"{key}: found {found!r}; allowed: {allowed}")


def require(holds: bool, key: str, found: object, allowed: str) -> None:
    """Raise the `refusal` unless `holds`."""
    if not holds:
        raise refusal(key, found, allowed)


def is_whole(value: object) -> TypeGuard[int]:
    """Whether a value given by a user is a whole number; True and False are not."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_finite(value: object) -> TypeGuard[float]:
    """Whether a value given by a user is a finite number; True and False are not."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def check_velocity(velocity: int) -> None:
    """Raise ConfigurationError unless at least one sample arrives in a round."""
    holds = is_whole(velocity) and velocity >= 1
    require(holds, "stream.velocity", velocity, "whole numbers of at least 1")


def check_fraction(fraction: float) -> None:
    """Raise ConfigurationError unless `fraction` is a share of the samples."""
    holds = is_finite(fraction) and 0 <= fraction <= 1
    require(holds, "stream.fraction", fraction, "numbers from 0 to 1")


def positions_on_device(task: Task, subset: Tensor | None) -> Tensor:
    """Return the positions (n,) int64 of the training split that a stream may yield, on the CPU.

    Raises ConfigurationError where there are none, ValueError where one does not exist.
    """
    total = len(task.train)
    positions = torch.arange(total) if subset is None else subset.to("cpu", torch.int64)
    if positions.numel() == 0:
        raise ConfigurationError(f"task {task.name}: a stream needs at least 1 sample, found 0")
    if positions.min() < 0 or positions.max() >= total:
        raise ValueError(f"subset positions must be in 0..{total - 1}")
    return positions


def move(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a CPU tensor to `device` without waiting for it.

    The copy is made from pinned memory: from any other the host would wait for a GPU's queue.
    """
    pinned = tensor.pin_memory() if device.type == "cuda" else tensor
    return pinned.to(device, non_blocking=True)
