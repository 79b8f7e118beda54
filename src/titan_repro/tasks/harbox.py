"""HARBOX: daily activities of 121 people, recorded by their own smartphones at 50 Hz.

Ouyang et al., "ClusterFL", MobiSys 2021; the movement data of the paper (section 4.1). It holds
five activities, not the six that the paper counts.
"""

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from titan_repro.errors import DataError
from titan_repro.seeds import generator
from titan_repro.tasks.base import Source, Task
from titan_repro.tasks.cache import USER_IDS, cached
from titan_repro.tasks.readers.archives import Archive
from titan_repro.tasks.readers.text import parse_numbers
from titan_repro.tasks.readers.windows import (
    AXES,
    STEPS,
    build_window_task,
    check_split,
    cut_windows,
    draw_test_groups,
)

log = logging.getLogger(__name__)

ACTIVITIES = ("Call", "Hop", "typing", "Walk", "Wave")
USERS = 121
FOLDER = "large_scale_HARBox"
FILE = re.compile(rf"(\d+)/({'|'.join(ACTIVITIES)})_train\.txt")
HOW_TO_GET = (
    f"get {FOLDER}.zip (datasets/HARBox) by hand from "
    "https://github.com/xmouyang/FL-Datasets-for-HAR, non-commercial research use only, "
    "and put it, packed or unpacked, into {folder}"
)


@dataclass(frozen=True)
class Harbox:
    """Loader of the authors' archive, `large_scale_HARBox` as a folder or a zip file.

    split: "window" draws test windows from every activity, so that a recording has windows on
        both sides; "user" draws whole users, for the accuracy on people never seen.
    test_fraction: share of the windows (of each activity) or of the users in the test part; the
        paper does not state one.
    split_seed: seed of that draw.

    Samples are float32 in the archive's units (m/s^2, rad/s, uT); `user_ids` are the users 1 to
    121. A user or an activity may be missing. What is left at a file's end after the last whole
    window is dropped, and one warning counts it.
    """

    name: ClassVar[str] = "harbox"
    licence: ClassVar[str] = "non-commercial research use (Ouyang et al. 2021)"
    download_mb: ClassVar[float | None] = None

    split: str = "window"
    test_fraction: float = 0.25
    split_seed: int = 0

    def __post_init__(self) -> None:
        check_split(self.split, ("window", "user"), self.test_fraction)

    def locate(self, data: Path) -> Source:
        """Find the archive in `data` or `data`/harbox, a folder before a zip file."""
        places = (data / "harbox", data)
        for path in (place / name for name in (FOLDER, f"{FOLDER}.zip") for place in places):
            if path.exists():
                form = "authors' folder" if path.is_dir() else "authors' zip file"
                return Source(form, (path,))
        raise DataError(
            f"{data}: neither {FOLDER} nor {FOLDER}.zip there or in its folder harbox; "
            + HOW_TO_GET.format(folder=data / "harbox")
        )

    def load(self, source: Source, cache: Path | None) -> Task:
        """Read all files; with a cache, the text is parsed once."""
        with Archive(source.files[0]) as archive:
            members = _find_members(archive)
            names = list(members.values())
            windows = cached(
                cache,
                self.name,
                {"names": names, "steps": STEPS},
                archive.files(names),
                lambda: _read(archive, members),
            )
        _warn_of_dropped(source.files[0], windows["dropped"])
        return build_window_task(
            self.name, source.form, ACTIVITIES, windows, self._test_part(windows)
        )

    def fetch(self, data: Path) -> None:
        """Raise DataError: only a person may download it."""
        raise DataError(f"harbox has no download; {HOW_TO_GET.format(folder=data / 'harbox')}")

    def _test_part(self, windows: dict[str, Tensor]) -> Tensor:
        """Return (N,) bool, True for the test part."""
        labels, user_ids = windows["labels"], windows[USER_IDS]
        draw = generator(self.split_seed, "split")
        if self.split == "window":
            return draw_test_groups(torch.arange(len(labels)), labels, self.test_fraction, draw)
        return draw_test_groups(user_ids, torch.zeros_like(user_ids), self.test_fraction, draw)


def _find_members(archive: Archive) -> dict[tuple[int, str], str]:
    """Return {(user, activity): name in the archive}, by user and activity."""
    found = archive.find(FILE)
    if not found:
        raise DataError(
            f"{archive.path}: holds no file <user>/<activity>_train.txt, "
            f"user 1 to {USERS}, activity {', '.join(ACTIVITIES)}"
        )
    members: dict[tuple[int, str], str] = {}
    for (number, activity), name in found.items():
        user = int(number)
        if not 1 <= user <= USERS:
            raise DataError(f"{archive.where(name)}: user {user} found, 1 to {USERS} allowed")
        if (user, activity) in members:
            raise DataError(
                f"{archive.path}: holds {members[user, activity]} and {name}, both of user {user}; "
                "keep one"
            )
        members[user, activity] = name
    return dict(sorted(members.items()))


def _read(archive: Archive, members: dict[tuple[int, str], str]) -> dict[str, Tensor]:
    """Return inputs (N, 900) float32, labels and user ids (N,), dropped (2,): files, lines."""
    inputs, labels, user_ids, rests = [], [], [], []
    for (user, activity), name in members.items():
        steps = _read_steps(archive, name)
        windows = torch.from_numpy(cut_windows(steps))
        inputs.append(windows)
        labels.append(torch.full((len(windows),), ACTIVITIES.index(activity)))
        user_ids.append(torch.full((len(windows),), user))
        rests.append(len(steps) % STEPS)
    if not any(map(len, inputs)):
        raise DataError(f"{archive.path}: no file in it has the {STEPS} lines of one window")
    return {
        "inputs": torch.cat(inputs),
        "labels": torch.cat(labels),
        USER_IDS: torch.cat(user_ids),
        "dropped": torch.tensor([sum(rest > 0 for rest in rests), sum(rests)]),
    }


def _read_steps(archive: Archive, name: str) -> NDArray[np.floating]:
    """Return a file's steps (T, 9): all its columns but the first, the time in ms."""
    where = archive.where(name)
    numbers = parse_numbers(archive.read(name), 1 + len(AXES), " ", np.float32, where)
    if not len(numbers):
        raise DataError(f"{where}: is empty; lines of {1 + len(AXES)} numbers are needed")
    return numbers[:, 1:]


def _warn_of_dropped(path: Path, dropped: Tensor) -> None:
    """Log one warning if files did not end with a whole window; dropped is (files, lines)."""
    files, lines = dropped.tolist()
    if files:
        log.warning(
            "%s: dropped the incomplete last window of %d files (%d lines)", path, files, lines
        )
