"""The table of `titan-report replay`: a row a run, a table a setting."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from titan_repro.analysis.comparison import markdown, order_labels, setting_title
from titan_repro.analysis.load import Runs
from titan_repro.analysis.replay import CountRounds, Device, Replay
from titan_repro.boards.clock import MB, Replayed

NO_TARGET, NEVER = -1, -2
"""Arrivals of runs that have no random selection to be held against, and that never got there."""

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


def replay_report(runs: Runs, device: Device, count_rounds: CountRounds) -> str:
    """Return a table for every setting among the runs, a row a run.

    Raises ConfigurationError if the device cannot say what one of the runs costs.
    """
    replay = Replay(device, count_rounds)
    kind = "measured when the runs were made" if device.board is None else "modelled"
    parts = [
        f"Device {device.name}: {kind}. Time and energy are those of the pipeline for runs "
        "with a delay of one round, else those of stages in sequence."
    ]
    for _, group in runs.summaries.groupby("setting", sort=False):
        replayed = {
            run["run_id"]: replay.run(runs.recorded[run["run_id"]], run.to_dict())
            for _, run in group.iterrows()
        }
        parts += [setting_title(group), _table(group, runs.curves, replayed)]
    return "\n\n".join(parts)


def _table(group: pd.DataFrame, curves: pd.DataFrame, replayed: Mapping[str, Replayed]) -> str:
    """Lay out one setting's runs, selectors in the paper's order."""
    rows: list[list[str]] = [list(HEADER)]
    targets = _targets(group, curves)
    for label in order_labels(group["label"]):
        for _, run in group[group["label"] == label].sort_values("seed").iterrows():
            one = replayed[run["run_id"]]
            arrival = _arrival(curves, run["run_id"], targets.get(run["seed"]))
            rows.append([run["run_id"], label, str(run["seed"]), *_cells(one, arrival)])
    return markdown(rows)


def _cells(run: Replayed, arrival: int) -> list[str]:
    watts = None if run.joules is None else run.joules[-1] / run.seconds[-1]
    return [
        "-" if run.inline_seconds is None else f"{1000 * run.inline_seconds:.2f}",
        "-" if run.pipelined_seconds is None else f"{1000 * run.pipelined_seconds:.2f}",
        _until(run.seconds, arrival),
        "not measured" if run.joules is None else _until(run.joules, arrival),
        "not measured" if watts is None else f"{watts:.2f}",
        f"{run.memory_bytes / MB:.1f}",
    ]


def _until(amounts: np.ndarray, arrival: int) -> str:
    """Write the amount at the arrival; `> total` if there was none."""
    if arrival == NO_TARGET:
        return "-"
    return f"> {_digits(amounts[-1])}" if arrival == NEVER else _digits(amounts[arrival])


def _digits(amount: float) -> str:
    return f"{amount:.3g}" if amount < 1000 else f"{amount:.0f}"


def _targets(group: pd.DataFrame, curves: pd.DataFrame) -> dict[int, float]:
    """Return the accuracy at which random selection of each seed ended."""
    ended = group[(group["selector"] == "rs") & (group["status"] == "finished")]
    return {
        run["seed"]: _curve(curves, run["run_id"])["accuracy"].iloc[-1]
        for _, run in ended.iterrows()
    }


def _arrival(curves: pd.DataFrame, run_id: str, target: float | None) -> int:
    """Return after how many rounds a run was first measured at the target, or why it was not."""
    if target is None:
        return NO_TARGET
    curve = _curve(curves, run_id)
    there = curve[curve["accuracy"] >= target]
    return int(there["round"].iloc[0]) if len(there) else NEVER


def _curve(curves: pd.DataFrame, run_id: str) -> pd.DataFrame:
    return curves[curves["run_id"] == run_id].sort_values("round")
