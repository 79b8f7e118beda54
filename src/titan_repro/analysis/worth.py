"""What selectors' batches are off by, beside what the same selectors gain in accuracy."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from titan_repro.analysis.paired import Gain, gains
from titan_repro.analysis.variance import VarianceRecord

COMPARED = ("stratified", "is", "cis", "titan")
"""Selectors whose gain stands beside the variance that they leave."""


@dataclass(frozen=True)
class MeasuredSetting:
    """A measurement and the runs of its task and model, if there are any with rs among them."""

    record: VarianceRecord
    runs: pd.DataFrame | None

    def gains(self) -> list[Gain]:
        """Return what the compared selectors gain, those with a pair of runs."""
        found = [] if self.runs is None else gains(self.runs, "rs")
        return [gain for gain in found if gain.label in COMPARED and gain.interval.number]

    def error(self, selector: str) -> float:
        """Return a selector's error over that of rs, geometric mean over trained states.

        The untrained network's is left out. NaN if there is none.
        """
        record = self.record
        trained = [state for state in record.states if state > 0]
        errors = [record.over_rs(state, record.batch_size, selector) for state in trained]
        return float(np.exp(np.mean(np.log(errors)))) if errors and min(errors) > 0 else math.nan


def runs_beside(summaries: pd.DataFrame, record: VarianceRecord) -> pd.DataFrame | None:
    """Return the runs of a measurement's task and model on the clean stream, of one setting.

    Of several settings that one with most seeds of rs, then most rounds. None if there are none.
    """
    if summaries.empty:
        return None
    wanted = zip(("task", "model", "stream"), (*_of(record), "clean"), strict=True)
    here = summaries
    for column, value in wanted:
        here = here[here[column] == value]
    found = [group for _, group in here.groupby("setting") if (group["label"] == "rs").any()]
    return max(found, key=_seeds_and_rounds, default=None)


def _of(record: VarianceRecord) -> tuple[str, str]:
    return str(record.facts["task"]), record.model


def _seeds_and_rounds(group: pd.DataFrame) -> tuple[int, int]:
    return int((group["label"] == "rs").sum()), int(group["rounds"].max())
