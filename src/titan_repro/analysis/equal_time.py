"""What a selector gains over random selection in the time that random selection took.

Accuracy at equal rounds gives scoring away for nothing. Here a run counts only as far as it came
while random selection (rs) of the same seed did all of its rounds, on one clock for both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from titan_repro.analysis.comparison import order_labels
from titan_repro.analysis.statistics import Interval, mean_interval

REFERENCE = "rs"


@dataclass(frozen=True)
class TimedGain:
    """What the runs of one label gain over rs of their seed, in points of accuracy.

    Accuracies are those of the curves, on the fixed part of the test set; between two evaluations
    they are taken from the line through both.

    deltas: (n,) one a seed, at the end of the time that rs took. interval: of their mean, 95 %, by
    the t distribution. share: of the rounds of rs that were done by then, mean; at most 1, as runs
    end with rs's rounds.
    """

    label: str
    deltas: np.ndarray
    interval: Interval
    share: float


def gains_at_equal_time(runs: pd.DataFrame, timed: pd.DataFrame) -> list[TimedGain]:
    """Return the gain of every label of one setting but rs, in the order of tables.

    runs: as `Runs.summaries`. timed: their curves with a column `seconds`, as `clocks.timed` makes
    them. Runs that diverged, without an rs of their seed or without a time make no pair; a label
    without pairs has no deltas.
    """
    return _gains(runs, timed, "seconds")


def gains_at_equal_rounds(runs: pd.DataFrame, curves: pd.DataFrame) -> list[TimedGain]:
    """Return the same where every round counts alike, whatever it took."""
    return _gains(runs, curves, "round")


def _gains(runs: pd.DataFrame, curves: pd.DataFrame, measure: str) -> list[TimedGain]:
    finished = runs[runs["status"] == "finished"]
    known = curves.dropna(subset=[measure])
    by_run = {str(run_id): own.sort_values("round") for run_id, own in known.groupby("run_id")}
    random = {
        int(run["seed"]): by_run[str(run["run_id"])]
        for run in finished[finished["label"] == REFERENCE].to_dict("records")
        if str(run["run_id"]) in by_run
    }
    found = []
    for label in order_labels(runs["label"]):
        if label == REFERENCE:
            continue
        own = finished[finished["label"] == label]
        pairs = [
            _pair(by_run[str(run["run_id"])], random[int(run["seed"])], measure)
            for run in own.sort_values("seed").to_dict("records")
            if str(run["run_id"]) in by_run and int(run["seed"]) in random
        ]
        found.append(_gain(label, pairs))
    return found


def _pair(own: pd.DataFrame, random: pd.DataFrame, measure: str) -> tuple[float, float]:
    """Return the points gained when rs ended, and the share of its rounds done by then."""
    end = random.iloc[-1]
    reached = np.minimum(end[measure], own[measure].iloc[-1])
    accuracy, rounds = (np.interp(reached, own[measure], own[of]) for of in ("accuracy", "round"))
    gained = 100 * (float(accuracy) - float(end["accuracy"]))
    return gained, float(rounds) / float(end["round"])


def _gain(label: str, pairs: Sequence[tuple[float, float]]) -> TimedGain:
    deltas = np.array([gained for gained, _ in pairs])
    share = float(np.mean([share for _, share in pairs])) if pairs else float("nan")
    return TimedGain(label, deltas, mean_interval(deltas), share)
