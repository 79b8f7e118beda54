"""Wall-clock time of the stages of a round."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any


class Stopwatch:
    """Adds up the seconds of named stages: `with clock("filter"): ...`.

    seconds: by stage, 0 for those that have not been entered. A stage may be entered repeatedly.
    With tensors on a GPU they are those of giving out the work, not of doing it.
    """

    def __init__(self, *stages: str) -> None:
        self.seconds = dict.fromkeys(stages, 0.0)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Add the time that the block takes to the stage's."""
        began = perf_counter()
        yield
        self.seconds[stage] += perf_counter() - began

    def entries(self) -> dict[str, Any]:
        """Return the times as a RoundRecord names them."""
        return {f"seconds_{stage}": seconds for stage, seconds in self.seconds.items()}
