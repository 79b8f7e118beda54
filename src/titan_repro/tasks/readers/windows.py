"""Movement data are cut into windows: a sample is 100 steps of one body unit's nine axes.

A window is stored flat, row by row: feature 9 * step + axis, 900 in all (paper section 4.1), in
the same order for every movement task.
"""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from titan_repro.errors import DataError
from titan_repro.tasks.base import Split, Task
from titan_repro.tasks.cache import USER_IDS, fingerprint_tensors
from titan_repro.tasks.readers.standardise import channel_moments

Number = TypeVar("Number", bound=np.generic)

STEPS = 100
AXES = (
    "acceleration x",
    "acceleration y",
    "acceleration z",
    "rotation rate x",
    "rotation rate y",
    "rotation rate z",
    "magnetic field x",
    "magnetic field y",
    "magnetic field z",
)


def cut_windows(steps: NDArray[Number]) -> NDArray[Number]:
    """Cut consecutive steps (..., T, 9) into windows (..., T // 100, 900).

    The last T % 100 steps are left out.
    """
    *leading, length, axes = steps.shape
    count = length // STEPS
    return steps[..., : count * STEPS, :].reshape(*leading, count, STEPS * axes)


def axis_moments(windows: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation (900,) of windows (N, 900), each axis's over all steps.

    Both repeat the nine axes' values 100 times, so that they broadcast against a flat window.
    """
    mean, std = channel_moments(windows.reshape(-1, STEPS, len(AXES)), channel=1)
    return mean.expand(STEPS, -1).flatten(), std.expand(STEPS, -1).flatten()


def draw_test_groups(
    groups: Tensor, strata: Tensor, fraction: float, generator: torch.Generator
) -> Tensor:
    """Draw whole groups for the test part and return (N,) bool, True for the test part.

    groups: (N,) int64; a group falls whole on one side.
    strata: (N,) int64; all samples of a group are in one stratum. Every stratum gives `fraction`
        of its groups, rounded, but at least one and never its last: a stratum of a single group
        stays in the training part.
    """
    test = torch.zeros(len(groups), dtype=torch.bool)
    for stratum in torch.unique(strata):
        names = torch.unique(groups[strata == stratum])
        count = min(max(round(fraction * len(names)), 1), len(names) - 1)
        drawn = names[torch.randperm(len(names), generator=generator)[:count]]
        test |= torch.isin(groups, drawn)
    return test


def check_split(split: str, allowed: tuple[str, ...], fraction: float) -> None:
    """Raise ValueError unless `split` is allowed and 0 < fraction < 1."""
    if split not in allowed:
        raise ValueError(f"split: found {split!r}; allowed: {', '.join(allowed)}")
    if not 0 < fraction < 1:
        raise ValueError(f"test_fraction: found {fraction}; allowed: between 0 and 1, exclusive")


def build_window_task(
    name: str, source: str, classes: tuple[str, ...], windows: Mapping[str, Tensor], test: Tensor
) -> Task:
    """Put windows into the two parts of a task, standardised per axis by the training part.

    windows: "inputs" (N, 900), "labels" (N,) and the users, `cache.USER_IDS` (N,).
    test: (N,) bool, True for the test part.

    Raises DataError if a part is empty.
    """
    if not 0 < int(test.sum()) < len(test):
        users = len(torch.unique(windows[USER_IDS]))
        raise DataError(
            f"{name} ({source}): {len(test)} windows of {users} users "
            "cannot be split into a training and a test part; more are needed"
        )
    parts = {
        part: {key: windows[key][mask] for key in ("inputs", "labels", USER_IDS)}
        for part, mask in (("train", ~test), ("test", test))
    }
    mean, std = axis_moments(parts["train"]["inputs"])
    tensors = {f"{part}.{key}": t for part, keys in parts.items() for key, t in keys.items()}
    return Task(
        name=name,
        source=f"{name} ({source})",
        classes=classes,
        train=_split(parts["train"]),
        test=_split(parts["test"]),
        mean=mean,
        std=std,
        fingerprint=fingerprint_tensors(tensors),
    )


def _split(part: Mapping[str, Tensor]) -> Split:
    return Split(part["inputs"], part["labels"], part[USER_IDS])
