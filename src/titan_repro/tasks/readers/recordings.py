"""Lists of spoken words: the speaker and label of each recording, and where its bytes are.

All copies of Speech Commands have words as labels, speakers as hexadecimal numbers and an official
split into training, validation and test by speaker. Listing decodes nothing; `decode_into` decodes
by several threads, which suffice: decoders and torch release Python's lock while they work.
"""

import itertools
import logging
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from titan_repro.errors import DataError
from titan_repro.tasks.readers.lfs import refuse_pointer
from titan_repro.tasks.readers.parquet import (
    embedded_files,
    find_shards,
    linked_files,
    read_columns,
    text,
)

log = logging.getLogger(__name__)

SPEAKER_DIGITS = 15
"""A speaker of up to so many hexadecimal digits is an int64; the official ones have 8."""
RECORDING = re.compile(r"(?P<speaker>[0-9a-f]+)_nohash_\d+\.(?i:wav)")
LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}
BATCH = 32
"""Files that a thread decodes at a time: 2 MB of audio."""


@dataclass(frozen=True)
class EncodedFile:
    """One recording or picture on disk: its name for messages, and how to read its bytes."""

    name: str
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Recordings:
    """N recordings of one part of the data.

    labels: (N,) int64, positions in the list of words.
    user_ids: (N,) int64, the speakers' hexadecimal numbers.
    files: all files that hold them.
    encoded: starts an iteration over the N recordings' bytes, in the order of the labels.
    """

    labels: Tensor
    user_ids: Tensor
    files: tuple[Path, ...]
    encoded: Callable[[], Iterator[EncodedFile]]

    def __len__(self) -> int:
        return self.labels.shape[0]

    def __add__(self, other: "Recordings") -> "Recordings":
        return Recordings(
            torch.cat([self.labels, other.labels]),
            torch.cat([self.user_ids, other.user_ids]),
            self.files + other.files,
            lambda: itertools.chain(self.encoded(), other.encoded()),
        )


def speaker_number(speaker: str, name: str) -> int:
    """Return a speaker's hexadecimal number. Raises DataError beginning with `name`."""
    if len(speaker) <= SPEAKER_DIGITS and set(speaker) <= set("0123456789abcdef") and speaker:
        return int(speaker, 16)
    raise DataError(
        f"{name}: speaker {speaker!r}; must be a hexadecimal number of 1 to {SPEAKER_DIGITS} "
        "lower-case digits"
    )


def read_parquet_parts(folder: Path, column: str, words: Sequence[str]) -> dict[str, Recordings]:
    """List the parts "train", "test" and, where it exists, "validation" of a parquet folder.

    column: the column of embedded files, beside `label` (a word) and `speaker_id`. Rows of other
        words are left out.

    Raises DataError naming the file that is missing, damaged or has other columns.
    """
    shards = {part: find_shards(folder, part) for part in ("train", "validation", "test")}
    for part in ("train", "test"):
        if not shards[part]:
            raise DataError(f"{folder}: no {part}-00000-of-....parquet; train and test are needed")
    return {part: _read_parquet(files, column, words) for part, files in shards.items() if files}


def _read_parquet(files: tuple[Path, ...], column: str, words: Sequence[str]) -> Recordings:
    labels: list[int] = []
    user_ids: list[int] = []
    label_of = {word: label for label, word in enumerate(words)}
    for file in files:
        columns = read_columns(file, text("label"), text("speaker_id"))
        speakers = columns["speaker_id"].to_pylist()
        for row, word in enumerate(columns["label"].to_pylist()):
            if word in label_of:
                labels.append(label_of[word])
                user_ids.append(speaker_number(speakers[row], f"{file}: row {row}"))

    def encoded() -> Iterator[EncodedFile]:
        for file in files:
            columns = read_columns(file, text("label"), embedded_files(column))
            for row, word in enumerate(columns["label"].to_pylist()):
                if word in label_of:
                    content = columns[column][row]
                    yield EncodedFile(f"{file}: row {row} ({word})", content.as_py)

    return Recordings(
        torch.tensor(labels, dtype=torch.int64),
        torch.tensor(user_ids, dtype=torch.int64),
        (*files, *(link for file in files for link in linked_files(file, embedded_files(column)))),
        encoded,
    )


def read_folder_parts(folder: Path, words: Sequence[str]) -> dict[str, Recordings]:
    """List the parts "train", "validation" and "test" of the official folder, for these words.

    A word without a folder has no recordings. Names in the split lists that are not there, and
    files with other names, are counted in a warning. Raises DataError naming a missing split list.
    """
    part_of = {name: part for part, file in LISTS.items() for name in _read_list(folder / file)}
    absent = {name for name in part_of if name.split("/")[0] in words}
    found: dict[str, list[tuple[int, Path]]] = {"train": [], "validation": [], "test": []}
    for label, word in enumerate(words):
        for path in _wav_files(folder / word):
            name = f"{word}/{path.stem}.wav"  # as the lists have it, whatever the copy made of .wav
            found[part_of.get(name, "train")].append((label, path))
            absent.discard(name)
    if absent:
        log.warning(
            "%s: %d recordings of the split lists are not there, the first is %s",
            folder,
            len(absent),
            min(absent),
        )
    return {part: _recordings(files) for part, files in found.items()}


def decode_into(
    out: Tensor,
    files: Iterable[EncodedFile],
    decode: Callable[[list[EncodedFile]], Tensor],
    title: str,
) -> None:
    """Fill out (N, *shape) with N decoded files, in order.

    decode: from n files to a tensor (n, *shape) of out's type; called by several threads at once.
        Its first exception, in the order of the files, ends the work.
    title: names the progress bar, drawn on standard error if that is a terminal.

    `files` is read only as far ahead as needed, so it may hold a shard of a data set at a time.
    """
    threads = _cores()

    def fill(start: int, batch: list[EncodedFile]) -> int:
        out[start : start + len(batch)] = decode(batch)
        return len(batch)

    waiting: deque[Future[int]] = deque()
    with (
        tqdm(total=len(out), desc=title, unit="file", disable=None, leave=False) as bar,
        ThreadPoolExecutor(threads) as pool,
    ):
        for start, batch in _batches(_with_failure_last(files)):
            waiting.append(pool.submit(fill, start, batch))
            if len(waiting) > 2 * threads:
                bar.update(waiting.popleft().result())
        while waiting:
            bar.update(waiting.popleft().result())


def _with_failure_last(files: Iterable[EncodedFile]) -> Iterator[EncodedFile]:
    """Yield the files; where listing them fails, a last one that fails to be read.

    The error then waits its turn: one of an earlier file goes before it.
    """
    try:
        yield from files
    except DataError as error:
        yield EncodedFile("", partial(_fail, error))


def _fail(error: DataError) -> bytes:
    raise error


def _batches(files: Iterable[EncodedFile]) -> Iterator[tuple[int, list[EncodedFile]]]:
    """Yield (index of the first file, the next BATCH files)."""
    remaining = iter(files)
    start = 0
    while batch := list(islice(remaining, BATCH)):
        yield start, batch
        start += len(batch)


def _cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read_list(file: Path) -> list[str]:
    """Return the recordings that a split list names, as `<word>/<file name>`."""
    try:
        content = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text"
        raise DataError(
            f"{file}: cannot be read ({reason}); the official split list is needed"
        ) from None
    refuse_pointer(content.encode(), file)
    return content.split()


def _wav_files(folder: Path) -> list[Path]:
    """Return a word's recordings in order of their names."""
    try:
        names = sorted(file.name for file in folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror})") from None
    recordings = [name for name in names if RECORDING.fullmatch(name)]
    others = sum(name.lower().endswith(".wav") for name in names) - len(recordings)
    if others:
        log.warning(
            "%s: %d files not named <speaker>_nohash_<number>.wav are left out", folder, others
        )
    return [folder / name for name in recordings]


def _recordings(files: list[tuple[int, Path]]) -> Recordings:
    user_ids = [speaker_number(path.name.split("_")[0], str(path)) for _, path in files]

    def encoded() -> Iterator[EncodedFile]:
        for _, path in files:
            yield EncodedFile(str(path), lambda path=path: _read(path))  # type: ignore[misc]

    return Recordings(
        torch.tensor([label for label, _ in files], dtype=torch.int64),
        torch.tensor(user_ids, dtype=torch.int64),
        tuple(path for _, path in files),
        encoded,
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
