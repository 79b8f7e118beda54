"""Table 1 of the paper from run folders: time to random selection's accuracy, final accuracy."""

from collections.abc import Mapping

import pandas as pd

from titan_repro.analysis.comparison import Row, compare, markdown
from titan_repro.analysis.load import Runs

SELECTORS = ("rs", "is", "ll", "hl", "ce", "ocs", "camel", "titan")


def table1(runs: Runs) -> str:
    """Return two Markdown tables, times and final accuracies, a row for every setting.

    Times are this machine's wall clock with selection and training in sequence. "> t" means that
    no seed reached RS's accuracy within the whole run, which took t times RS's; "(k of n)" tells
    how many seeds arrived where not all did. Only selectors with the paper's choices count: runs
    whose label carries further choices are left to `titan-report compare`.
    """
    header = ["task", "model", "rounds", "seeds", *SELECTORS]
    times, accuracies = [header], [header]
    for _, group in runs.summaries.groupby("setting", sort=False):
        rows = {row.label: row for row in compare(group, runs.curves)}
        first = group.iloc[0]
        seeds = str(group["seed"].nunique())
        start = [f"{first['task']}{first['detail']}", first["model"], str(first["rounds"]), seeds]
        cost = group.groupby("label")["seconds_per_round"].mean()
        times.append(start + [_time_cell(rows, cost, name) for name in SELECTORS])
        accuracies.append(start + [_accuracy_cell(rows, name) for name in SELECTORS])
    return "\n\n".join(
        (
            "Time to RS's final accuracy, as a multiple of the time RS took to get there",
            markdown(times),
            "Final accuracy on the whole test set, %",
            markdown(accuracies),
        )
    )


def _time_cell(rows: Mapping[str, Row], cost: "pd.Series[float]", name: str) -> str:
    row = rows.get(name)
    if row is None or row.compared == 0:
        return "-"
    if row.arrived == 0:
        return f"> {cost[name] / cost['rs']:.2f}"
    suffix = "" if row.arrived == row.compared else f" ({row.arrived} of {row.compared})"
    return f"{row.time_ratio:.2f}{suffix}"


def _accuracy_cell(rows: Mapping[str, Row], name: str) -> str:
    row = rows.get(name)
    if row is None:
        return "-"
    return "diverged" if row.diverged == row.seeds else f"{100 * row.accuracy:.1f}"
