"""DSADS's signals are read from either form in which they come, into one array of segments."""

import re
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from titan_repro.errors import DataError
from titan_repro.tasks.readers.archives import ZIP_ERRORS, Archive
from titan_repro.tasks.readers.lfs import refuse_pointer_file
from titan_repro.tasks.readers.text import parse_numbers
from titan_repro.tasks.readers.windows import AXES

Signals = NDArray[np.float16]
"""(activities, subjects, segments, 125 steps, 3 units, 9 axes)."""
Arrays = dict[str, NDArray[np.generic]]

ACTIVITIES, SUBJECTS, SEGMENTS, STEPS = 19, 8, 60, 125
ARCHIVE_UNITS = ("torso", "right arm", "left arm", "right leg", "left leg")
UNITS = ("torso", "right arm", "right leg")
NUMBERED = ("activity", "subject", "segment")
NPZ_ERRORS = (OSError, ValueError, TypeError, EOFError, MemoryError, *ZIP_ERRORS)
"""What np.load raises for files that are damaged, or hold one array instead of several."""
SEGMENT_FILE = re.compile(r"a(\d\d)/p(\d)/s(\d\d)\.txt")


def find_segments(archive: Archive) -> list[str]:
    """Return the names of all segments' files in `archive`, by activity, subject and segment.

    Raises DataError naming the first missing file if the archive is not complete.
    """
    found = archive.find(SEGMENT_FILE)
    needed = [
        (f"{activity:02}", f"{subject}", f"{segment:02}")
        for activity, subject, segment in product(*(range(1, n + 1) for n in _counts()))
    ]
    missing = [key for key in needed if key not in found]
    if missing:
        raise DataError(
            f"{archive.path}: holds no a{missing[0][0]}/p{missing[0][1]}/s{missing[0][2]}.txt; "
            f"{len(missing)} of the archive's {len(needed)} files are missing"
        )
    return [found[key] for key in needed]


def read_segments(archive: Archive, names: list[str]) -> Signals:
    """Read the archive's files: 125 lines of 5 units x 9 axes, separated by commas."""
    units = [ARCHIVE_UNITS.index(unit) for unit in UNITS]
    signals = np.empty((len(names), STEPS, len(UNITS), len(AXES)), np.float16)
    for row, name in enumerate(names):
        where = archive.where(name)
        columns = len(ARCHIVE_UNITS) * len(AXES)
        numbers = parse_numbers(archive.read(name), columns, ",", np.float16, where)
        if len(numbers) != STEPS:
            raise DataError(f"{where}: {len(numbers)} lines found, {STEPS} needed")
        signals[row] = numbers.reshape(STEPS, len(ARCHIVE_UNITS), len(AXES))[:, units]
    return signals.reshape(*_counts(), *signals.shape[1:])


def read_npz(file: Path) -> Signals:
    """Read `signal` (n, 125, 3, 9), `activity`, `subject` and `segment` (n,), in any row order."""
    arrays = _read_arrays(file)
    shape = (STEPS, len(UNITS), len(AXES))
    _check(file, "signal", arrays, "floats", "f", shape)
    for name in NUMBERED:
        _check(file, name, arrays, "integers", "iu", ())
    rows = _rows_in_order(file, arrays)
    with np.errstate(over="ignore"):  # what overflows is refused as not finite
        signals = arrays["signal"].astype(np.float16, copy=False)
    wrong = np.flatnonzero(~np.isfinite(signals).all(axis=(1, 2, 3)))
    if len(wrong):
        raise DataError(f"{file}: signal in row {wrong[0]} holds a number that is not finite")
    return signals[rows].reshape(*_counts(), *shape)


def _counts() -> tuple[int, int, int]:
    return ACTIVITIES, SUBJECTS, SEGMENTS


def _read_arrays(file: Path) -> Arrays:
    """Return the file's four arrays."""
    names = ("signal", *NUMBERED)
    try:
        with np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in names}
    except IsADirectoryError:
        raise DataError(f"{file}: is a folder; an .npz file is needed") from None
    except KeyError as error:
        raise DataError(f"{file}: {error.args[0]}; {', '.join(names)} are needed") from None
    except NPZ_ERRORS as error:
        refuse_pointer_file(file)
        reason = " ".join(str(error).split())
        raise DataError(f"{file}: damaged or no .npz file ({reason})") from None


def _check(
    file: Path, name: str, arrays: Arrays, needed: str, kinds: str, shape: tuple[int, ...]
) -> None:
    """Raise DataError unless an array has one entry of `shape` for each segment number."""
    found, rows = arrays[name], arrays["segment"].shape[:1]
    if found.dtype.kind not in kinds or found.shape != (*rows, *shape):
        wanted = ", ".join(map(str, (*rows, *shape)))
        raise DataError(
            f"{file}: {name} is {found.dtype} of shape {found.shape}; "
            f"{needed} of shape ({wanted}) are needed"
        )


def _rows_in_order(file: Path, arrays: Arrays) -> NDArray[np.intp]:
    """Return the rows by activity, subject and segment, each of which must be there once."""
    position = np.zeros(len(arrays["segment"]), np.int64)
    for name, count in zip(NUMBERED, _counts(), strict=True):
        numbers = arrays[name].astype(np.int64)
        wrong = np.flatnonzero((numbers < 1) | (numbers > count))
        if len(wrong):
            raise DataError(
                f"{file}: {name} {numbers[wrong[0]]} in row {wrong[0]}; 1 to {count} allowed"
            )
        position = position * count + numbers - 1
    needed = int(np.prod(_counts()))
    if not np.array_equal(np.sort(position), np.arange(needed)):
        raise DataError(
            f"{file}: {len(position)} segments, {len(np.unique(position))} of them different; "
            f"each of the {needed} is needed once"
        )
    return np.argsort(position)
