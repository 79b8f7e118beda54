"""How much of the selection processor is idle, over modelled time: piecewise constant traces.

A share of 1 is a processor that is free, 0 one that other programs take whole. Whatever they
do, training has a processor of its own and is not slowed down (paper section 3.4).
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any

import torch

from titan_repro.binding import construct
from titan_repro.seeds import generator

WALK_STEPS = 2**16
"""Steps of a random walk, after which it is repeated."""


@dataclass(frozen=True)
class IdleTrace:
    """Idle shares as steps over time.

    begins: (n,) seconds at which the shares begin, increasing from 0.
    shares: (n,) of the processor that is idle, 0 to 1.
    repeat_seconds: when the trace starts again, after the last begin; None: never, the last
        share stays.
    """

    begins: tuple[float, ...]
    shares: tuple[float, ...]
    repeat_seconds: float | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for steps that are no trace."""
        increasing = all(length > 0 for length in self._lengths)
        if self.begins[:1] != (0,) or not increasing or len(self.shares) != len(self.begins):
            raise ValueError("idle: a trace has one share for every time, increasing from 0 on")
        if not all(0 <= share <= 1 for share in self.shares):
            raise ValueError("idle: the shares of a trace are from 0 to 1")

    def available(self, start: float, seconds: float) -> float:
        """Return the work done from `start` on in so many seconds, in seconds of the whole."""
        work = 0.0
        if self.repeat_seconds is not None:
            periods, seconds = divmod(seconds, self.repeat_seconds)
            work = periods * self._work_of_a_period
        for length, share in self._steps(start):
            now = min(seconds, length)
            work += now * share
            seconds -= now
            if seconds <= 0:
                break
        return work

    def duration(self, start: float, work: float) -> float:
        """Return how many seconds from `start` on so much work takes; infinity if it never ends."""
        if work <= 0:
            return 0.0
        seconds = 0.0
        if self.repeat_seconds is not None:
            if self._work_of_a_period == 0:
                return math.inf
            periods = math.ceil(work / self._work_of_a_period) - 1
            work -= periods * self._work_of_a_period
            seconds = periods * self.repeat_seconds
        for length, share in self._steps(start):
            if share > 0 and work <= length * share:
                return seconds + work / share
            seconds += length
            work -= length * share
        return math.inf  # the last share stays, and is 0

    def _steps(self, start: float) -> Iterator[tuple[float, float]]:
        """Yield length and share of the steps from `start` on; one without end is the last."""
        phase = start if self.repeat_seconds is None else start % self.repeat_seconds
        i = bisect_right(self.begins, phase) - 1
        yield self.begins[i] + self._lengths[i] - phase, self.shares[i]
        while True:
            i += 1
            if i == len(self.begins):
                if self.repeat_seconds is None:
                    return
                i = 0
            yield self._lengths[i], self.shares[i]

    @cached_property
    def _lengths(self) -> tuple[float, ...]:
        end = math.inf if self.repeat_seconds is None else self.repeat_seconds
        return tuple(after - begin for begin, after in pairwise((*self.begins, end)))

    @cached_property
    def _work_of_a_period(self) -> float:
        return sum(length * share for length, share in zip(self._lengths, self.shares, strict=True))


def constant(share: float) -> IdleTrace:
    """Return the trace of a share, 0 to 1, that never changes."""
    return IdleTrace((0.0,), (float(share),))


def square_wave(period_seconds: float, high: float, low: float, duty: float) -> IdleTrace:
    """Return the trace of an application that comes and goes.

    Each period begins with the share `high`, for the part `duty` of it, and ends with `low`. A
    duty of 0 or 1 is no wave, and raises ValueError as other impossible numbers do.
    """
    return IdleTrace((0.0, duty * period_seconds), (float(high), float(low)), float(period_seconds))


def random_walk(step: float, every_seconds: float, start: float, seed: int) -> IdleTrace:
    """Return the trace of a share that moves by a uniform draw from [-step, step] now and then.

    start: the first share. every_seconds: how long each lasts. The walk is reflected at 0 and 1,
    and after WALK_STEPS steps the same one begins again. Uniform draws, and no others, have the
    same bits on every machine.
    """
    draws = torch.rand(WALK_STEPS - 1, dtype=torch.float64, generator=generator(seed, "idle"))
    moves = (step * (2 * draw - 1) for draw in draws.tolist())
    free = accumulate(moves, initial=float(start))
    return IdleTrace(
        begins=tuple(every_seconds * k for k in range(WALK_STEPS)),
        shares=tuple(1 - abs(1 - place % 2) for place in free),
        repeat_seconds=every_seconds * WALK_STEPS,
    )


ALWAYS = constant(1.0)
"""No other program uses the processor."""


def read_idle(node: Mapping[str, Any]) -> IdleTrace:
    """Return the trace that a `trace` node of conf/idle describes: a `_target_` and its parameters.

    Raises ConfigurationError if there is no such function or it refuses the parameters.
    """
    trace: IdleTrace = construct("idle.trace", node)
    return trace
