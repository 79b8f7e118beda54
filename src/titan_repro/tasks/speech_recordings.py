"""Lists of spoken words: who said what, and where its bytes are; nothing is decoded here.

All copies of Speech Commands have words as labels, speakers as hexadecimal numbers and an official
split into training, validation and test by speaker.
"""

import itertools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from titan_repro.errors import ConfigurationError, DataError
from titan_repro.tasks.labels import count_labels
from titan_repro.tasks.parallel_decoding import EncodedFile
from titan_repro.tasks.parquet import embedded_files, find_shards, read_columns, text

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

VALIDATION = ("drop", "train", "test")
SPEAKER_DIGITS = 15
"""A speaker of up to so many hexadecimal digits is an int64; the official ones have 8."""


@dataclass(frozen=True)
class Recordings:
    """N recordings of one part of the data.

    labels: (N,) int64, positions in the list of words.
    owners: (N,) int64, the speakers' hexadecimal numbers.
    files: all files that hold them.
    encoded: starts an iteration over the N recordings' bytes, in the order of the labels.
    """

    labels: Tensor
    owners: Tensor
    files: tuple[Path, ...]
    encoded: Callable[[], Iterator[EncodedFile]]

    def __len__(self) -> int:
        return self.labels.shape[0]

    def __add__(self, other: "Recordings") -> "Recordings":
        return Recordings(
            torch.cat([self.labels, other.labels]),
            torch.cat([self.owners, other.owners]),
            self.files + other.files,
            lambda: itertools.chain(self.encoded(), other.encoded()),
        )


def check_words(words: Sequence[str]) -> tuple[str, ...]:
    """Return a task's classes as a tuple. Raises ConfigurationError unless they can be classes."""
    key = "task.loader.words"
    if isinstance(words, str) or len(words) < 2 or len(set(words)) < len(words):
        raise ConfigurationError(f"{key}: found {words}; allowed: a list of two or more words")
    for word in words:
        if not isinstance(word, str):
            raise ConfigurationError(
                f"{key}: found {word!r}; allowed: text, so that in YAML yes, no, on and off stand "
                "in quotes"
            )
    return tuple(words)


def check_validation(validation: str) -> None:
    """Raise ConfigurationError unless it says where the official validation part goes."""
    if validation not in VALIDATION:
        raise ConfigurationError(
            f"task.loader.validation: found {validation}; allowed: {', '.join(VALIDATION)}"
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
    owners: list[int] = []
    label_of = {word: label for label, word in enumerate(words)}
    for file in files:
        columns = read_columns(file, text("label"), text("speaker_id"))
        speakers = columns["speaker_id"].to_pylist()
        for row, word in enumerate(columns["label"].to_pylist()):
            if word in label_of:
                labels.append(label_of[word])
                owners.append(speaker_number(speakers[row], f"{file}: row {row}"))

    def encoded() -> Iterator[EncodedFile]:
        for file in files:
            columns = read_columns(file, text("label"), embedded_files(column))
            for row, word in enumerate(columns["label"].to_pylist()):
                if word in label_of:
                    content = columns[column][row]
                    yield EncodedFile(f"{file}: row {row} ({word})", content.as_py)

    return Recordings(
        torch.tensor(labels, dtype=torch.int64),
        torch.tensor(owners, dtype=torch.int64),
        files,
        encoded,
    )


def count_parts(parts: Mapping[str, Recordings], words: Sequence[str]) -> "pd.DataFrame":
    """Count recordings: a row a word, a column an official part."""
    return count_labels(tuple(words), {part: parts[part].labels for part in parts})


def train_and_test(
    parts: Mapping[str, Recordings], validation: str, words: Sequence[str], source: Path
) -> dict[str, Recordings]:
    """Make {"train", "test"} of the official parts; `validation` says where that part goes.

    Raises DataError, naming the `source`, if a word has no training recording or nothing is left
    to test on. Words without a test recording only cost a warning.
    """
    chosen = {"train": parts["train"], "test": parts["test"]}
    if validation != "drop" and "validation" in parts:
        chosen[validation] += parts["validation"]
    missing = _absent(chosen["train"], words)
    if missing:
        found = [word for word in words if word not in missing]
        raise DataError(
            f"{source}: no training recordings of {', '.join(missing)}; found: "
            f"{', '.join(found) or 'none of the words'}. For a copy with fewer words take "
            "task=speech_commands_10 (the ten command words), or task.loader.words=[...] and "
            "task.num_classes"
        )
    if not len(chosen["test"]):
        raise DataError(f"{source}: no test recordings of any of the {len(words)} words")
    untested = _absent(chosen["test"], words)
    if untested:
        log.warning("%s: no test recordings of %s", source, ", ".join(untested))
    return chosen


def _absent(recordings: Recordings, words: Sequence[str]) -> list[str]:
    present = set(recordings.labels.tolist())
    return [word for label, word in enumerate(words) if label not in present]
