"""Measurements of batch variance (experiment=fig5, why) as records for tables and figures."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from titan_repro.analysis.costs import place_of
from titan_repro.errors import RunFolderError
from titan_repro.records.measured import VARIANCE, machine_of, measurements_below
from titan_repro.records.variance import (
    LAST_LAYER,
    BatchError,
    Findings,
    Stability,
    StateVariance,
    findings_of,
)


@dataclass(frozen=True)
class VarianceRecord:
    """One variance.json. facts: its other entries (records.variance.FACTS among them)."""

    facts: Mapping[str, Any]
    findings: Findings
    path: Path

    @property
    def model(self) -> str:
        """The model's name."""
        return str(self.facts["model"])

    @property
    def title(self) -> str:
        """What was measured, and along which training."""
        return f"{self.training}, seed {self.facts['seed']}"

    @property
    def training(self) -> str:
        """What was measured, whatever the seed."""
        facts = self.facts
        return f"{facts['task']}, {facts['model']}, trained by {facts['trained_by']}"

    @property
    def batch_size(self) -> int:
        """The batch that training takes."""
        return int(self.facts["batch_size"])

    @property
    def states(self) -> list[int]:
        """Rounds after which was measured, ascending."""
        return sorted({split.state for split in self.findings.decomposition})

    @property
    def batch_sizes(self) -> list[int]:
        """Batches that were drawn, ascending."""
        rows = self.findings.errors
        return sorted({row.batch_size for row in rows if row.gradients == LAST_LAYER})

    @property
    def selectors(self) -> list[str]:
        """Whose batches were drawn, as configured, and the batches picked knowing the mean."""
        return list(dict.fromkeys(row.selector for row in self.findings.errors))

    @property
    def gradients(self) -> list[str]:
        """The kinds of gradients that were measured."""
        return list(dict.fromkeys(row.gradients for row in self.findings.errors))

    def machine(self) -> str:
        """Name the processor that the measurement was made on."""
        return machine_of(self.path)

    def split(self, state: int, gradients: str = LAST_LAYER) -> StateVariance | None:
        """Return the decomposition at a state; None if these gradients were not measured."""
        for split in self.findings.decomposition:
            if (split.state, split.gradients) == (state, gradients):
                return split
        return None

    def error(
        self, state: int, size: int, selector: str, gradients: str = LAST_LAYER
    ) -> BatchError | None:
        """Return what a selector's batches were off by; None if that was not measured."""
        wanted = (state, gradients, size, selector)
        for row in self.findings.errors:
            if (row.state, row.gradients, row.batch_size, row.selector) == wanted:
                return row
        return None

    def over_rs(
        self,
        state: int,
        size: int,
        selector: str,
        gradients: str = LAST_LAYER,
        part: str = "mean_squared",
    ) -> float:
        """Return a part of a selector's error over the mean squared error of rs; NaN if unknown.

        part: mean_squared, variance, squared_bias or standard_error. That of rs is its variance; as
        `rs` draws without replacement, it is known in closed form but for gradients as trained.
        """
        own, random = (self.error(state, size, name, gradients) for name in (selector, "rs"))
        split = self.split(state, gradients)
        if own is None or random is None:
            return math.nan
        scale = random.mean_squared if split is None else split.rs_batch(size)
        return float(getattr(own, part)) / scale if scale > 0 else math.nan

    def least(self, state: int, size: int, gradients: str = LAST_LAYER) -> float:
        """Return Lemma 2's least variance over that of rs.

        It lets quotas be fractions, so no batch of fewer samples than classes gets there. NaN if
        not measured, or the batch is the round.
        """
        split = self.split(state, gradients)
        if split is None or split.rs_batch(size) <= 0:
            return math.nan
        return split.cis / size / split.rs_batch(size)

    def optimum_of_is(self, state: int, size: int, gradients: str = LAST_LAYER) -> float:
        """Return Lemma 1's least variance over that of rs, NaN likewise."""
        split = self.split(state, gradients)
        if split is None or split.rs_batch(size) <= 0:
            return math.nan
        return split.importance_sampling / size / split.rs_batch(size)


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


def load_variance(folder: Path) -> list[VarianceRecord]:
    """Read every variance.json below `folder`, models in the paper's order.

    Raises RunFolderError if there are none, and naming the file for one that is damaged.
    """
    if not folder.is_dir():
        raise RunFolderError(
            f"{folder}: no such folder; allowed: a folder that titan-run or "
            "titan-report export wrote to"
        )
    found = measurements_below(folder, VARIANCE, findings_of)
    if not found:
        raise RunFolderError(
            f"{folder}: found no measurements; titan-run experiment=fig5 with paths.runs makes them"
        )
    records = [VarianceRecord(content, findings_of(content), path) for path, content in found]
    return sorted(records, key=lambda each: (place_of(each.model), each.title))
