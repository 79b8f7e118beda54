"""The rounds of a run: a row of `rounds.parquet` each, and the files they are written to first.

With `delay: 1` a round trains the batch that the round before chose. The row keeps the two apart:
the columns `trained_*`, `loss` and `learning_rate` are about the batch that this round TRAINED;
`candidates`, `nonfinite`, the `samples_*` and the `seconds_*` are about the work done DURING this
round, so about the selection of the batch that the next round trains.

While a run goes on, its rounds are in parts: Parquet files that are merged at its end. A part is
named by its first round. A checkpoint always ends a part, so no part holds both rounds that a
checkpoint vouches for and rounds after it.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from titan_repro.files import remove_partials, sync_folder, write_atomically
from titan_repro.records.storage import damaged, unreadable, writing

_COUNT = pa.int32()
_SECONDS = pa.float32()

SCHEMA = pa.schema(
    [
        ("round", _COUNT),
        ("loss", pa.float32()),
        ("learning_rate", pa.float32()),
        ("trained_indices", pa.list_(pa.int32())),
        ("trained_labels", pa.list_(pa.int16())),
        ("trained_probabilities", pa.list_(pa.float32())),
        ("trained_weights", pa.list_(pa.float32())),
        ("trained_noisy", pa.list_(pa.bool_())),
        ("candidates", _COUNT),
        ("nonfinite", _COUNT),
        ("samples_streamed", _COUNT),
        ("samples_filtered", _COUNT),
        ("samples_scored", _COUNT),
        ("samples_trained", _COUNT),
        ("seconds_stream", _SECONDS),
        ("seconds_filter", _SECONDS),
        ("seconds_score", _SECONDS),
        ("seconds_select", _SECONDS),
        ("seconds_train", _SECONDS),
        ("seconds_wait", _SECONDS),
    ]
)


@dataclass(frozen=True)
class RoundRecord:
    """The record of one round; the fields are the columns of SCHEMA, in its order.

    round: counted from 0.
    loss: the weighted batch loss before the step.
    trained_indices: (B,) positions in the task's training split.
    trained_labels: (B,) labels as the stream showed them.
    trained_probabilities: (B,) the expected number of times that each pick's candidate was chosen.
    trained_weights: (B,) loss weights.
    trained_noisy: (B,) True where the stream had disturbed the sample.
    candidates: size of the candidate set in this round's selection.
    nonfinite: candidates that the policy could not rank.
    samples_*: samples that each stage touched; 0 where the stage did not run.
    seconds_*: measured time of each stage; 0 where it did not run. seconds_wait is not a stage's:
        it is how long training stood still for selection that runs beside it.
    """

    round: int
    loss: float
    learning_rate: float
    trained_indices: Sequence[int]
    trained_labels: Sequence[int]
    trained_probabilities: Sequence[float]
    trained_weights: Sequence[float]
    trained_noisy: Sequence[bool]
    candidates: int
    nonfinite: int
    samples_streamed: int
    samples_filtered: int
    samples_scored: int
    samples_trained: int
    seconds_stream: float
    seconds_filter: float
    seconds_score: float
    seconds_select: float
    seconds_train: float
    seconds_wait: float = 0.0


def to_table(records: Sequence[RoundRecord]) -> pa.Table:
    """Return the records as a table with SCHEMA, one row a record."""
    return pa.Table.from_pylist([vars(record) for record in records], schema=SCHEMA)


ROWS_PER_GROUP = 1024
"""Rows that are in memory at a time: the longest part, and one row group of the merged file."""


class RoundParts:
    """The folder of parts as its writer sees it. Only the current part is in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._buffer: list[RoundRecord] = []
        self.next_round = 0

    def cut(self, next_round: int) -> None:
        """Forget all rounds from `next_round` on.

        Raises RunFolderError if any round before it is missing.
        """
        self._buffer.clear()
        with writing(self._folder):
            self._folder.mkdir(exist_ok=True)
            remove_partials(self._folder)
            for part in find_parts(self._folder):
                if first_round(part) >= next_round:
                    part.unlink()
            sync_folder(self._folder)
        counted = 0
        for part in find_parts(self._folder):
            _expect(part, first_round(part), counted)
            counted += count_rows(part)
        _expect(self._folder, next_round, counted)
        self.next_round = next_round

    def adopt(self, merged: Path) -> None:
        """Make a merged file the first part, unless it is one that a killed process left over."""
        first = self._folder / f"{0:08d}.parquet"
        with writing(merged):
            if not merged.exists():
                return
            self._folder.mkdir(exist_ok=True)
            if first.exists():
                merged.unlink()
            else:
                merged.replace(first)
            sync_folder(merged.parent)

    def append(self, record: RoundRecord) -> None:
        """Take the next round's record. Raises ValueError for any other round's."""
        if record.round != self.next_round:
            raise ValueError(f"record of round {record.round} where {self.next_round} is next")
        self._buffer.append(record)
        self.next_round += 1
        if len(self._buffer) == ROWS_PER_GROUP:
            self.flush()

    def flush(self) -> None:
        """End the current part: put it on the disk and forget it here."""
        if not self._buffer:
            return
        path = self._folder / f"{self._buffer[0].round:08d}.parquet"
        with writing(path), write_atomically(path) as file:
            pq.write_table(to_table(self._buffer), file, write_page_checksum=True)
        self._buffer.clear()

    def merge(self, target: Path) -> None:
        """Write all parts as one file, a row group at a time.

        The file's bytes do not depend on where the parts began.
        """
        with (
            writing(target),
            write_atomically(target) as file,
            pq.ParquetWriter(file, SCHEMA, write_page_checksum=True) as writer,
        ):
            for table in _row_groups(find_parts(self._folder)):
                writer.write_table(table)

    def remove(self) -> None:
        """Delete all parts and their folder."""
        remove_folder(self._folder)


def remove_folder(folder: Path) -> None:
    """Delete a folder of parts, if it is there."""
    with writing(folder):
        if folder.exists():
            shutil.rmtree(folder)


def find_parts(folder: Path) -> list[Path]:
    """Return the parts in order of their rounds; none if there is no folder."""
    return sorted(folder.glob("[0-9]*.parquet"))


def first_round(part: Path) -> int:
    """Return the round that a part begins with."""
    return int(part.stem)


def read_rows(path: Path) -> pa.Table:
    """Return the rows of a part or of a merged file."""
    with _parquet(path) as file:
        return file.read(use_threads=False)


def count_rows(path: Path) -> int:
    """Return the number of rows, from the file's footer."""
    with _parquet(path) as file:
        return int(file.metadata.num_rows)


@contextmanager
def _parquet(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file. Raises RunFolderError if it cannot be read or is damaged."""
    try:
        with (
            path.open("rb") as stream,
            pq.ParquetFile(stream, page_checksum_verification=True) as file,
        ):
            yield file
    except pa.ArrowException as error:
        raise damaged(path, error) from error
    except OSError as error:
        # Arrow says OSError for contents, too, but without the system's number
        known = error.errno is not None
        raise unreadable(path, error) if known else damaged(path, error) from error


def _row_groups(parts: list[Path]) -> Iterator[pa.Table]:
    """Yield the parts' rows in tables of ROWS_PER_GROUP; the last may be shorter."""
    waiting = SCHEMA.empty_table()
    counted = 0
    for part in parts:
        _expect(part, first_round(part), counted)
        rows = read_rows(part)
        counted += rows.num_rows
        waiting = pa.concat_tables([waiting, rows])
        while waiting.num_rows >= ROWS_PER_GROUP:
            yield waiting.slice(0, ROWS_PER_GROUP).combine_chunks()
            waiting = waiting.slice(ROWS_PER_GROUP)
    if waiting.num_rows:
        yield waiting.combine_chunks()


def _expect(path: Path, found: int, expected: int) -> None:
    if found != expected:
        raise damaged(path, f"round {expected} is missing")
