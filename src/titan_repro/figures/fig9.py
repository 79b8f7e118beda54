"""Figure 9: how many candidates there are: final accuracy, and time saved on the way to rs's."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from titan_repro.analysis.clocks import BoardClock, Clock, OwnClock, timed
from titan_repro.analysis.load import Runs, load_runs
from titan_repro.analysis.replay import Replay
from titan_repro.analysis.spread import Spread
from titan_repro.analysis.sweeps import Sweep, accuracies, find_sweeps
from titan_repro.analysis.time_to_accuracy import COMPARED, Outcome, time_to_rs
from titan_repro.figures.pictures import rows_of_two
from titan_repro.figures.spreads import RANGE, band, errors, spread_cells
from titan_repro.figures.style import colour
from titan_repro.figures.table import Table
from titan_repro.figures.titles import sweep_title
from titan_repro.paper.published import claimed_numbers

CLOCKS = ("measured", "modelled")
PAPER_COLOUR = "#1a1a1a"
STARS = (("*", "#1b7f79"), ("P", "#e6a117"), ("X", "#2b6cb0"), ("p", "#8c6bb1"), ("s", "#7f9c3b"))
"""Marks and colours of adaptive budgets."""

PAPER_ENDS = {"15": "low", "100": "high"}
"""The paper's claims by number of candidates, as their ids have it (paper/claims.csv)."""

LOG_BELOW = -200.0
"""Time that is lost rather than saved, in percent, beyond which the axis is logarithmic."""

NOTES = (
    "Candidates: kept by the coarse filter; of an adaptive budget, the mean over rounds and seeds. "
    "Time saved: until the accuracy at which random selection of the same seed ended, one less the "
    "time over random selection's, mean and range over the seeds that got there (arrived, of those "
    "with a target); modelled: Titan pipelined. Accuracy: final, on the whole test set. Paper: "
    "ranges over its models.",
)


@dataclass(frozen=True)
class Point:
    """Runs of one budget. accuracy and saved, by clock, are in percent.

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
    replay, runs = replay_on("device=jetson_nano"), load_runs(source)
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
    """Return every run's outcome, and the time it saved on both clocks in percent.

    NaN for runs that did not arrive: they are counted, not averaged.
    """
    board = BoardClock(replay, loaded.recorded)
    clocks: Mapping[str, Clock] = {"measured": OwnClock(), "modelled": board}
    raced = {
        name: time_to_rs(runs, timed(runs, loaded.curves, clock).curves)
        for name, clock in clocks.items()
    }
    saved = raced["measured"][["run_id", "outcome"]]  # rounds decide, so any clock's are the same
    arrived = saved["outcome"] == Outcome.ARRIVED
    return saved.assign(
        **{name: 100 * (1 - race["time_ratio"].where(arrived)) for name, race in raced.items()}
    )


def _table(one: BudgetSweep, board: str) -> Table:
    header = ["candidates", "mean", "accuracy, %", "range", "seeds", "arrived"]
    times = ["saved, measured, %", "range", f"saved, {board}, %", "range"]
    rows = []
    for point in (*one.fixed, *one.adaptive):
        arrived = f"{point.arrived} of {point.compared}" if point.compared else "no target"
        saved = [cell for clock in CLOCKS for cell in spread_cells(point.saved[clock])[:2]]
        paper = [_paper_cell(kind, point.name) for kind in ("accuracy", "time")]
        cells = [f"{point.candidates:.1f}", *spread_cells(point.accuracy), arrived]
        rows.append([point.name, *cells, *saved, *paper])
    rows.append(["rs", "", *spread_cells(one.rs), *[""] * 7])
    columns = (*header, *times, "paper: accuracy, %", "saved, %")
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
    axes.set_ylabel("final accuracy, %")
    axes.set_xlabel("candidates of a round")
    paper = [f"{_paper_cell('accuracy', at)} % with {at}" for at in PAPER_ENDS]
    axes.set_title(f"{RANGE}; paper: {', '.join(paper)}", fontsize="small")
    _legend(axes)


def _time(axes: Any, one: BudgetSweep, board: str) -> None:
    places = [point.candidates for point in one.fixed]
    looks = {"measured": {"fmt": "o-"}, "modelled": {"fmt": "D--"}}
    names = {
        "measured": f"titan, measured{_stages(one.sweep.titan)}",
        "modelled": f"titan, modelled on {board}, pipelined",
    }
    for clock in CLOCKS:
        spreads = [point.saved[clock] for point in one.fixed]
        errors(axes, places, spreads, "titan", **looks[clock], label=names[clock])
    for mark, point in zip(_marks(one.adaptive), one.adaptive, strict=True):
        _star(axes, mark, point, point.saved["modelled"], f"{point.name}, modelled")
    for point in (*one.fixed, *one.adaptive):
        if 0 < point.arrived < point.compared:
            axes.annotate(
                f"{point.arrived} of {point.compared}",
                (point.candidates, point.saved["modelled"].mean),
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
    if axes.get_ylim()[0] < LOG_BELOW:
        axes.set_yscale("symlog", linthresh=100)
        axes.set_ylim(bottom=2 * axes.get_ylim()[0])
    axes.set_ylabel("time saved until rs's accuracy, %")
    axes.set_xlabel("candidates of a round")
    axes.set_title(f"{RANGE} that got there", fontsize="small")
    _legend(axes)


def _legend(axes: Any) -> None:
    axes.legend(fontsize=7, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.13))


def _stages(runs: pd.DataFrame) -> str:
    """Say how measured runs were executed, if all were in the same way."""
    ways = {"inline": ", in sequence", "processes": ", pipelined"}
    executors = set(runs["executor"])
    return ways.get(executors.pop(), "") if len(executors) == 1 else ""


def _marks(points: Sequence[Point]) -> list[tuple[str, str]]:
    return [STARS[i % len(STARS)] for i in range(len(points))]


def _star(axes: Any, mark: tuple[str, str], point: Point, spread: Spread, label: str) -> None:
    looks = {"fmt": mark[0], "color": mark[1], "markersize": 9, "markeredgecolor": "white"}
    errors(axes, [point.candidates], [spread], "titan", **looks, label=label)
