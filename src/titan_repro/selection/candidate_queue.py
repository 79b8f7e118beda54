"""Which samples of a round the candidate buffer keeps: sample by sample, and all at once.

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
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

Slots = TypeVar("Slots", int, Tensor)


@dataclass(frozen=True)
class Scored:
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
        return heapq.heappop(self._heap)[-1] if len(self) > self.capacity else None

    def positions(self) -> list[int]:
        """Return the positions of the samples held, in no particular order."""
        return [sample.position for _, _, sample in self._heap]


class CandidateQueue:
    """The candidate buffer of one round, filled sample by sample; never more than `budget`."""

    def __init__(self, budget: int, quotas: Sequence[int], both_ends: bool) -> None:
        self._budget = budget
        self._by_class = [_queues(quota, both_ends) for quota in quotas]
        self._best_of_rest = _queues(budget, both_ends)
        self._in_classes = 0
        self._without_score: list[int] = []

    def __len__(self) -> int:
        return self._in_classes + sum(map(len, self._best_of_rest)) + len(self._without_score)

    def offer(self, position: int, label: int, score: float | None) -> int | None:
        """Consider the sample that arrived at `position`; None for a score that is not finite.

        Positions must increase. Returns the position of the sample that this leaves without a
        slot, possibly the offered one, and None while there is a slot for everyone.
        """
        dropped = None
        if score is None:
            self._without_score.append(position)
        else:
            dropped = self._place(label, Scored(position, score))
        if dropped is not None:
            return dropped.position
        return self._without_score.pop() if len(self) > self._budget else None

    def positions(self) -> list[int]:
        """Return the positions held, in order of arrival."""
        queues = [queue for queues in [*self._by_class, self._best_of_rest] for queue in queues]
        scored = [position for queue in queues for position in queue.positions()]
        return sorted(scored + self._without_score)

    def _place(self, label: int, sample: Scored) -> Scored | None:
        displaced = _offer_in_turn(self._by_class[label], sample)
        if displaced is None:
            self._in_classes += 1
            free = self._budget - self._in_classes
            shares = shares_of_ends(free, both_ends=len(self._best_of_rest) == 2)
            for queue, share in zip(self._best_of_rest, shares, strict=True):
                queue.capacity = share
        return _offer_in_turn(self._best_of_rest, displaced)


def kept_positions(
    scores: Sequence[float | None],
    labels: Sequence[int],
    quotas: Sequence[int],
    budget: int,
    both_ends: bool,
) -> list[int]:
    """Return the positions that `CandidateQueue` would hold at the end, in order of arrival.

    scores: of each sample in order of arrival, None if not finite. labels: likewise.
    """
    scored = {i: score for i, score in enumerate(scores) if score is not None}
    highest_first = sorted(scored, key=lambda i: -scored[i])
    ends = [highest_first, sorted(scored, key=scored.__getitem__)] if both_ends else [highest_first]
    kept: set[int] = set()
    by_class = zip(*(shares_of_ends(quota, both_ends) for quota in quotas), strict=True)
    for order, shares in zip(ends, by_class, strict=True):
        room = list(shares)
        for i in order:
            if i not in kept and room[labels[i]] > 0:
                room[labels[i]] -= 1
                kept.add(i)
    free = budget - len(kept)
    for order, share in zip(ends, shares_of_ends(free, both_ends), strict=True):
        kept.update([i for i in order if i not in kept][:share])
    without_score = [i for i in range(len(scores)) if i not in scored]
    return sorted([*kept, *without_score[: budget - len(kept)]])


def kept_samples(
    scores: Tensor, finite: Tensor, members: Tensor, quotas: Tensor, budget: int, both_ends: bool
) -> Tensor:
    """Do as `kept_positions` on tensors; return which samples are kept, (v,) bool.

    scores: (v,) in order of arrival. finite: (v,) bool. members: (v, C) bool, True at the
    sample's class. quotas: (C,) int64, of sum at most `budget` <= v. Nothing here waits for a GPU.
    """
    highest_first = scores.argsort(descending=True, stable=True)
    ends = [highest_first, scores.argsort(stable=True)] if both_ends else [highest_first]
    arrival = torch.arange(len(scores), device=scores.device)
    kept = torch.zeros_like(finite)
    for order, quota in zip(ends, shares_of_ends(quotas, both_ends), strict=True):
        kept = kept | _first(order, members & (finite & ~kept)[:, None], quota)
    free = budget - kept.sum()
    for order, share in zip(ends, shares_of_ends(free, both_ends), strict=True):
        kept = kept | _first(order, (finite & ~kept)[:, None], share)
    return kept | _first(arrival, ~finite[:, None], budget - kept.sum())


def shares_of_ends(slots: Slots, both_ends: bool) -> list[Slots]:
    """Split slots between the highest and the lowest scores; all to the highest if not both."""
    return [(slots + 1) // 2, slots // 2] if both_ends else [slots]


def _first(order: Tensor, groups: Tensor, capacities: Tensor) -> Tensor:
    """Return the first `capacities` (G,) members of each group (v, G) in an order (v,); (v,)."""
    in_order = groups[order]  # (v, G)
    among_first = (in_order & (in_order.cumsum(0) <= capacities)).any(1)
    return torch.empty_like(among_first).scatter(0, order, among_first)


def _queues(slots: int, both_ends: bool) -> list[BoundedQueue]:
    shares = shares_of_ends(slots, both_ends)
    return [BoundedQueue(share, lowest=end == 1) for end, share in enumerate(shares)]


def _offer_in_turn(queues: list[BoundedQueue], sample: Scored | None) -> Scored | None:
    """Offer a sample to the first queue, what that gives up to the next; return what is left."""
    for queue in queues:
        sample = queue.offer(sample)
    return sample
