"""Selectors side by side: accuracy, and rounds and time until random selection's accuracy.

Runs are paired by seed: a run's target is the accuracy at which random selection (rs) of the same
seed ended, on the same fixed part of the test set. A run that never gets there is censored: it is
counted, never replaced by its total time.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from titan_repro.analysis.load import Runs

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
)


@dataclass(frozen=True)
class Row:
    """One selector over all its seeds. Accuracies are fractions, on the whole test set.

    rounds_ratio, time_ratio: rounds or training seconds to the target, over those that random
        selection needed to get there first; geometric mean over the seeds that arrived, NaN if
        none did or where there are no rs runs to be compared with.
    compared, arrived: seeds that have a target, and of these the ones that reached it.
    """

    label: str
    seeds: int
    diverged: int
    accuracy: float
    accuracy_spread: float
    compared: int
    arrived: int
    rounds_ratio: float
    time_ratio: float
    milliseconds: float


def order_labels(labels: Iterable[str]) -> list[str]:
    """Sort selectors, with or without choices behind them, as the paper's table does."""
    known = {name: position for position, name in enumerate(SELECTOR_ORDER)}
    return sorted(set(labels), key=lambda label: (known.get(label.split()[0], len(known)), label))


def compare(runs: pd.DataFrame, curves: pd.DataFrame) -> list[Row]:
    """Compare the selectors of one setting: same task, model, stream, rounds and so on.

    runs: one row a finished or diverged run, as `Runs.summaries`; curves: as `Runs.curves`.
    """
    paired_runs = pairs(runs, curves)
    rows = []
    for label in order_labels(runs["label"]):
        own = runs[runs["label"] == label]
        finished = own[own["status"] == "finished"]
        accuracies = finished["final_accuracy"].astype(float)
        paired = paired_runs[paired_runs["label"] == label]
        rows.append(
            Row(
                label=label,
                seeds=len(own),
                diverged=int((own["status"] == "diverged").sum()),
                accuracy=float(accuracies.mean()),
                accuracy_spread=float(accuracies.std(ddof=1)) if len(accuracies) > 1 else math.nan,
                compared=len(paired),
                arrived=int(paired["rounds_ratio"].notna().sum()),
                rounds_ratio=geometric_mean(paired["rounds_ratio"]),
                time_ratio=geometric_mean(paired["time_ratio"]),
                milliseconds=1000 * float(own["seconds_per_round"].median()),
            )
        )
    return rows


def geometric_mean(ratios: "pd.Series[float]") -> float:
    """Return the geometric mean of the numbers that are not NaN; NaN if there are none."""
    return float(np.exp(np.log(ratios.astype(float)).mean()))


PAIR_COLUMNS = (
    "label",
    "run_id",
    "random_id",
    "arrival",
    "random_arrival",
    "rounds_ratio",
    "time_ratio",
)


def pairs(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Pair every run with random selection of its seed: when it got to where that one ended.

    Columns: PAIR_COLUMNS. random_id: the run of random selection; arrival, random_arrival: rounds
    after which the two were first measured there; rounds_ratio, time_ratio: of rounds and of
    measured time. NaN for a run that never got there. Seeds whose random selection is missing, has
    diverged or ended no better than it began have no target, and their runs no row.
    """
    found = []
    random_runs = runs[(runs["selector"] == "rs") & (runs["status"] == "finished")]
    for _, reference in random_runs.iterrows():
        own_curve = _curve(curves, reference["run_id"])
        target = float(own_curve["accuracy"].iloc[-1])
        start = _first_arrival(own_curve, target)
        if start is None or start["round"] == 0:
            continue
        for _, run in runs[runs["seed"] == reference["seed"]].iterrows():
            arrival = _first_arrival(_curve(curves, run["run_id"]), target)
            rounds, seconds = (
                (math.nan, math.nan)
                if arrival is None
                else (arrival["round"], arrival["train_seconds"])
            )
            ids = (run["label"], run["run_id"], reference["run_id"])
            ratios = (rounds / start["round"], seconds / start["train_seconds"])
            found.append((*ids, rounds, start["round"], *ratios))
    return pd.DataFrame(found, columns=list(PAIR_COLUMNS))


def _curve(curves: pd.DataFrame, run_id: str) -> pd.DataFrame:
    return curves[curves["run_id"] == run_id].sort_values("round")


def _first_arrival(curve: pd.DataFrame, target: float) -> "pd.Series[float] | None":
    there = curve[curve["accuracy"] >= target]
    return there.iloc[0] if len(there) else None


NOTES = """\
Final accuracy: on the whole test set, mean ± standard deviation over the seeds that finished.
RS's accuracy: where random selection (rs) of the same seed ended, on the fixed part of the test
set that is measured during a run. Rounds and time: until that accuracy, over what rs took to get
there first; geometric mean over the seeds that did. Time is this machine's, stages in sequence."""


def comparison_report(runs: Runs) -> str:
    """Return one table for every setting among the runs, named by the line above, and notes."""
    tables = [
        f"{setting_title(group)}\n\n{comparison_table(compare(group, runs.curves))}"
        for _, group in runs.summaries.groupby("setting", sort=False)
    ]
    return "\n\n".join([*tables, NOTES])


def setting_title(group: pd.DataFrame) -> str:
    """Name the setting that a group of runs shares."""
    first = group.iloc[0]
    return (
        f"{first['task']}, {first['model']}, stream {first['stream']}, {first['rounds']} rounds"
        f"{first['detail']}; data: {first['data_source']}"
    )


def comparison_table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table that also reads well in a terminal."""
    header = (
        "selector",
        "seeds",
        "final accuracy, %",
        "reached RS's accuracy",
        "rounds / RS",
        "time / RS",
        "ms a round",
    )
    cells = [header] + [
        (
            row.label,
            str(row.seeds) + (f" ({row.diverged} diverged)" if row.diverged else ""),
            _accuracy(row),
            f"{row.arrived} of {row.compared}" if row.compared else "-",
            _ratio(row.rounds_ratio),
            _ratio(row.time_ratio),
            f"{row.milliseconds:.2f}",
        )
        for row in rows
    ]
    return markdown(cells)


def markdown(cells: Sequence[Sequence[str]]) -> str:
    """Lay out a header and rows as an aligned Markdown table."""
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _accuracy(row: Row) -> str:
    if math.isnan(row.accuracy):
        return "-"
    spread = "" if math.isnan(row.accuracy_spread) else f" ± {100 * row.accuracy_spread:.2f}"
    return f"{100 * row.accuracy:.2f}{spread}"


def _ratio(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"
