"""DSADS: 19 daily and sports activities of 8 people with sensors on the body, at 25 Hz.

Altun, Barshan & Tuncel, "Comparative study on classifying human activities with miniature inertial
and magnetic sensors", Pattern Recognition 2010; UCI Machine Learning Repository, data set 256. It
stands in for HARBOX, whose windows have the same 900 features.

A recording is five minutes of one person at one activity, given as 60 segments of 125 steps. They
join: at a border the signal jumps no more than between any two steps, except at 1.4 % of the
borders, most of them on the stairs. So a recording is put together again and cut into 75 windows of
100 steps for each body unit, 34,200 windows in all; 0.7 % of them hold such a jump.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from titan_repro.errors import DataError
from titan_repro.seeds import generator
from titan_repro.tasks.base import Source, Task
from titan_repro.tasks.cache import USER_IDS, cached
from titan_repro.tasks.readers.archives import Archive
from titan_repro.tasks.readers.segments import (
    UNITS,
    Signals,
    find_segments,
    read_npz,
    read_segments,
)
from titan_repro.tasks.readers.windows import (
    STEPS,
    build_window_task,
    check_split,
    cut_windows,
    draw_test_groups,
)

ACTIVITIES = (
    "sitting",
    "standing",
    "lying on the back",
    "lying on the right side",
    "ascending stairs",
    "descending stairs",
    "standing in an elevator",
    "moving around in an elevator",
    "walking in a parking lot",
    "walking on a flat treadmill",
    "walking on an inclined treadmill",
    "running on a treadmill",
    "exercising on a stepper",
    "exercising on a cross trainer",
    "cycling in horizontal position",
    "cycling in vertical position",
    "rowing",
    "jumping",
    "playing basketball",
)
UNPACKED = "daily+and+sports+activities"
ZIP = f"{UNPACKED}.zip"
NPZ = "dsads_torso_rightarm_rightleg.npz"
HOW_TO_GET = (
    f"get {ZIP} by hand from "
    "https://archive.ics.uci.edu/dataset/256/daily+and+sports+activities "
    "and put it, packed or unpacked, into {folder}"
)


@dataclass(frozen=True)
class Dsads:
    """Loader of the UCI archive (folder or zip file) and of its repacked form (.npz).

    split: "recording" draws test recordings from every activity, with the windows of all body
        units, so that no recording is on both sides, but the people are; "subject" draws people,
        for the accuracy on people never seen.
    test_fraction: share of the recordings (of each activity) or of the people in the test part,
        in eighths because there are eight people.
    split_seed: seed of that draw.

    Of the five body units, torso, right arm and right leg are read. Samples are float16 in the
    archive's units (m/s^2, rad/s, the earth's field = 1), so that all forms give the same tensors.
    The user of a sample, (subject - 1) * 3 + unit, is one of 24: unit 0 is the torso, 1 the right
    arm and 2 the right leg.
    """

    name: ClassVar[str] = "dsads"
    licence: ClassVar[str] = "CC BY 4.0 (Barshan & Altun, UCI)"
    download_mb: ClassVar[float | None] = None

    split: str = "recording"
    test_fraction: float = 0.25
    split_seed: int = 0

    def __post_init__(self) -> None:
        check_split(self.split, ("recording", "subject"), self.test_fraction)

    def locate(self, data: Path) -> Source:
        """Find the data in `data`/dsads or `data`: the unpacked archive, its zip file, the .npz."""
        places = (data / "dsads", data)
        inside = ("", "data", UNPACKED, f"{UNPACKED}/data")
        folders = [place / folder for place in places for folder in inside]
        for folder in folders:
            if next(folder.glob("a[01][0-9]"), None):
                return Source("UCI folder", (folder,))
        for file, form in ((ZIP, "UCI zip file"), (NPZ, "npz")):
            for place in places:
                if (place / file).exists():
                    return Source(form, (place / file,))
        raise DataError(
            f"{data}: neither folders a01 to a19 nor {ZIP} nor {NPZ} there or in its folder dsads; "
            + HOW_TO_GET.format(folder=data / "dsads")
        )

    def load(self, source: Source, cache: Path | None) -> Task:
        """Read everything; with a cache, files are parsed once."""
        path = source.files[0]
        if source.form == "npz":
            windows = cached(
                cache, self.name, {"steps": STEPS}, (path,), lambda: _cut(read_npz(path))
            )
        else:
            windows = self._load_archive(path, cache)
        return build_window_task(
            self.name, source.form, ACTIVITIES, windows, self._test_part(windows)
        )

    def fetch(self, data: Path) -> None:
        """Raise DataError: the repository has no library download."""
        raise DataError(f"dsads has no download; {HOW_TO_GET.format(folder=data / 'dsads')}")

    def _load_archive(self, path: Path, cache: Path | None) -> dict[str, Tensor]:
        with Archive(path) as archive:
            names = find_segments(archive)
            return cached(
                cache,
                self.name,
                {"names": names, "steps": STEPS},
                archive.files(names),
                lambda: _cut(read_segments(archive, names)),
            )

    def _test_part(self, windows: dict[str, Tensor]) -> Tensor:
        """Return (N,) bool, True for the test part."""
        labels, subjects = windows["labels"], windows[USER_IDS] // len(UNITS)
        draw = generator(self.split_seed, "split")
        if self.split == "recording":
            recordings = labels * (int(subjects.max()) + 1) + subjects
            return draw_test_groups(recordings, labels, self.test_fraction, draw)
        return draw_test_groups(subjects, torch.zeros_like(subjects), self.test_fraction, draw)


def _cut(signals: Signals) -> dict[str, Tensor]:
    """Cut signals (activities, subjects, segments, 125, units, 9) into windows (N, 900).

    Order: by activity, subject, unit, time. A recording's last steps that fill no window are left
    out; the complete archive has none.
    """
    activities, subjects, segments, length, units, axes = signals.shape
    recordings = signals.reshape(activities, subjects, segments * length, units, axes)
    windows = cut_windows(recordings.swapaxes(2, 3))  # (activities, subjects, units, n, 900)
    activity, subject, unit, _ = torch.meshgrid(
        *map(torch.arange, windows.shape[:-1]), indexing="ij"
    )
    return {
        "inputs": torch.from_numpy(windows.reshape(-1, windows.shape[-1])),
        "labels": activity.flatten(),
        USER_IDS: (subject * units + unit).flatten(),
    }
