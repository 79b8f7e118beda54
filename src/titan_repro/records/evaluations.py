"""`evaluations.csv`: one line an evaluation, written at once.

On resuming it is cut back to its length at the checkpoint.
"""

import os
from dataclasses import dataclass, fields
from pathlib import Path

from titan_repro.records.storage import damaged, writing


@dataclass(frozen=True)
class Evaluation:
    """One point of a run's curves; the fields are the columns of evaluations.csv.

    round: rounds trained before this evaluation.
    accuracy: share of the evaluated samples that were classified correctly, 0 to 1.
    loss: mean cross-entropy over them.
    train_seconds: measured time of all rounds so far, without evaluations and checkpoints.
    samples: number of samples evaluated.
    """

    round: int
    accuracy: float
    loss: float
    train_seconds: float
    samples: int


COLUMNS = tuple(field.name for field in fields(Evaluation))
DTYPES = {field.name: "int64" if field.type is int else "float64" for field in fields(Evaluation)}
_HEADER = (",".join(COLUMNS) + "\n").encode()


class EvaluationLog:
    """The file as its writer sees it: nothing stays in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def cut(self, length: int) -> None:
        """Forget all but the first `length` bytes; 0 begins a new file."""
        with writing(self._path), self._path.open("ab") as file:
            found = file.tell()
            if found < length:
                raise damaged(self._path, f"{found} bytes, {length} at the last checkpoint")
            file.truncate(length)
            if length == 0:
                file.write(_HEADER)
            file.flush()
            os.fsync(file.fileno())

    def append(self, evaluation: Evaluation) -> None:
        """Add one line; `sync` puts it on the disk."""
        values = (str(getattr(evaluation, name)) for name in COLUMNS)
        with writing(self._path), self._path.open("ab") as file:
            file.write((",".join(values) + "\n").encode())

    def sync(self) -> int:
        """Put all lines on the disk and return the file's length in bytes."""
        with writing(self._path), self._path.open("ab") as file:
            os.fsync(file.fileno())
            return file.tell()
