"""The cost panel: what rounds cost on the machines that made the runs, and on a modelled board."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from titan_repro.analysis.comparison import order_labels
from titan_repro.analysis.costs import Costs
from titan_repro.boards.paper import IMAGE_MODELS, published_numbers
from titan_repro.figures.costs_table import digits
from titan_repro.figures.page.evidence import Evidence, Setting
from titan_repro.figures.table import Table

STAGES = ("stream", "filter", "score", "select", "train", "wait")


def measured_tables(evidence: Evidence) -> list[Table]:
    """Return a table a setting: what each selector's rounds took in its own runs."""
    return [_stages(evidence, setting) for setting in evidence.settings]


def _stages(evidence: Evidence, setting: Setting) -> Table:
    rows = []
    for label in order_labels(setting.group["label"]):
        own = setting.group[setting.group["label"] == label]
        whole = 1000 * own["seconds_per_round"].astype(float)
        parts = pd.DataFrame([_milliseconds(evidence, str(name)) for name in own["run_id"]])
        memory = (
            own["peak_memory_mb"].astype(float) if "peak_memory_mb" in own else whole * math.nan
        )
        cells = [_number(float(parts[stage].median())) for stage in STAGES]
        rows.append([label, str(len(own)), _number(float(whole.median())), *cells])
        rows[-1].append("" if memory.isna().all() else f"{memory.median():.0f}")
    header = ["selector", "runs", "ms a round", *STAGES, "peak memory, MB"]
    return Table(setting.name, header, rows)


def _milliseconds(evidence: Evidence, run_id: str) -> dict[str, float]:
    """Return the mean time of each stage of a run's rounds; NaN where it is not recorded."""
    recorded = evidence.runs.recorded.get(run_id)
    if recorded is None:
        return dict.fromkeys(STAGES, math.nan)
    blocks = recorded.kept().blocks
    rounds = max(1, int(blocks["rounds"].sum()))
    return {stage: 1000 * float(blocks[f"seconds_{stage}"].sum()) / rounds for stage in STAGES}


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}"


def measurement_table(costs: Sequence[Costs]) -> Table | None:
    """Return the measurements of experiment=fig6, side by side on quiet cores; None without any."""
    if not costs:
        return None
    rows = []
    for each in costs:
        times = [each.round_ms("measured", way) for way in ("rs", "titan_sequential")]
        piped = each.round_ms("measured", "titan_pipelined")
        rows.append(
            [
                each.label,
                *(f"{time:.1f}" for time in (*times, piped)),
                f"{piped / times[0]:.2f}",
                f"{each.hidden('measured'):.0f}",
                f"{each.extra_mb('measured'):.0f}",
                each.machine(),
            ]
        )
    header = ("model", "rs, ms", "in sequence, ms", "pipelined, ms", "pipelined / rs")
    more = ("hidden, %", "extra memory, MB", "machine")
    return Table("Rounds of Titan beside random selection", (*header, *more), rows)


def modelled_table(board: Mapping[str, float]) -> Table | None:
    """Return the modelled Jetson Nano's rounds and power, the paper's beside; None without them."""
    paper = {number.id: number.value for number in published_numbers()}
    rows = []
    for model in IMAGE_MODELS:
        ids = [f"fig6a.{way}.{model}" for way in ("alone", "sequence", "pipelined")]
        ids += [f"fig6d.{way}.{model}" for way in ("rs", "titan")]
        if not all(name in board for name in ids):
            return None
        cells = [f"{digits(board[name])} ({paper[name]:g})" for name in ids]
        ratio = (each[ids[2]] / each[ids[0]] for each in (board, paper))
        cells.insert(3, "{:.2f} ({:.2f})".format(*ratio))
        rows.append([model, *cells])
    header = ("model", "rs, s", "in sequence, s", "pipelined, s", "pipelined / rs")
    return Table(
        "Rounds on the modelled board, at 224 x 224; in brackets the paper's",
        (*header, "power rs, W", "power Titan, W"),
        rows,
    )


def checks_table(board: Mapping[str, float]) -> Table:
    """Return every number of the paper's board, modelled: fitted to it or checked against it."""
    rows = [
        [
            number.id,
            number.unit,
            f"{number.value:g}",
            digits(board[number.id]),
            f"{100 * (board[number.id] / number.value - 1):+.0f}",
            {"fit": "fitted", "check": "checked"}[number.use],
        ]
        for number in published_numbers()
        if number.id in board
    ]
    return Table("Every number", ("number", "unit", "paper", "model", "difference, %", "use"), rows)
