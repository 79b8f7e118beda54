"""Selectors side by side: final accuracy, and rounds and time until random selection's."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from titan_repro.analysis.time_to_accuracy import COMPARED, Outcome, geometric_mean, time_to_rs

PAPER_SELECTORS = ("rs", "is", "ll", "hl", "ce", "ocs", "camel", "titan")
"""The columns of Table 1."""

SELECTOR_ORDER = (
    "rs",
    "stratified",
    "is",
    "ll",
    "hl",
    "ce",
    "ocs",
    "camel",
    "cis",
    "titan_literal",
    "titan",
    "titan_random",
    "titan_equal",
    "camel_equal",
    "grad_topk",
    "el2n",
    "rho_loss",
    "uds",
    "divbs",
    "craig",
    "gradmatch",
    "kcenter",
    "rs2",
    "ours",
)
"""All selectors: the paper's and their controls, then other policies of the field, then our own."""


@dataclass(frozen=True)
class Row:
    """One selector over all its seeds. Accuracies are fractions, on the whole test set.

    compared, arrived: seeds that have a target, and of these the ones that reached it.
    outcomes: what became of its runs, each kind once.
    rounds_ratio, time_ratio: rounds or seconds to the target, over those that random selection
        needed to get there first: geometric mean over the seeds that arrived. If none did, what
        it exceeds: geometric mean over the seeds that finished without arriving. NaN without any,
        or where the clock has no time for the selector.
    milliseconds: of a round on the clock, median over runs; NaN where it has none.
    """

    label: str
    seeds: int
    diverged: int
    accuracy: float
    accuracy_spread: float
    compared: int
    arrived: int
    outcomes: tuple[Outcome, ...]
    rounds_ratio: float
    time_ratio: float
    milliseconds: float

    @property
    def selector(self) -> str:
        """The selector's name, without the choices that tell its variants apart."""
        return self.label.split()[0]


def order_labels(labels: Iterable[str]) -> list[str]:
    """Sort selectors, with or without choices behind them, as the paper's table does."""
    known = {name: position for position, name in enumerate(SELECTOR_ORDER)}
    return sorted(set(labels), key=lambda label: (known.get(label.split()[0], len(known)), label))


def compare(runs: pd.DataFrame, curves: pd.DataFrame) -> list[Row]:
    """Compare the selectors of one setting: same task, model, stream, rounds and so on.

    runs: one row a finished or diverged run, as `Runs.summaries`. curves: as `Runs.curves`, with a
    column `seconds` of the clock (`analysis.clocks.timed` adds it).
    """
    raced = time_to_rs(runs, curves)
    return [
        _row(label, runs[runs["label"] == label], raced[raced["label"] == label], curves)
        for label in order_labels(runs["label"])
    ]


def _row(label: str, own: pd.DataFrame, raced: pd.DataFrame, curves: pd.DataFrame) -> Row:
    accuracies = own.loc[own["status"] == "finished", "final_accuracy"].astype(float)
    arrived = raced[raced["outcome"] == Outcome.ARRIVED]
    decisive = arrived if len(arrived) else raced[raced["outcome"] == Outcome.NEVER]
    return Row(
        label=label,
        seeds=len(own),
        diverged=int((own["status"] == "diverged").sum()),
        accuracy=float(accuracies.mean()),
        accuracy_spread=float(accuracies.std(ddof=1)) if len(accuracies) > 1 else math.nan,
        compared=int(raced["outcome"].isin(COMPARED).sum()),
        arrived=len(arrived),
        outcomes=tuple(outcome for outcome in Outcome if (raced["outcome"] == outcome).any()),
        rounds_ratio=geometric_mean(decisive["rounds_ratio"]),
        time_ratio=geometric_mean(decisive["time_ratio"]),
        milliseconds=_milliseconds(curves[curves["run_id"].isin(own["run_id"])]),
    )


def _milliseconds(curves: pd.DataFrame) -> float:
    """Return the median over runs of their mean time of a round; NaN if nothing was timed."""
    last = curves[curves["round"] > 0].sort_values("round").groupby("run_id").last()
    return 1000 * float((last["seconds"].astype(float) / last["round"].astype(float)).median())
