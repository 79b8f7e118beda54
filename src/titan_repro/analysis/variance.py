"""Measurements of batch variance (experiment=fig5, why) as records for tables and figures."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from titan_repro.analysis.costs import place_of
from titan_repro.errors import RunFolderError
from titan_repro.records.measured import VARIANCE, machine_of, measurements_below
from titan_repro.records.variance import (
    LAST_LAYER,
    BatchError,
    Findings,
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
