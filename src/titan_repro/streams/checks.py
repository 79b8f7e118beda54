"""What every stream checks of its settings, in one form of words."""

import torch
from torch import Tensor

from titan_repro.errors import ConfigurationError
from titan_repro.tasks.base import Task


def require(holds: bool, key: str, found: object, allowed: str) -> None:
    """Raise ConfigurationError naming `stream.<key>`, what was found and what is allowed."""
    if not holds:
        raise ConfigurationError(f"stream.{key}={found}: must be {allowed}")


def check_velocity(velocity: int) -> None:
    """Raise ConfigurationError unless at least one sample arrives in a round."""
    require(velocity >= 1, "velocity", velocity, "a whole number of samples, at least 1")


def check_fraction(fraction: float) -> None:
    """Raise ConfigurationError unless `fraction` is a share of the samples."""
    require(0 <= fraction <= 1, "fraction", fraction, "between 0 and 1")


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
