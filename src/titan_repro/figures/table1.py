"""Table 1 of the paper: time to random selection's accuracy, and final accuracy.

A block a setting, a row a selector: the paper's eight first, then every other one that was run.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from titan_repro.analysis.clocks import ChooseClock, choose_clock, timed
from titan_repro.analysis.comparison import PAPER_SELECTORS, Row, compare, order_labels
from titan_repro.analysis.load import Runs, load_runs
from titan_repro.analysis.replay import Replay
from titan_repro.figures.comparison import (
    accuracy_cell,
    grouped_notes,
    ratio_cell,
    seeds_cell,
    untimed_notes,
    why_no_target,
)
from titan_repro.figures.table import Table
from titan_repro.figures.titles import setting_title
from titan_repro.paper.published import (
    CURVES_TASK,
    FIGURE_OF_STREAM,
    TABLE1_ROUNDS,
    accuracy_at,
    rounds_ratio_at,
    table1_cell,
)

EXPERIMENTS = ("table1_images", "table1_audio", "table1_movement")

NOTES = (
    "rounds / RS, time / RS: until the accuracy at which random selection (rs) of the same seed "
    "ended, over what rs took to get there; geometric mean over the seeds that did, (k of n) where "
    'not all did. "> x": none did within the whole run, which went on for x times what rs took.',
    "accuracy: final, on the whole test set, %, mean ± standard deviation over the seeds that "
    "finished.",
)

Data = tuple[Runs, ChooseClock]


def load(source: Path, replay_on: Callable[[str], Replay]) -> Data:
    """Read what is drawn."""
    runs = load_runs(source)
    return runs, choose_clock(None, source, runs, replay_on)


def tables(data: Data) -> list[Table]:
    """Return a table for every setting."""
    runs, choose = data
    return [
        _table(group, runs.curves, choose)
        for _, group in runs.summaries.groupby("setting", sort=False)
    ]


def _table(group: pd.DataFrame, curves: pd.DataFrame, choose: ChooseClock) -> Table:
    own = timed(group, curves[curves["run_id"].isin(group["run_id"])], choose(group))
    paper = Paper(group)
    rows = {row.label: row for row in compare(group, own.curves)}
    lines = [_line(label, rows.get(label), paper) for label in _labels(rows)]
    header = (
        "selector",
        "seeds",
        "rounds / RS",
        *paper.header("rounds"),
        "time / RS",
        *paper.header("time"),
        "accuracy, %",
        *paper.header("accuracy"),
    )
    return Table(
        f"{setting_title(group)}; time: {own.caption}",
        header,
        lines,
        (*_reasons(rows), *untimed_notes(own.untimed), *paper.notes(), *NOTES),
    )


def _labels(found: Sequence[str] | dict[str, Row]) -> list[str]:
    """Return the paper's selectors, run or not, each with its variants, then all others."""
    labels: list[str] = []
    for selector in PAPER_SELECTORS:
        own = [label for label in order_labels(found) if label.split()[0] == selector]
        labels += own or [selector]
    return [*labels, *(label for label in order_labels(found) if label not in labels)]


def _line(label: str, row: Row | None, paper: "Paper") -> tuple[str, ...]:
    selector = label.split()[0]
    beside = {kind: paper.cells(kind, selector) for kind in ("rounds", "time", "accuracy")}
    if row is None:
        cells = ("no run", "", "", "")
    else:
        cells = (
            seeds_cell(row),
            _ratio(row, row.rounds_ratio),
            _ratio(row, row.time_ratio),
            accuracy_cell(row, 1),
        )
    seeds, rounds, time, accuracy = cells
    parts = (rounds, *beside["rounds"], time, *beside["time"], accuracy, *beside["accuracy"])
    return (label, seeds, *parts)


def _ratio(row: Row, ratio: float) -> str:
    partly = 0 < row.arrived < row.compared and not math.isnan(ratio)
    return ratio_cell(row, ratio) + (f" ({row.arrived} of {row.compared})" if partly else "")


def _reasons(rows: dict[str, Row]) -> tuple[str, ...]:
    """Say why seeds have no target, where some have none."""
    words = {label: why_no_target(row) for label, row in rows.items()}
    return grouped_notes("Seeds without a target", {k: why for k, why in words.items() if why})


class Paper:
    """What the paper says of a setting, in cells. group: the setting's runs."""

    def __init__(self, group: pd.DataFrame) -> None:
        first = group.iloc[0]
        self.task, self.model = str(first["task"]), str(first["model"])
        self.rounds, self.stream = int(first["rounds"]), str(first["stream"])
        printed = table1_cell(self.model, "rs") if self.stream == "clean" else None
        self.other_task = None if printed is None else printed.task
        self.printed = printed is not None and printed.task == self.task
        self.figure = FIGURE_OF_STREAM.get(self.stream, "")
        self.drawn = self.task == CURVES_TASK and not math.isnan(self._accuracy("rs"))

    def header(self, kind: str) -> tuple[str, ...]:
        """Return the name of the column beside ours; none if the paper has nothing to say."""
        at = f"{self.rounds:,}"
        if kind == "time":
            return ("paper, 20,000",) if self.printed else ()
        if kind == "accuracy" and self.printed and self.rounds == TABLE1_ROUNDS:
            return (f"paper, {at}",)
        return (f"paper, {at}",) if self.drawn else ()

    def cells(self, kind: str, selector: str) -> tuple[str, ...]:
        """Return the cell beside ours, or none where there is no column."""
        if not self.header(kind):
            return ()
        printed = table1_cell(self.model, selector)
        if kind == "time":
            return ("" if printed is None else f"{printed.time_ratio:.2f}",)
        if kind == "rounds":
            return (_ratio_text(rounds_ratio_at(self.model, selector, self.rounds, self.figure)),)
        if self.printed and self.rounds == TABLE1_ROUNDS and printed is not None:
            return (f"{printed.accuracy:.1f}",)
        known = self._accuracy(selector)
        return ("" if math.isnan(known) else f"{known:.1f}",)

    def notes(self) -> tuple[str, ...]:
        """Say where the paper's numbers are from, or why there are none."""
        if not (self.printed or self.drawn):
            where = (
                f"the paper trained {self.model} on {self.other_task}"
                if self.other_task not in (None, self.task)
                else "it has none for this setting"
            )
            return (f"No numbers of the paper beside {self.task}, {self.model}: {where}.",)
        parts = []
        if self.printed:
            parts.append("Table 1 prints its times and accuracies of 20,000 rounds")
        if self.drawn:
            parts.append(
                f"rounds and accuracy at {self.rounds:,} rounds are read off Figure {self.figure}, "
                "which has curves of C-IS in place of Titan's"
                if self.figure == "7"
                else f"rounds and accuracy are read off Figure {self.figure}"
            )
        return (f"paper: {'; '.join(parts)}; empty where it shows none.",)

    def _accuracy(self, selector: str) -> float:
        return accuracy_at(self.model, selector, self.rounds, self.figure)


def _ratio_text(ratio: float) -> str:
    if math.isnan(ratio):
        return ""
    return "never" if math.isinf(ratio) else f"{ratio:.2f}"
