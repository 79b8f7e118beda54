"""The candidate buffer: which samples of a round it keeps, sample by sample.

The rule, given a score of every sample and a quota of every class:
1. Each class keeps its quota of best samples.
2. Slots that a class cannot fill go to the best of all remaining samples, of whatever class.
3. Slots that are still free go to samples without a finite score, the earliest first.
Equal scores rank in order of arrival. "Best" means the highest scores or, with `both_ends`, the
highest and the lowest: of k slots, ceil(k / 2) keep the highest scores and then floor(k / 2)
the lowest of the others.

Why a buffer of `budget` samples is enough to find this set in one pass: the k best of a growing
set only ever lose members, so a sample that leaves a full queue never comes back to it, and the
quotas are fixed for the round. What leaves a queue is offered to the next one: the lower end,
then the free slots. Free slots become fewer, never more, as the classes fill their quotas, so
those queues too only lose members; and all queues together never have more than `budget` slots.
"""

import heapq
from collections.abc import Sequence
from typing import NamedTuple, get_args

import numpy as np
import torch

from titan_repro.choices import Quota
from titan_repro.selection.sampling import hit, points

QUOTAS: tuple[str, ...] = get_args(Quota)
DRAWN: Quota = "per_class_drawn"


def class_quotas(
    quota: str, counts: np.ndarray, budget: int, generator: torch.Generator
) -> list[int]:
    """Return how many slots each class may claim before the others, C whole numbers.

    counts: (C,) float64, the running class counts of the rounds before this one: quotas are
    fixed before the round's first sample arrives. generator: drawn from by `per_class_drawn` only.

    `per_class_proportional`: to the counts plus one each, so that the first round is equal and
    a class never seen can enter. A class whose share is rounded down is so in every round: with
    more classes than slots, or rare ones, some have no slot at all. `per_class_drawn`: the same
    shares, rounded up or down by a systematic draw of each round, so that every class has its
    share on average. `per_class_equal`: among the classes seen in earlier rounds, or all if there
    was none; the others enter through slots that these cannot fill; what cannot be shared out
    equally always goes to the first classes. All add up to `budget`. `global`: no class has any
    slot of its own, all go to the best of all.
    """
    if quota == "global":
        return [0] * len(counts)
    masses = class_masses(quota, counts)
    if quota == DRAWN:
        places = hit(masses * (budget / masses.sum()), points("systematic", budget, generator))
        drawn: list[int] = np.bincount(places, minlength=len(masses)).tolist()
        return drawn
    return largest_remainder(masses.tolist(), budget)


def class_masses(quota: str, counts: np.ndarray) -> np.ndarray:
    """Return what the slots of classes are in proportion to, (C,) float64.

    quota, counts: as of `class_quotas`, but not `global`, which has no slots of classes.
    """
    if quota in ("per_class_proportional", DRAWN):
        return counts + 1
    return (counts > 0).astype(np.float64) if counts.any() else np.ones(len(counts))


def largest_remainder(masses: Sequence[float], slots: int) -> list[int]:
    """Share out `slots` in proportion to masses, within one of it.

    Every class gets its share rounded down, and what is then left goes one each to the largest
    remainders, of equals to the lower class.
    """
    total = sum(masses)
    remainders = [slots * mass % total for mass in masses]  # exact, so that equal remainders tie
    pairs = zip(masses, remainders, strict=True)
    whole = [round((slots * mass - remainder) / total) for mass, remainder in pairs]
    by_remainder = sorted(range(len(masses)), key=lambda y: -remainders[y])
    for y in by_remainder[: slots - sum(whole)]:
        whole[y] += 1
    return whole


class Scored(NamedTuple):
    """A sample in a queue: its position in the round's order of arrival, and its score."""

    position: int
    score: float


class BoundedQueue:
    """The `capacity` best samples offered so far; best is highest, or lowest if asked for."""

    def __init__(self, capacity: int, lowest: bool) -> None:
        self.capacity = capacity
        self._sign = -1.0 if lowest else 1.0
        self._heap: list[tuple[float, int, Scored]] = []  # the worst first, of equals the latest

    def __len__(self) -> int:
        return len(self._heap)

    def offer(self, sample: Scored | None) -> Scored | None:
        """Take in a sample, if there is one; return the worst if that is one too many."""
        if sample is not None:
            heapq.heappush(self._heap, (self._sign * sample.score, -sample.position, sample))
        return heapq.heappop(self._heap)[-1] if len(self._heap) > self.capacity else None

    def positions(self) -> list[int]:
        """Return the positions of the samples held, in no particular order."""
        return [sample.position for _, _, sample in self._heap]


class CandidateQueue:
    """The candidate buffer of one round, filled sample by sample; never more than `budget`.

    It holds positions in the order of arrival, and scores. The caller keeps the samples themselves
    in as many slots: `offer` says whose slot is free again.
    """

    def __init__(self, budget: int, quotas: Sequence[int], both_ends: bool) -> None:
        self._budget = budget
        self._both_ends = both_ends
        self._by_class = [_queues(quota, both_ends) for quota in quotas]
        self._best_of_rest = _queues(budget, both_ends)
        self._in_classes = 0
        self._without_score: list[int] = []
        self._offered = 0

    def __len__(self) -> int:
        return self._in_classes + sum(map(len, self._best_of_rest)) + len(self._without_score)

    def offer(self, label: int, score: float | None) -> int | None:
        """Consider the next sample that has arrived; its score is None if that is not finite.

        Returns the position of the sample that this leaves without a slot, possibly the offered
        one, or None while there is a slot for all.
        """
        position, self._offered = self._offered, self._offered + 1
        dropped = None
        if score is None:
            self._without_score.append(position)
        else:
            dropped = self._place(label, Scored(position, score))
        if dropped is not None:
            return dropped.position
        if self._without_score and len(self) > self._budget:
            return self._without_score.pop()
        return None

    def positions(self) -> list[int]:
        """Return the positions held, in order of arrival."""
        queues = [queue for queues in [*self._by_class, self._best_of_rest] for queue in queues]
        scored = [position for queue in queues for position in queue.positions()]
        return sorted(scored + self._without_score)

    def _place(self, label: int, sample: Scored) -> Scored | None:
        displaced = _offer_in_turn(self._by_class[label], sample)
        if displaced is None:
            self._in_classes += 1
            shares = shares_of_ends(self._budget - self._in_classes, self._both_ends)
            for queue, share in zip(self._best_of_rest, shares, strict=True):
                queue.capacity = share
        elif self._in_classes == self._budget:
            return displaced  # no free slots, as in most of a round
        return _offer_in_turn(self._best_of_rest, displaced)


def shares_of_ends(slots: int, both_ends: bool) -> list[int]:
    """Split slots between the highest and the lowest scores; all to the highest if not both."""
    return [(slots + 1) // 2, slots // 2] if both_ends else [slots]


def _queues(slots: int, both_ends: bool) -> list[BoundedQueue]:
    shares = shares_of_ends(slots, both_ends)
    return [BoundedQueue(share, lowest=end == 1) for end, share in enumerate(shares)]


def _offer_in_turn(queues: list[BoundedQueue], sample: Scored | None) -> Scored | None:
    """Offer a sample to the first queue, what that gives up to the next; return what is left."""
    for queue in queues:
        sample = queue.offer(sample)
    return sample
