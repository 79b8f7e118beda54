"""Class mixes that change over rounds: the shares of the classes among a round's arrivals."""

import bisect
from collections.abc import Sequence
from typing import Any, TypeGuard

import torch
from torch import Tensor

from titan_repro.seeds import generator
from titan_repro.streams.checks import is_finite, is_whole, refusal, require

_TOLERANCE = 1e-6
"""How far from 1 a mix written by hand may sum."""


class MixSchedule:
    """Class mixes at given rounds, linearly interpolated between them.

    rounds: K rising rounds, whole or not, the first 0.
    mixes: (K, C) float64, non-negative, each row summing to 1.
    period: the schedule starts again after so many rounds, passing from the last mix to the
        first; must be greater than the last of `rounds`. None: the last mix stays for good.
    """

    def __init__(self, rounds: Sequence[float], mixes: Tensor, period: float | None = None) -> None:
        self.mixes = mixes
        self._period = period
        self._knots = list(rounds) if period is None else [*rounds, period]

    def at(self, t: int) -> Tensor:
        """Return round t's mix (C,) float64."""
        time = t if self._period is None else t % self._period
        knot = bisect.bisect_right(self._knots, time) - 1
        if knot == len(self._knots) - 1:
            return self.mixes[knot]
        start, end = self._knots[knot], self._knots[knot + 1]
        following = self.mixes[(knot + 1) % len(self.mixes)]
        return torch.lerp(self.mixes[knot], following, (time - start) / (end - start))


def rotating_window(classes: int, period: int | None, window: float) -> MixSchedule:
    """Return a window of neighbouring classes that goes once round all classes in a period.

    window: share of the classes inside; round(window * classes), at least 1. The window moves
        evenly: a class enters as its neighbour at the other end leaves, the ones between have
        equal shares, and over a period all classes are equally frequent.

    Raises ConfigurationError naming `stream.period` or `stream.window`.
    """
    if not is_whole(period) or period < 1:
        raise refusal("stream.period", period, "whole numbers of at least 1")
    holds = is_finite(window) and 0 < window <= 1
    require(holds, "stream.window", window, "numbers above 0, at most 1")
    width = max(1, round(window * classes))
    inside = (torch.arange(classes) - torch.arange(classes).unsqueeze(1)) % classes < width
    rounds = [step * period / classes for step in range(classes)]
    return MixSchedule(rounds, inside.double() / width, period)


def piecewise_linear(
    classes: int, mixes: Sequence[tuple[int, Sequence[float]]] | None, period: int | None
) -> MixSchedule:
    """Return a schedule from mixes written by hand, as pairs of a round and the classes' shares.

    See `MixSchedule`. Raises ConfigurationError naming `stream.mixes` or `stream.period`.
    """
    rounds, shares = _read_mixes(mixes, classes)
    follows = period is None or (is_whole(period) and period > rounds[-1])
    allowed = f"null, or whole numbers above {rounds[-1]}, the last round with a mix"
    require(follows, "stream.period", period, allowed)
    table = torch.tensor(shares, dtype=torch.float64)
    return MixSchedule(rounds, table / table.sum(dim=1, keepdim=True), period)


def long_tail(classes: int, ratio: float, order: str, seed: int) -> MixSchedule:
    """Return a constant mix falling exponentially from class to class (Cui et al. 2019).

    ratio: share of the most frequent class over that of the least frequent, at least 1.
    order: "natural", the first class is the most frequent, or "seeded", drawn from the seed.

    Raises ConfigurationError naming `stream.ratio` or `stream.order`.
    """
    holds = is_finite(ratio) and ratio >= 1
    require(holds, "stream.ratio", ratio, "finite numbers of at least 1")
    require(order in ("natural", "seeded"), "stream.order", order, "natural, seeded")
    ranks = torch.arange(classes)
    if order == "seeded":
        ranks = torch.randperm(classes, generator=generator(seed, "class order"))
    shares = torch.pow(float(ratio), -ranks.double() / max(classes - 1, 1))
    return MixSchedule([0], (shares / shares.sum()).unsqueeze(0))


def _read_mixes(mixes: object, classes: int) -> tuple[list[int], list[list[float]]]:
    """Return the rounds and the shares under each of them.

    Raises ConfigurationError unless `mixes` holds distributions under rising rounds from 0.
    """
    key = "stream.mixes"
    if not _is_list(mixes) or not mixes or not all(_is_list(m) and len(m) == 2 for m in mixes):
        raise refusal(key, mixes, "[[round, [share of each class, ...]], ...]")
    rounds = [knot for knot, _ in mixes]
    rising = all(map(is_whole, rounds)) and rounds == sorted(set(rounds)) and rounds[0] == 0
    require(rising, key, rounds, "round 0 and then rising rounds")
    for _, shares in mixes:
        valid = _is_list(shares) and all(is_finite(share) and share >= 0 for share in shares)
        require(valid, key, shares, "shares of 0 or more")
        require(len(shares) == classes, key, shares, f"{classes} shares, one a class")
        require(abs(sum(shares) - 1) <= _TOLERANCE, key, shares, "shares that sum to 1")
    return rounds, [list(shares) for _, shares in mixes]


def _is_list(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str)
