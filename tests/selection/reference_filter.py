"""The coarse filter, plain and slow: every number exact, every set by its definition.

Written from the specification and not from the code under test: fractions instead of floats,
sorted lists instead of queues, no state but three sums a class.
"""

import math
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

import numpy as np


@dataclass
class ClassSums:
    count: Fraction = Fraction(0)
    feature: list[Fraction] = field(default_factory=list)
    square: Fraction = Fraction(0)


@dataclass(frozen=True)
class Sample:
    position: int
    label: int
    score: np.float32 | float | None  # None: the feature is not finite


class ReferenceFilter:
    def __init__(self, budget: int, score: str, quota: str, decay: float, num_classes: int):
        self.budget, self.score, self.quota = budget, score, quota
        self.decay = Fraction(decay)
        self.classes = [ClassSums() for _ in range(num_classes)]

    def admit(
        self, features: list[list[float]], labels: list[int], draws: list[float], start: float = 0.5
    ) -> list:
        """Return the positions kept.

        draws: the random numbers of score `random`. start: that of quota `per_class_drawn`.
        """
        for sums in self.classes:
            sums.count *= self.decay
            sums.feature = [x * self.decay for x in sums.feature]
            sums.square *= self.decay
        quotas = self.quotas(start)
        samples = []
        for position, (feature, label, draw) in enumerate(
            zip(features, labels, draws, strict=True)
        ):
            samples.append(Sample(position, label, self.score_of(feature, label, draw)))
        return self.keep(samples, quotas)

    def score_of(self, feature: list[float], label: int, draw: float) -> np.float32 | float | None:
        sums = self.classes[label]
        if self.score == "random":
            sums.count += 1
            return draw
        if not all(math.isfinite(x) for x in feature):
            return None
        f = [Fraction(x) for x in feature]
        square = sum(x * x for x in f)
        sums.count += 1
        sums.feature = [a + b for a, b in zip(sums.feature or [0] * len(f), f, strict=True)]
        sums.square += square
        m = [x / sums.count for x in sums.feature]
        q = sums.square / sums.count
        exact = {
            "rep": -sum((a - b) ** 2 for a, b in zip(f, m, strict=True)),
            "rank_mix": -sum((a - b) ** 2 for a, b in zip(f, m, strict=True)),
            "div": square + q - 2 * sum(a * b for a, b in zip(f, m, strict=True)),
            "rep_plus_div": q - sum(x * x for x in m),
        }[self.score]
        return np.float32(exact) if abs(exact) > Fraction(1e-12) * (square + q) else np.float32(0)

    def quotas(self, start: float) -> list[int]:
        counts = [sums.count for sums in self.classes]
        if self.quota == "global":
            return [0] * len(counts)
        if self.quota in ("per_class_proportional", "per_class_drawn"):
            mass = [count + 1 for count in counts]
        else:
            mass = [Fraction(count > 0) for count in counts]
            if not any(mass):
                mass = [Fraction(1)] * len(counts)
        shares = [self.budget * m / sum(mass) for m in mass]
        if self.quota == "per_class_drawn":  # the points start, start + 1, ... in each share
            ends = [sum(shares[: y + 1]) - Fraction(start) for y in range(len(shares))]
            below = [0, *(max(math.ceil(end), 0) for end in ends)]
            return [high - low for low, high in pairwise(below)]
        whole = [math.floor(share) for share in shares]
        for y in sorted(range(len(mass)), key=lambda y: (whole[y] - shares[y], y)):
            if sum(whole) < self.budget:
                whole[y] += 1
        return whole

    def keep(self, samples: list[Sample], quotas: list[int]) -> list[int]:
        finite = [s for s in samples if s.score is not None]
        kept: list[Sample] = []
        for y, quota in enumerate(quotas):
            kept += self.best([s for s in finite if s.label == y], quota)
        kept += self.best([s for s in finite if s not in kept], self.budget - len(kept))
        kept += [s for s in samples if s.score is None][: self.budget - len(kept)]
        return sorted(s.position for s in kept)

    def best(self, samples: list[Sample], slots: int) -> list[Sample]:
        """Return the best samples; `samples` are in order of arrival, and sorting is stable."""
        highest_first = sorted(samples, key=lambda s: -s.score)
        if self.score != "rank_mix":
            return highest_first[:slots]
        highest = highest_first[: math.ceil(slots / 2)]
        others = [s for s in samples if s not in highest]
        return highest + sorted(others, key=lambda s: s.score)[: slots // 2]
