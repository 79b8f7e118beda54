"""Figure 9: how many candidates there are: final accuracy, and what is saved on the way to rs's.

Saved are rounds, which any machine counts alike, and time as modelled on the paper's board. A
sweep's own clock says nothing: its runs share a machine with each other.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from titan_repro.analysis.clocks import BoardClock, timed
from titan_repro.analysis.load import Runs
from titan_repro.analysis.replay import Replay
from titan_repro.analysis.spread import Spread
from titan_repro.analysis.sweeps import Sweep, accuracies, find_sweeps, load_sweeps
from titan_repro.analysis.time_to_accuracy import COMPARED, Outcome, time_to_rs
from titan_repro.figures.pictures import rows_of_two
from titan_repro.figures.spreads import RANGE, band, errors, spread_cells
from titan_repro.figures.style import colour
from titan_repro.figures.table import Table
from titan_repro.figures.titles import sweep_title
from titan_repro.paper.published import claimed_numbers

CLOCKS = ("rounds", "modelled")
PAPER_COLOUR = "#1a1a1a"
STARS = (("*", "#1b7f79"), ("P", "#e6a117"), ("X", "#2b6cb0"), ("p", "#8c6bb1"), ("s", "#7f9c3b"))
"""Marks and colours of adaptive budgets."""

PAPER_ENDS = {"15": "low", "100": "high"}
"""The paper's claims by number of candidates, as their ids have it (paper/claims.csv)."""

LOWEST = -150.0
"""Where the axis ends, in percent; what is lost beyond it is written there."""

NOTES = (
    "Candidates: kept by the coarse filter; of an adaptive budget, the mean over rounds and seeds. "
    "Saved: until the accuracy at which random selection of the same seed ended, one less the "
    "rounds, or the time, over random selection's, mean and range over the seeds that got there "
    "(arrived, of those with a target); time: modelled, Titan pipelined. Accuracy: final, on the "
    "whole test set. Seeds: those that every number of candidates has. Paper: time, ranges over "
    "its models.",
)


@dataclass(frozen=True)
class Point:
    """Runs of one budget. accuracy and saved, by what is counted (CLOCKS), are in percent.

    candidates: mean of a round. compared, arrived: seeds with a target, and those that met it.
    """

    name: str
    candidates: float
    accuracy: Spread
    saved: Mapping[str, Spread]
    compared: int
    arrived: int


@dataclass(frozen=True)
class BudgetSweep:
    """What is drawn of a sweep. fixed: by number of candidates; adaptive: by name."""

    sweep: Sweep
    fixed: Sequence[Point]
    adaptive: Sequence[Point]
    rs: Spread


EXPERIMENTS = ("fig9", "fig9_adaptive")


@dataclass(frozen=True)
class Data:
    """What is shown. board: the name of the device that time is modelled for."""

    sweeps: Sequence[BudgetSweep]
    board: str


def load(source: Path, replay_on: Callable[[str], Replay]) -> Data:
    """Read the sweeps over filter.budget below `source`, time measured and modelled.

    Raises RunFolderError if there are none.
    """
    replay, runs = replay_on("device=jetson_nano"), load_sweeps(source)
    sweeps = find_sweeps(source, runs, "filter.budget", "fig9")
    return Data([_read(sweep, runs, replay) for sweep in sweeps], replay.device.name)


def tables(data: Data) -> list[Table]:
    """Return a table a sweep."""
    return [_table(one, data.board) for one in data.sweeps]


def panels(data: Data) -> tuple[Any, Sequence[Any]]:
    """Return a figure with two axes a sweep."""
    return rows_of_two([sweep_title(one.sweep) for one in data.sweeps], (11, 4.8))


def draw(data: Data, axes: Sequence[Any]) -> None:
    """Draw accuracy on the left and time saved on the right of each sweep's row."""
    for one, left, right in zip(data.sweeps, axes[::2], axes[1::2], strict=True):
        _accuracy(left, one)
        _time(right, one, data.board)


def _read(sweep: Sweep, loaded: Runs, replay: Replay) -> BudgetSweep:
    titan = pd.concat([sweep.titan, sweep.rest])
    saved = _saved(loaded, pd.concat([sweep.rs, titan]), replay)

    def point(name: str, own: pd.DataFrame) -> Point:
        mine = saved[saved["run_id"].isin(own["run_id"])]
        counts = [_candidates(loaded, run) for _, run in own.iterrows()]
        return Point(
            name,
            Spread.of(counts).mean,
            accuracies(own),
            {clock: Spread.of(mine[clock]) for clock in CLOCKS},
            compared=int(mine["outcome"].isin(COMPARED).sum()),
            arrived=int((mine["outcome"] == Outcome.ARRIVED).sum()),
        )

    values = sorted(set(sweep.titan["at"]))
    fixed = [point(str(at), sweep.titan[sweep.titan["at"] == at]) for at in values]
    adaptive = [point(name, own) for name, own in _adaptive(sweep.rest)]
    return BudgetSweep(sweep, fixed, adaptive, accuracies(sweep.rs))


def _adaptive(runs: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Divide the runs with an adaptive budget by what decides their counts, and name each part."""
    parts = []
    for label, own in runs.groupby("label", sort=False):
        trace = own.iloc[0].get("config.idle.name")
        parts.append((f"adaptive, {trace}" if isinstance(trace, str) else str(label), own))
    names = [name for name, _ in parts]
    return [
        (name if names.count(name) == 1 else f"{name} ({names[: i + 1].count(name)})", own)
        for i, (name, own) in enumerate(parts)
    ]


def _candidates(loaded: Runs, run: "pd.Series[Any]") -> float:
    """Return the mean number of candidates of a run's rounds."""
    sizes = loaded.recorded[run["run_id"]].sizes(int(run["rounds_done"]))
    return float(sizes["candidates"].mean())


def _saved(loaded: Runs, runs: pd.DataFrame, replay: Replay) -> pd.DataFrame:
    """Return every run's outcome, and the rounds and the modelled time it saved, in percent.

    NaN for runs that did not arrive: they are counted, not averaged.
    """
    clock = BoardClock(replay, loaded.recorded)
    race = time_to_rs(runs, timed(runs, loaded.curves, clock).curves)
    arrived = race["outcome"] == Outcome.ARRIVED
    ratios = {"rounds": race["rounds_ratio"], "modelled": race["time_ratio"]}
    saved = {name: 100 * (1 - ratio.where(arrived)) for name, ratio in ratios.items()}
    return race[["run_id", "outcome"]].assign(**saved)


def _table(one: BudgetSweep, board: str) -> Table:
    header = ["candidates", "mean", "accuracy, %", "range", "seeds", "arrived"]
    times = ["rounds saved, %", "range", f"time saved, {board}, %", "range"]
    rows = []
    for point in (*one.fixed, *one.adaptive):
        arrived = f"{point.arrived} of {point.compared}" if point.compared else "no target"
        saved = [cell for clock in CLOCKS for cell in spread_cells(point.saved[clock])[:2]]
        paper = [_paper_cell(kind, point.name) for kind in ("accuracy", "time")]
        cells = [f"{point.candidates:.1f}", *spread_cells(point.accuracy), arrived]
        rows.append([point.name, *cells, *saved, *paper])
    rows.append(["rs", "", *spread_cells(one.rs), *[""] * 7])
    columns = (*header, *times, "paper: accuracy, %", "time saved, %")
    return Table(sweep_title(one.sweep), columns, rows, NOTES)


def _paper_range(kind: str, candidates: str) -> tuple[float, float]:
    """Return the paper's lowest and highest number over its models, NaN where it gives none."""
    claim = f"fig9.{kind}_{PAPER_ENDS.get(candidates)}"
    ends = (f"{claim}.{end}" for end in ("low", "high"))
    low, high = (claimed_numbers().get(end, math.nan) for end in ends)
    return low, high


def _paper_cell(kind: str, candidates: str) -> str:
    low, high = _paper_range(kind, candidates)
    return "" if math.isnan(low) else f"{low:g} to {high:g}"


def _accuracy(axes: Any, one: BudgetSweep) -> None:
    spreads = [point.accuracy for point in one.fixed]
    errors(axes, [point.candidates for point in one.fixed], spreads, "titan")
    for mark, point in zip(_marks(one.adaptive), one.adaptive, strict=True):
        _star(axes, mark, point, point.accuracy, point.name)
    if one.rs.number:
        band(axes, one.rs, "rs", "rs")
    axes.set_xlabel("candidates of a round")
    paper = [f"{_paper_cell('accuracy', at)} % with {at}" for at in PAPER_ENDS]
    title = f"final accuracy, %; paper: {', '.join(paper)}\n{RANGE}"
    axes.set_title(title, fontsize="small", loc="left")
    _legend(axes)


def _time(axes: Any, one: BudgetSweep, board: str) -> None:
    places = [point.candidates for point in one.fixed]
    looks = {
        "rounds": {"fmt": "o-", "label": "titan, rounds"},
        "modelled": {
            "fmt": "D--",
            "markerfacecolor": "white",
            "label": f"titan, time modelled on {board}, pipelined",
        },
    }
    for kind, look in looks.items():
        errors(axes, places, [point.saved[kind] for point in one.fixed], "titan", **look)
    for mark, point in zip(_marks(one.adaptive), one.adaptive, strict=True):
        _star(axes, mark, point, point.saved["modelled"], f"{point.name}, modelled")
    for point in (*one.fixed, *one.adaptive):
        if 0 < point.arrived < point.compared:
            axes.annotate(
                f"{point.arrived} of {point.compared}",
                (point.candidates, point.saved["rounds"].mean),
                (4, 4),
                textcoords="offset points",
                fontsize=7,
            )
    label: str | None = "paper, range over models"
    for at in PAPER_ENDS:
        low, high = _paper_range("time", at)
        axes.vlines(int(at), low, high, color=PAPER_COLOUR, linewidth=5, alpha=0.3, label=label)
        label = None
    axes.axhline(0, color=colour("rs"), linestyle="dashed", linewidth=1, label="rs")
    lowest = min((p.saved["modelled"].mean for p in one.fixed if p.arrived), default=0.0)
    axes.set_ylim(max(axes.get_ylim()[0], LOWEST), max(axes.get_ylim()[1], 60))
    title = f"saved until rs's accuracy, %\n{RANGE} that got there"
    if lowest < LOWEST:
        title += f"; modelled time is below the axis, down to {lowest:,.0f} %"
    axes.set_xlabel("candidates of a round")
    axes.set_title(title, fontsize="small", loc="left")
    _legend(axes)


def _legend(axes: Any) -> None:
    axes.legend(fontsize=7, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.13))


def _marks(points: Sequence[Point]) -> list[tuple[str, str]]:
    return [STARS[i % len(STARS)] for i in range(len(points))]


def _star(axes: Any, mark: tuple[str, str], point: Point, spread: Spread, label: str) -> None:
    looks = {"fmt": mark[0], "color": mark[1], "markersize": 9, "markeredgecolor": "white"}
    errors(axes, [point.candidates], [spread], "titan", **looks, label=label)
