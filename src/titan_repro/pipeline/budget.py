"""How many candidates a round gets: as many as the filter keeps, or as many as there is time for.

While the training process trains, the selection process scores the filter's samples, the most
promising first, until training of the round is done; those that it has scored are the candidates
(paper section 3.4). On a modelled clock this is arithmetic and known before the round; on the
wall's, only after it.
"""

from bisect import bisect_right
from collections.abc import Callable
from typing import Protocol


class IdleTime(Protocol):
    """What others leave of the selection processor, over modelled time."""

    def available(self, start: float, seconds: float) -> float:
        """Return the work done from `start` on in so many seconds, in seconds of the whole."""
        ...

    def duration(self, start: float, work: float) -> float:
        """Return how many seconds from `start` on so much work takes; infinity if it never ends."""
        ...


class CandidateBudget(Protocol):
    """Says how many samples of a round are candidates.

    until_trained: whether samples are scored until the round's gradients are there, and only then
        is it known how many. Needs processes of its own for selection.
    """

    until_trained: bool

    def candidates(self, t: int) -> int | None:
        """Return how many candidates round t gets; None: as many as the filter gives.

        0 says that nothing is filtered or scored, and the batch is drawn at random.
        """
        ...


class Fixed:
    """The filter keeps what its own budget says; without a filter all samples are candidates."""

    until_trained = False

    def candidates(self, t: int) -> None:
        """Return None: the filter decides."""


FIXED = Fixed()


class Measured:
    """Candidates are what was scored, on the wall's clock, when training of the round was done."""

    until_trained = True

    def candidates(self, t: int) -> None:
        """Return None: it is known when the round's gradients are there."""


class Modelled:
    """As many candidates as can be filtered, scored and selected from beside training, modelled.

    selection_seconds: of filtering a round, scoring n of it and selecting from those, on the whole
        selection processor. Must not fall as n grows.
    train_seconds: of training on a batch. synchronisation_seconds: of copying the new weights,
        after both.
    least: never fewer candidates than the batch: training waits for them, the round is longer.
    most: the samples of a round.
    idle: what the selection processor is free for.

    Round t's number follows from those before it, all computed from round 0 on and kept: a run that
    is continued needs no state for it. Where nothing can be done beside a whole training step, or
    selecting would never end, the number is 0 and the round is no longer than training.
    """

    until_trained = False

    def __init__(
        self,
        selection_seconds: Callable[[int], float],
        train_seconds: float,
        synchronisation_seconds: float,
        *,
        least: int,
        most: int,
        idle: IdleTime,
    ) -> None:
        self._selection_seconds = selection_seconds
        self._train_seconds = train_seconds
        self._synchronisation_seconds = synchronisation_seconds
        self._sizes = range(least, most + 1)
        self._idle = idle
        self._candidates: list[int] = []
        self._begins = [0.0]

    def candidates(self, t: int) -> int:
        """Return round t's number of candidates, 0 or `least` to `most`."""
        self._know(t)
        return self._candidates[t]

    def begins(self, t: int) -> float:
        """Return the modelled time at which round t begins, seconds."""
        self._know(t - 1)
        return self._begins[t]

    def _know(self, t: int) -> None:
        while len(self._candidates) <= t:
            self._next()

    def _next(self) -> None:
        begin = self._begins[-1]
        number = self._fitting(self._idle.available(begin, self._train_seconds))
        selecting = self._idle.duration(begin, self._selection_seconds(number)) if number else 0.0
        if selecting == float("inf"):
            number, selecting = 0, 0.0
        length = max(self._train_seconds, selecting) + self._synchronisation_seconds
        self._candidates.append(number)
        self._begins.append(begin + length)

    def _fitting(self, work: float) -> int:
        """Return how many candidates so much work of the selection processor is enough for."""
        if work == 0:
            return 0
        enough = bisect_right(self._sizes, work, key=self._selection_seconds)
        return self._sizes[max(enough - 1, 0)]
