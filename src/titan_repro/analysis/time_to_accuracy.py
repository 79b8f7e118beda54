"""Time to random selection's accuracy: the paper's central number, in one place.

A run's target is the accuracy at which random selection (rs) of the same seed ended, on the fixed
part of the test set that is measured during a run. Runs of a seed begin with the same weights and
so with the same accuracy. Where rs ends no better than it began, every run has met such a target
before its first round: there is nothing to be timed, and the seed has no target.

A run that never arrives is censored, as in the analysis of survival: what is known is that it takes
longer than the run went on. A diverged run that had not arrived never will.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd


class Outcome(StrEnum):
    """What became of a run's race against random selection; the value is the word for it."""

    ARRIVED = "arrived"
    NEVER = "never arrived"
    DIVERGED = "diverged"
    NO_RS = "no rs of that seed"
    RS_DIVERGED = "rs diverged"
    NO_GAIN = "rs ended no better than it began"


COMPARED = (Outcome.ARRIVED, Outcome.NEVER, Outcome.DIVERGED)
"""Outcomes of runs that have a target."""

COLUMNS = (
    "run_id",
    "label",
    "seed",
    "outcome",
    "target",
    "random_id",
    "round",
    "random_round",
    "seconds",
    "random_seconds",
    "rounds_ratio",
    "time_ratio",
)


@dataclass(frozen=True)
class Target:
    """What runs of one seed are held against.

    outcome: None if there is a target, else why there is none.
    accuracy: the target, 0 to 1. random_id: the run of random selection that set it.
    round, seconds: after which that one was first measured there.
    """

    outcome: Outcome | None
    accuracy: float = math.nan
    random_id: str = ""
    round: float = math.nan
    seconds: float = math.nan


def time_to_rs(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Race every run of one setting against random selection of its seed.

    runs: a row a run with run_id, label, selector, seed, status ("finished" or "diverged").
    curves: a row an evaluation with run_id, round (rounds trained before it), accuracy (0 to 1) and
        seconds (time of these rounds on some clock; NaN where it has none).
    Returns a row a run of `runs`, in its order, with COLUMNS:
        outcome: the value of an Outcome. target: accuracy; random_id: of the run that set it.
        round, seconds: when the run was first measured at the target; of one that was not, when it
            was last measured at all. random_round, random_seconds: when random selection got there.
        rounds_ratio, time_ratio: the first over the second: of a run that did not arrive, what its
            ratio exceeds. All NaN (random_id "") for a run without a target.
    If a seed has several runs of random selection, as a sweep over its choices makes, the first
    label in alphabetical order sets the target.
    """
    by_run = {str(run_id): own.sort_values("round") for run_id, own in curves.groupby("run_id")}
    targets = _targets(runs, by_run)
    rows = [
        _race(run, by_run.get(str(run["run_id"])), targets.get(run["seed"], Target(Outcome.NO_RS)))
        for run in runs.to_dict("records")
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _targets(runs: pd.DataFrame, by_run: Mapping[str, pd.DataFrame]) -> dict[Any, Target]:
    """Return the target of every seed that has a run of random selection."""
    targets: dict[Any, Target] = {}
    for run in runs[runs["selector"] == "rs"].sort_values("label").to_dict("records"):
        if run["seed"] not in targets or targets[run["seed"]].outcome is Outcome.RS_DIVERGED:
            targets[run["seed"]] = _target(run, by_run.get(str(run["run_id"])))
    return targets


def _target(run: Mapping[Any, Any], curve: pd.DataFrame | None) -> Target:
    if run["status"] != "finished" or curve is None:
        return Target(Outcome.RS_DIVERGED)
    accuracy = float(curve["accuracy"].iloc[-1])
    first = curve[curve["accuracy"] >= accuracy].iloc[0]
    if first["round"] == 0:
        return Target(Outcome.NO_GAIN)
    when = float(first["round"]), float(first["seconds"])
    return Target(None, accuracy, str(run["run_id"]), *when)


def _race(
    run: Mapping[Any, Any], curve: pd.DataFrame | None, target: Target
) -> tuple[str | float | Outcome, ...]:
    who = run["run_id"], run["label"], run["seed"]
    if target.outcome is not None:
        return (*who, target.outcome, math.nan, "", *[math.nan] * 6)
    there = None if curve is None else curve[curve["accuracy"] >= target.accuracy]
    if there is not None and len(there):
        outcome, when = Outcome.ARRIVED, there.iloc[0]
    else:
        outcome = Outcome.DIVERGED if run["status"] == "diverged" else Outcome.NEVER
        when = pd.Series({"round": 0, "seconds": 0}) if curve is None else curve.iloc[-1]
    rounds, seconds = float(when["round"]), float(when["seconds"])
    ratios = rounds / target.round, seconds / target.seconds if target.seconds else math.nan
    pairs = rounds, target.round, seconds, target.seconds
    return (*who, outcome, target.accuracy, target.random_id, *pairs, *ratios)


def geometric_mean(ratios: "pd.Series[float]") -> float:
    """Return the geometric mean of positive numbers; NaN if there are none or one is NaN."""
    numbers = ratios.to_numpy(dtype=float)
    if len(numbers) == 0 or np.isnan(numbers).any():
        return math.nan
    with np.errstate(divide="ignore"):  # a run that ended before its first round: 0
        return float(np.exp(np.log(numbers).mean()))
