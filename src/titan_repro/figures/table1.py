"""Table 1 of the paper: time to random selection's accuracy, and final accuracy.

A block a setting, a row a selector: the paper's eight first, then every other one that was run.
The best accuracy is bold where its paired interval over every other selector says that it is best.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from titan_repro.analysis.clocks import ChooseClock, OwnClock, choose_clock, timed
from titan_repro.analysis.comparison import PAPER_SELECTORS, Row, compare, order_labels
from titan_repro.analysis.load import Runs
from titan_repro.analysis.paired import gains
from titan_repro.analysis.replay import Replay
from titan_repro.analysis.statistics import Interval
from titan_repro.figures.beside_paper import Paper
from titan_repro.figures.comparison import (
    accuracy_cell,
    grouped_notes,
    ratio_cell,
    seeds_cell,
    untimed_notes,
    why_no_target,
)
from titan_repro.figures.gain import with_interval
from titan_repro.figures.planned import shown_runs
from titan_repro.figures.table import Bold, Table, no_runs, with_notes
from titan_repro.figures.titles import setting_title
from titan_repro.paper.published import TABLE1_ROUNDS

EXPERIMENTS = (
    "campaign_images",
    "campaign_baselines",
    "campaign_long",
    "campaign_resnet50",
    "campaign_resnet34",
    "campaign_movement",
)
FURTHER = ("fig7", "table1_images", "table1_audio", "table1_movement")
"""Experiments of which runs are shown, but none is missed."""

FEWEST_SEEDS = 3
"""Of which an interval may call a selector the best."""

LENGTHS = (4_000, TABLE1_ROUNDS)
"""Rounds at which settings are shown beside those that most of their runs have."""

NOTES = (
    "rounds / RS, time / RS: until the accuracy at which random selection (rs) of the same seed "
    "ended, over what rs took to get there; geometric mean over the seeds that did, (k of n) where "
    'not all did. "> x": none did within the whole run, which went on for x times what rs took.',
    "accuracy: final, on the whole test set, %, mean ± standard deviation over the seeds that "
    "finished; bold: above every other selector, by 95 % t intervals of the differences paired by "
    f"seed, of {FEWEST_SEEDS} seeds or more. over RS: points above rs of the same seed, mean and "
    "95 % interval.",
)


@dataclass(frozen=True)
class Data:
    """What the table shows.

    parts: runs, each cut at the rounds of their settings. notes: what is missing.
    """

    parts: Sequence[Runs]
    choose: ChooseClock
    notes: Sequence[str] = ()


def load(source: Path, replay_on: Callable[[str], Replay]) -> Data:
    """Read the runs of the paper's settings below `source`. Raises RunFolderError for no folder."""
    shown = shown_runs(source, EXPERIMENTS, further=FURTHER, else_all=True)
    if shown.runs is None:
        return Data([], lambda group: OwnClock(), shown.notes())
    choose = choose_clock(None, source, shown.runs, replay_on)
    parts = [shown.runs, *filter(None, (shown.at(rounds) for rounds in LENGTHS))]
    return Data(parts, choose, shown.notes())


def tables(data: Data) -> list[Table]:
    """Return a table for every setting and length, shorter ones first."""
    found: dict[tuple[str, int], tuple[pd.DataFrame, Runs]] = {}
    for runs in data.parts:
        for group in runs.settings():
            first = group.iloc[0]
            if (group["status"] == "finished").any() or runs is data.parts[0]:
                found.setdefault((first["setting"], int(first["rounds"])), (group, runs))
    settings = list(dict.fromkeys(setting for setting, _ in found))
    order = sorted(found, key=lambda key: (settings.index(key[0]), key[1]))
    made = [_table(found[key][0], found[key][1].curves, data.choose) for key in order]
    return with_notes(made or [no_runs("Table 1")], data.notes)


def _table(group: pd.DataFrame, curves: pd.DataFrame, choose: ChooseClock) -> Table:
    own = timed(group, curves[curves["run_id"].isin(group["run_id"])], choose(group))
    paper = Paper(group)
    rows = {row.label: row for row in compare(group, own.curves)}
    over_rs = {gain.label: gain.interval for gain in gains(group, "rs")}
    best = clearly_best(group)
    lines = [
        _line(label, rows.get(label), over_rs.get(label), paper, bold=label == best)
        for label in _labels(rows)
    ]
    header = (
        "selector",
        "seeds",
        "rounds / RS",
        *paper.header("rounds"),
        "time / RS",
        *paper.header("time"),
        "accuracy, %",
        *paper.header("accuracy"),
        "over RS, points",
    )
    return Table(
        f"{setting_title(group)}; time: {own.caption}",
        header,
        lines,
        (*_reasons(rows), *untimed_notes(own.untimed), *paper.notes(), *NOTES),
    )


def clearly_best(group: pd.DataFrame) -> str | None:
    """Return the label whose accuracy lies above that of every other one; None if none does.

    Above: the 95 % interval of their differences, paired by seed, lies above 0 and has at least
    FEWEST_SEEDS of them. Labels of which every seed diverged are below any.
    """
    finished = group[group["status"] == "finished"]
    means = finished.groupby("label")["final_accuracy"].mean().astype(float)
    if len(means) < 2:
        return None
    best = str(means.idxmax())
    others = [gain.interval for gain in gains(finished, best)]
    sure = all(each.number >= FEWEST_SEEDS and each.high < 0 for each in others)
    return best if sure else None


def _labels(found: Sequence[str] | dict[str, Row]) -> list[str]:
    """Return the paper's selectors, run or not, each with its variants, then all others."""
    labels: list[str] = []
    for selector in PAPER_SELECTORS:
        own = [label for label in order_labels(found) if label.split()[0] == selector]
        labels += own or [selector]
    return [*labels, *(label for label in order_labels(found) if label not in labels)]


def _line(
    label: str, row: Row | None, over_rs: Interval | None, paper: Paper, *, bold: bool
) -> tuple[str, ...]:
    selector = label.split()[0]
    beside = {kind: paper.cells(kind, selector) for kind in ("rounds", "time", "accuracy")}
    if row is None:
        cells: tuple[str, ...] = ("no run", "", "", "")
    else:
        cells = (
            seeds_cell(row),
            _ratio(row, row.rounds_ratio),
            _ratio(row, row.time_ratio),
            Bold(accuracy_cell(row, 1)) if bold else accuracy_cell(row, 1),
        )
    gained = "" if over_rs is None or over_rs.number == 0 else with_interval(over_rs)
    seeds, rounds, time, accuracy = cells
    parts = (rounds, *beside["rounds"], time, *beside["time"], accuracy, *beside["accuracy"])
    return (label, seeds, *parts, gained)


def _ratio(row: Row, ratio: float) -> str:
    partly = 0 < row.arrived < row.compared and not math.isnan(ratio)
    return ratio_cell(row, ratio) + (f" ({row.arrived} of {row.compared})" if partly else "")


def _reasons(rows: dict[str, Row]) -> tuple[str, ...]:
    """Say why seeds have no target, where some have none."""
    words = {label: why_no_target(row) for label, row in rows.items()}
    return grouped_notes("Seeds without a target", {k: why for k, why in words.items() if why})
