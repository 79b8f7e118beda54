"""`titan-report runs`: one row for every run in a place, whatever its state."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from titan_repro.errors import RunFolderError
from titan_repro.records.collect import Begun, collect
from titan_repro.records.recorded import RecordedRun

COLUMNS = (
    "task",
    "model",
    "selector",
    "seed",
    "rounds",
    "status",
    "accuracy",
    "processor",
    "run",
    "folder",
)


@dataclass(frozen=True)
class Listing:
    """table: COLUMNS, a row a run. damaged: a line for each that cannot be read."""

    table: pd.DataFrame
    damaged: tuple[str, ...]


def listed(source: Path, wanted: Mapping[str, str], sort: str | None = None) -> Listing:
    """List the runs below `source`, or of an export.

    wanted: values that columns must have. sort: a column; the order of paths without one.
    rounds: done, of as many as were asked for. accuracy: in percent, of the last milestone.
    Raises RunFolderError if no run is left to list.
    """
    found = collect(source)
    rows = [*map(_row, found.runs), *map(_begun_row, found.begun)]
    table = pd.DataFrame(rows, columns=list(COLUMNS)).sort_values(
        ["task", "model", "selector", "seed", "run"], kind="stable"
    )
    for name, value in wanted.items():
        known = ", ".join(sorted(set(table[name]))) or "none"
        table = table[table[name] == value]
        if len(table) == 0 and known != "none":
            raise RunFolderError(f"{source}: found no runs with --{name} {value}; allowed: {known}")
    if len(table) == 0:
        told = "; ".join(found.damaged) or "titan-run with paths.runs makes them"
        raise RunFolderError(f"{source}: found no runs; {told}")
    if sort is not None:
        table = table.sort_values(sort, kind="stable", key=_numbers if sort in _NUMBERS else None)
    return Listing(table.reset_index(drop=True), found.damaged)


_NUMBERS = ("rounds", "accuracy")


def _numbers(column: "pd.Series[str]") -> "pd.Series[float]":
    first = column.astype(str).str.split().str[0]
    return pd.to_numeric(first, errors="coerce")


def _row(run: RecordedRun) -> dict[str, Any]:
    summary = run.summary
    last = summary["milestones"][-1] if summary["milestones"] else None
    return {
        **{name: summary[name] for name in ("task", "model", "selector", "seed", "status")},
        "rounds": _rounds(summary["rounds_done"], summary["rounds"]),
        "accuracy": _accuracy(last, summary["rounds_done"]),
        "processor": ", then ".join(summary.get("processors", ())) or "-",
        "run": summary["run_id"],
        "folder": run.where,
    }


def _begun_row(run: Begun) -> dict[str, Any]:
    config = run.config
    return {
        **{name: config[name]["name"] for name in ("task", "model", "selector")},
        "seed": config["seed"],
        "status": "not over",
        "rounds": _rounds(run.rounds, config["rounds"]),
        "accuracy": "-",
        "processor": "-",
        "run": run.path.name,
        "folder": str(run.path),
    }


def _rounds(done: int, asked: int) -> str:
    return str(done) if done >= asked else f"{done} of {asked}"


def _accuracy(milestone: Mapping[str, Any] | None, done: int) -> str:
    if milestone is None:
        return "-"
    after = "" if milestone["rounds"] == done else f" after {milestone['rounds']}"
    return f"{100 * milestone['accuracy']:.2f}{after}"
