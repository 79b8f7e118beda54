"""Where tensors live and how processes run. The device profile alone decides (conf/device)."""

import ctypes
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from titan_repro.errors import ConfigurationError

PLACES = ("cpu", "cuda", "cpu+cuda", "cuda+cpu")
"""What `device.tensors` may say: where everything is, or training + selection."""

AUTO = "auto"
"""A stage's `device.cores` where they come from the cores that are here."""

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h
LARGEST_KEPT = 2**25
"""Bytes of the largest freed block that is kept: the most that glibc allows."""


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


def prepare_process(tensors: str, threads: int, executor: str) -> None:
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


def configure_process(device: torch.device, threads: int) -> None:
    """Set this process's thread count and allocator, and make results on `device` repeatable.

    A GPU is taken into use now, so that one that fails does so before any round. Raises whatever
    torch raises then.
    """
    torch.set_num_threads(threads)
    keep_freed_memory()
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = True  # a resumed run should end on the same bits
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.allow_tf32 = False  # class importance needs float32's digits
        torch.zeros(1, device=device)


def keep_freed_memory() -> bool:
    """Let this process reuse the memory that it frees; return whether it could be asked to.

    A round takes and frees the same megabytes again and again. By default glibc gives them back as
    soon as they lie at the end of its memory, and finds every page missing when it takes them
    again: on one core the stem of MobileNet takes 21 ms for 100 samples this way, and 4.4 ms
    without. What a process holds then stays at its peak. Values are the same as before. Only
    glibc's allocator knows these settings; any other stays as it is.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    settings = {
        M_MMAP_THRESHOLD: LARGEST_KEPT,
        M_TRIM_THRESHOLD: 2**31 - 1,
        M_TOP_PAD: 2**26,
    }
    return all(mallopt(name, value) == 1 for name, value in settings.items())


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
