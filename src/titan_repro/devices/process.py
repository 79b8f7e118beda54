"""Where tensors live and processes run. Decided by the device profile alone (conf/device)."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from titan_repro.errors import ConfigurationError
from titan_repro.process_setup import configure_process

PLACES = ("cpu", "cuda", "cpu+cuda", "cuda+cpu")
"""What `device.tensors` may say: where everything is, or training + selection."""


AUTO = "auto"
"""A stage's `device.cores` where they come from the cores that are here."""


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


def check_cores(cores: Mapping[str, Sequence[int] | str | None] | None) -> dict[str, Any]:
    """Return the processor cores of each process (filter, select, train); None: any.

    AUTO takes from the cores that this process may use: one for training and another one for filter
    and selection; where there is but one, all share it. Raises ConfigurationError for a core that
    is not to be had.
    """
    here = sorted(os.sched_getaffinity(0))
    wanted = dict(cores or {})
    for stage, named in wanted.items():
        if named not in (None, AUTO) and not _available(named, here):
            found = named if isinstance(named, str | int) else list(named or [])
            raise ConfigurationError(
                f"device.cores.{stage}: found {found}; allowed here: {AUTO}, null or some of {here}"
            )
    beside = {core for stage in ("filter", "select") for core in _named(wanted, stage)}
    training = _named(wanted, "train") or [_first(here, beside)]
    selecting = [_first(here, set(training))]
    automatic = {"train": training, "filter": selecting, "select": selecting}
    return {
        stage: automatic[stage] if named == AUTO else None if named is None else list(named)
        for stage, named in wanted.items()
    }


def _available(named: Any, here: Sequence[int]) -> bool:
    listed = isinstance(named, Sequence) and not isinstance(named, str)
    return listed and len(named) > 0 and all(core in here for core in named)


def _named(wanted: Mapping[str, Any], stage: str) -> list[int]:
    """Return the cores that are given to a stage by number."""
    named = wanted.get(stage)
    return [] if named in (None, AUTO) else list(named)


def _first(here: Sequence[int], taken: set[int]) -> int:
    """Return the first core that is not taken, or the first of all if every one is."""
    return next((core for core in here if core not in taken), here[0])
