"""The table of `titan-report replay`: a row a run, a table a setting."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from titan_repro.analysis.comparison import order_labels
from titan_repro.analysis.load import Runs
from titan_repro.analysis.replay import Replay
from titan_repro.analysis.time_to_accuracy import Outcome, time_to_rs
from titan_repro.boards.clock import MB, Replayed
from titan_repro.figures.table import Table
from titan_repro.figures.titles import setting_title

HEADER = (
    "run",
    "selector",
    "seed",
    "in sequence, ms a round",
    "pipelined, ms a round",
    "to RS's accuracy, s",
    "energy until then, J",
    "mean power, W",
    "memory, MB",
)
NO_PIPELINE, NOT_IN_SEQUENCE = "no pipeline", "not in sequence"


def replay_tables(runs: Runs, replay: Replay) -> list[Table]:
    """Return a table for every setting among the runs, a row a run.

    Raises ConfigurationError if the replay's device cannot say what one of the runs costs.
    """
    device = replay.device
    kind = "measured when the runs were made" if device.board is None else "modelled"
    note = (
        f"Device {device.name}: {kind}. Time and energy are those of the pipeline for runs with a "
        'delay of one round, else those of stages in sequence. "> x": the run took x without '
        "getting there."
    )
    tables = []
    for _, group in runs.summaries.groupby("setting", sort=False):
        replayed = {
            run["run_id"]: replay.run(runs.recorded[run["run_id"]], run.to_dict())
            for _, run in group.iterrows()
        }
        title = f"{setting_title(group)}; on {device.name}, {kind}"
        tables.append(Table(title, HEADER, _rows(group, runs.curves, replayed), (note,)))
    return tables


def _rows(
    group: pd.DataFrame, curves: pd.DataFrame, replayed: Mapping[str, Replayed]
) -> list[list[str]]:
    """Lay out one setting's runs, selectors in the paper's order."""
    own = curves[curves["run_id"].isin(group["run_id"])]
    clock = [
        replayed[i].seconds[int(at)] for i, at in zip(own["run_id"], own["round"], strict=True)
    ]
    races = time_to_rs(group, own.assign(seconds=clock)).set_index("run_id")
    return [
        [
            *(run["run_id"], label, str(run["seed"])),
            *_cells(replayed[run["run_id"]], races.loc[run["run_id"]]),
        ]
        for label in order_labels(group["label"])
        for _, run in group[group["label"] == label].sort_values("seed").iterrows()
    ]


def _cells(run: Replayed, race: "pd.Series[Any]") -> list[str]:
    watts = None if run.joules is None else run.joules[-1] / run.seconds[-1]
    return [
        NOT_IN_SEQUENCE if run.inline_seconds is None else f"{1000 * run.inline_seconds:.2f}",
        NO_PIPELINE if run.pipelined_seconds is None else f"{1000 * run.pipelined_seconds:.2f}",
        _until(run.seconds, race),
        "not measured" if run.joules is None else _until(run.joules, race),
        "not measured" if watts is None else f"{watts:.2f}",
        f"{run.memory_bytes / MB:.1f}",
    ]


def _until(amounts: np.ndarray, race: "pd.Series[Any]") -> str:
    """Write the amount at the arrival, `> total` if there was none, or why none was asked for."""
    match race["outcome"]:
        case Outcome.ARRIVED:
            return _digits(amounts[int(race["round"])])
        case Outcome.NEVER:
            return f"> {_digits(amounts[-1])}"
        case why:
            return str(why)


def _digits(amount: float) -> str:
    return f"{amount:.3g}" if amount < 1000 else f"{amount:.0f}"
