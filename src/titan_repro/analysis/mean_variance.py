"""Measurements of batch variance along trainings that differ in the seed alone, averaged."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from titan_repro.analysis.variance import VarianceRecord
from titan_repro.records.variance import Stability


@dataclass(frozen=True)
class MeanVariance:
    """Measurements along trainings that differ in the seed alone; a number is the mean of theirs.

    records: at least one, ascending by seed. A mean is NaN where one of them lacks the number.
    """

    records: Sequence[VarianceRecord]

    @property
    def model(self) -> str:
        """The model's name."""
        return self.records[0].model

    @property
    def title(self) -> str:
        """What was measured, along which training, with which seeds."""
        first, *others = self.records
        if not others:
            return first.title
        return f"{first.training}, mean of seeds {', '.join(self.seeds)}"

    @property
    def seeds(self) -> list[str]:
        """The seeds, as words."""
        return [str(each.facts["seed"]) for each in self.records]

    @property
    def batch_size(self) -> int:
        """The batch that training takes."""
        return self.records[0].batch_size

    @property
    def states(self) -> list[int]:
        """Rounds after which any of them was measured, ascending."""
        return sorted({state for each in self.records for state in each.states})

    @property
    def batch_sizes(self) -> list[int]:
        """Batches that any of them drew, ascending."""
        return sorted({size for each in self.records for size in each.batch_sizes})

    @property
    def selectors(self) -> list[str]:
        """Whose batches any of them drew, as configured."""
        return list(dict.fromkeys(name for each in self.records for name in each.selectors))

    def over_rs(self, state: int, size: int, selector: str, part: str = "mean_squared") -> float:
        """Return what `VarianceRecord.over_rs` says of the last layer."""
        return self._mean(lambda each: each.over_rs(state, size, selector, part=part))

    def uncertainty(self, state: int, size: int, selector: str) -> float:
        """Return the standard error of `over_rs`: over seeds, of the draws if there is one seed."""
        if len(self.records) == 1:
            return self.over_rs(state, size, selector, "standard_error")
        found = [each.over_rs(state, size, selector) for each in self.records]
        return float(np.std(found, ddof=1) / math.sqrt(len(found)))

    def least(self, state: int, size: int) -> float:
        """Return what `VarianceRecord.least` says of the last layer."""
        return self._mean(lambda each: each.least(state, size))

    def optimum_of_is(self, state: int, size: int) -> float:
        """Return what `VarianceRecord.optimum_of_is` says of the last layer."""
        return self._mean(lambda each: each.optimum_of_is(state, size))

    def stability(self, state: int) -> dict[int, tuple[float, float]]:
        """Return, by lag, Pearson's correlation of importance and that of ranks."""
        found: dict[int, list[Stability]] = {}
        for each in self.records:
            for row in each.findings.stability:
                if row.state == state:
                    found.setdefault(row.lag, []).append(row)
        return {
            lag: (
                float(np.mean([row.pearson for row in rows])),
                float(np.mean([row.spearman for row in rows])),
            )
            for lag, rows in sorted(found.items())
        }

    def _mean(self, number: Callable[[VarianceRecord], float]) -> float:
        return float(np.mean([number(each) for each in self.records]))


def over_seeds(records: Sequence[VarianceRecord]) -> list[MeanVariance]:
    """Return the measurements by training, in the order of their first; seeds ascend."""
    groups: dict[str, list[VarianceRecord]] = {}
    for each in records:
        groups.setdefault(each.training, []).append(each)
    return [
        MeanVariance(sorted(group, key=lambda each: int(each.facts["seed"])))
        for group in groups.values()
    ]
