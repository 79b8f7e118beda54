"""`titan-report compare` in words: a table a setting, a row a selector."""

import math
from collections.abc import Mapping

import pandas as pd

from titan_repro.analysis.clocks import ChooseClock, timed
from titan_repro.analysis.comparison import Row, compare
from titan_repro.analysis.load import Runs
from titan_repro.analysis.time_to_accuracy import COMPARED, Outcome
from titan_repro.figures.table import Table
from titan_repro.figures.titles import setting_title

NOTES = (
    "Final accuracy: on the whole test set, mean ± standard deviation over the seeds that "
    "finished.",
    "RS's accuracy: where random selection (rs) of the same seed ended, on the fixed part of the "
    "test set that is measured during a run. Rounds and time: until that accuracy, over what rs "
    'took to get there first; geometric mean over the seeds that did. "> x": no seed did within '
    "the whole run, which went on for x times what rs took. Rounds are the same on every clock.",
)

HEADER = (
    "selector",
    "seeds",
    "final accuracy, %",
    "reached RS's accuracy",
    "rounds / RS",
    "time / RS",
    "ms a round",
)


def comparison_tables(runs: Runs, choose_clock: ChooseClock) -> list[Table]:
    """Return a table for every setting among the runs, named by its title."""
    return [comparison_table(group, runs.curves, choose_clock) for group in runs.settings()]


def comparison_table(group: pd.DataFrame, curves: pd.DataFrame, choose_clock: ChooseClock) -> Table:
    """Return the table of one setting. group, curves: as those of `Runs`."""
    own = timed(group, curves[curves["run_id"].isin(group["run_id"])], choose_clock(group))
    rows = [
        (
            row.label,
            seeds_cell(row),
            accuracy_cell(row),
            arrival_cell(row),
            ratio_cell(row, row.rounds_ratio),
            ratio_cell(row, row.time_ratio),
            number_cell(row.milliseconds),
        )
        for row in compare(group, own.curves)
    ]
    title = f"{setting_title(group)}; time: {own.caption}"
    return Table(title, HEADER, rows, (*untimed_notes(own.untimed), *NOTES))


def untimed_notes(untimed: Mapping[str, str]) -> tuple[str, ...]:
    """Say which selectors have no time on the clock, and why."""
    return grouped_notes("No time on this clock", untimed)


def grouped_notes(start: str, reasons: Mapping[str, str]) -> tuple[str, ...]:
    """Return a sentence that names, for each reason, the labels it is true of; none for none."""
    labels: dict[str, list[str]] = {}
    for label, reason in reasons.items():
        labels.setdefault(reason, []).append(label)
    parts = [f"{', '.join(each)} ({reason})" for reason, each in labels.items()]
    return (f"{start}: {'; '.join(parts)}.",) if parts else ()


def seeds_cell(row: Row) -> str:
    """Write how many seeds there are, and how many of them diverged."""
    return str(row.seeds) + (f" ({row.diverged} diverged)" if row.diverged else "")


def accuracy_cell(row: Row, places: int = 2) -> str:
    """Write mean ± standard deviation in percent, or that every seed diverged."""
    if math.isnan(row.accuracy):
        return "diverged"
    spread = "" if math.isnan(row.accuracy_spread) else f" ± {100 * row.accuracy_spread:.{places}f}"
    return f"{100 * row.accuracy:.{places}f}{spread}"


def arrival_cell(row: Row) -> str:
    """Write how many of the seeds with a target reached it, and why others have none."""
    if row.compared == 0:
        return why_no_target(row)
    fewer = "" if row.compared == row.seeds else f" ({why_no_target(row)})"
    return f"{row.arrived} of {row.compared}{fewer}"


def why_no_target(row: Row) -> str:
    """Say why seeds have no target."""
    return ", ".join(outcome for outcome in row.outcomes if outcome not in COMPARED)


def ratio_cell(row: Row, ratio: float) -> str:
    """Write a ratio to random selection's rounds or time, or the word for its absence."""
    if row.compared == 0:
        return "no target"
    if row.arrived == 0 and Outcome.NEVER not in row.outcomes:
        return "diverged"
    if math.isnan(ratio):
        return "no time"
    return f"{ratio:.2f}" if row.arrived else f"> {ratio:.2f}"


def number_cell(milliseconds: float) -> str:
    """Write a time, or that the clock has none."""
    return "no time" if math.isnan(milliseconds) else f"{milliseconds:.2f}"
