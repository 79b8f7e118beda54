"""A mixture stream has a class mix of its own: drifting over rounds, or long-tailed."""

import bisect
from collections.abc import Sequence
from typing import Any, Literal, TypeGuard

import torch
from torch import Tensor

from titan_repro.errors import ConfigurationError
from titan_repro.seeds import generator
from titan_repro.streams.base import (
    Samples,
    check_velocity,
    is_finite,
    is_whole,
    move,
    positions_on_device,
    refusal,
    require,
)
from titan_repro.tasks.base import Task

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


class MixtureStream:
    """Every arrival's class is drawn from the round's mix, its sample from that class.

    Inside a round no sample of a class comes again before all of them came; between rounds
    nothing is remembered, so a sample may return sooner than in the clean stream. (How often a
    class was drawn before round t follows from all earlier rounds; not needing it is what lets
    round t follow from the seed and t alone.)

    task, seed, velocity, subset: as in `CleanStream`. With a subset, a mix is understood among
        the classes that the subset holds.
    schedule: the class mix of each round.

    Raises ConfigurationError naming `stream.velocity`, or where a mix of the schedule has only
    classes of which there are no samples.
    """

    def __init__(
        self,
        task: Task,
        seed: int,
        velocity: int,
        schedule: MixSchedule,
        subset: Tensor | None = None,
    ) -> None:
        check_velocity(velocity)
        self.task = task
        self.seed = seed
        self.velocity = velocity
        self.schedule = schedule
        positions = positions_on_device(task, subset)
        labels = task.train.labels.cpu()[positions]
        self._members = [positions[labels == c] for c in range(len(task.classes))]
        self._present = torch.tensor([len(members) > 0 for members in self._members]).double()
        if ((schedule.mixes @ self._present) <= 0).any():
            raise ConfigurationError(
                f"task {task.name}: a class mix of the stream has only classes without samples"
            )

    def round(self, t: int) -> Samples:
        """Return round t's `velocity` samples."""
        draws = generator(self.seed, "order", t)
        mix = self.schedule.at(t) * self._present  # (C,)
        classes = torch.multinomial(mix, self.velocity, replacement=True, generator=draws)  # (v,)
        indices = torch.empty_like(classes)
        for label in sorted(set(classes.tolist())):
            slots = (classes == label).nonzero().squeeze(1)
            indices[slots] = _reshuffled(self._members[label], len(slots), draws)
        indices = move(indices, self.task.train.labels.device)
        labels = self.task.train.labels.index_select(0, indices)
        return Samples(indices, labels, torch.zeros_like(labels, dtype=torch.bool))

    def inputs(self, arrivals: Samples) -> Tensor:
        """Return the normalised inputs (n, *input_shape), float32."""
        return self.task.normalise(self.task.train.inputs.index_select(0, arrivals.indices))


def drift(
    task: Task,
    seed: int,
    velocity: int,
    schedule: Literal["rotating", "piecewise"] = "rotating",
    period: int | None = 1000,
    window: float = 0.5,
    mixes: Sequence[tuple[int, Sequence[float]]] | None = None,
    subset: Tensor | None = None,
) -> MixtureStream:
    """Return a stream whose class mix changes over rounds.

    schedule: "rotating", a window of classes going round (`rotating_window` with `period` and
        `window`), or "piecewise", lines between mixes written by hand (`piecewise_linear` with
        `mixes` and `period`).

    Raises ConfigurationError naming the key.
    """
    known = schedule in ("rotating", "piecewise")
    require(known, "stream.schedule", schedule, "rotating, piecewise")
    if schedule == "rotating":
        require(mixes is None, "stream.mixes", mixes, "null unless stream.schedule=piecewise")
        changing = rotating_window(len(task.classes), period, window)
    else:
        changing = piecewise_linear(len(task.classes), mixes, period)
    return MixtureStream(task, seed, velocity, changing, subset)


def imbalanced(
    task: Task,
    seed: int,
    velocity: int,
    ratio: float = 100.0,
    order: Literal["natural", "seeded"] = "natural",
    subset: Tensor | None = None,
) -> MixtureStream:
    """Return a stream with a fixed long-tailed class mix; see `long_tail`.

    Raises ConfigurationError naming the key.
    """
    constant = long_tail(len(task.classes), ratio, order, seed)
    return MixtureStream(task, seed, velocity, constant, subset)


def _reshuffled(members: Tensor, count: int, draws: torch.Generator) -> Tensor:
    """Return `count` members (count,), each epoch of them in a new order."""
    epochs = -(-count // len(members))
    orders = [torch.randperm(len(members), generator=draws) for _ in range(epochs)]
    return members[torch.cat(orders)[:count]]


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
