"""What a run tells others while it goes on: a progress bar, a log. They never change it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from titan_repro.records.rounds import RoundRecord
from titan_repro.training import Evaluation


class Callback(Protocol):
    """Is called at four points of a run, in the process that trains."""

    def begin(self, folder: Path, start: int, rounds: int) -> None:
        """Round `start` is next, of `rounds`."""
        ...

    def round(self, record: RoundRecord) -> None:
        """A round is done."""
        ...

    def evaluation(self, rounds_done: int, evaluation: Evaluation) -> None:
        """The network has been evaluated on a part of the test set."""
        ...

    def end(self) -> None:
        """No more rounds will come, whatever the reason."""
        ...


@contextmanager
def notifying(
    callbacks: Sequence[Callback], folder: Path, start: int, rounds: int
) -> Iterator[None]:
    """Call `begin` of each before the block and `end` after it."""
    for callback in callbacks:
        callback.begin(folder, start, rounds)
    try:
        yield
    finally:
        for callback in callbacks:
            callback.end()
