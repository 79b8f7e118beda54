"""Where tensors live and processes run. Decided by the device profile alone (conf/device)."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from titan_repro.allocator import keep_freed_memory
from titan_repro.errors import ConfigurationError

PLACES = ("cpu", "cuda", "cpu+cuda", "cuda+cpu")
"""What `device.tensors` may say: where everything is, or training + selection."""


@dataclass(frozen=True)
class Placement:
    """Where a run's tensors live.

    train: weights, training batches, the data set.
    select: the copy of the weights that filter and policy look at, and the candidates.
    """

    train: torch.device
    select: torch.device

    @property
    def split(self) -> bool:
        """Whether selection has a device of its own."""
        return self.train != self.select


def place(tensors: str) -> Placement:
    """Return the devices that a profile's `tensors` names.

    Raises ConfigurationError if the profile asks for hardware that is not here: nothing ever
    falls back to another device.
    """
    if tensors not in PLACES:
        raise ConfigurationError(f"device.tensors: found {tensors!r}; allowed: {', '.join(PLACES)}")
    names = tensors.split("+")
    if "cuda" in names and not torch.cuda.is_available():
        raise ConfigurationError(
            f"device: found a profile with tensors={tensors}, but this PyTorch sees no CUDA GPU; "
            "allowed here: device=host, jetson_nano, jetson_nano_5w"
        )
    return Placement(torch.device(names[0]), torch.device(names[-1]))


def prepare(tensors: str, threads: int) -> torch.device:
    """Set the process's thread count and return the one device that holds all tensors.

    Raises ConfigurationError as `place` does, and for a profile with two devices: one process
    works on one.
    """
    placement = place(tensors)
    if placement.split:
        raise ConfigurationError(
            f"device.tensors: found {tensors!r}, selection on another device than training; "
            "allowed with one process: cpu, cuda"
        )
    configure_process(placement.train, threads)
    return placement.train


def configure_process(device: torch.device, threads: int) -> None:
    """Set this process's thread count and allocator, and make results on `device` repeatable."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = True  # a resumed run must end on the same bits
        torch.backends.cudnn.benchmark = False


def check_cores(cores: Mapping[str, Sequence[int] | None] | None) -> dict[str, list[int] | None]:
    """Return the processor cores of each process (filter, select, train); None: any.

    Raises ConfigurationError if one of them is not to be had.
    """
    here = sorted(os.sched_getaffinity(0))
    wanted = {
        stage: None if named is None else list(named) for stage, named in (cores or {}).items()
    }
    for stage, named in wanted.items():
        missing = [core for core in named or () if core not in here]
        if missing or named == []:
            raise ConfigurationError(
                f"device.cores.{stage}: found {named}; allowed here: null or some of {here}"
            )
    return wanted
