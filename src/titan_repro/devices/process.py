"""Where tensors live and processes run. Decided by the device profile alone (conf/device)."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from titan_repro.errors import ConfigurationError
from titan_repro.process_setup import configure_process

PLACES = ("cpu", "cuda", "cpu+cuda", "cuda+cpu")
"""What `device.tensors` may say: where everything is, or training + selection."""


@dataclass(frozen=True)
class Placement:
    """Where a run's tensors live.

    train: weights and training batches; with one process everything.
    select: the weights that filter and policy look at, and the samples that they choose from.
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


def prepare(tensors: str, threads: int, executor: str) -> None:
    """Make this process ready to train where a profile's `tensors` says.

    executor: the name of what runs the rounds.
    Raises ConfigurationError as `place` does, and for two devices with executor=inline: one
    process works on one.
    """
    placement = place(tensors)
    if placement.split and executor == "inline":
        raise ConfigurationError(
            f"executor: found inline with device.tensors={tensors}, selection on another device "
            "than training; allowed there: processes"
        )
    configure_process(placement.train, threads)


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
