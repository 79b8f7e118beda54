"""Figure 9: how many candidates there are: final accuracy, and time saved on the way to rs's."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from titan_repro.analysis.comparison import markdown, pairs
from titan_repro.analysis.costs import paper_numbers
from titan_repro.analysis.load import Runs, load_runs
from titan_repro.analysis.replay import Replay
from titan_repro.analysis.sweeps import Sweep, accuracies, find_sweeps
from titan_repro.boards.clock import Replayed
from titan_repro.figures.pictures import check_format, rows_of_two, save
from titan_repro.figures.spreads import RANGE, Spread, band, errors, spread_cells
from titan_repro.figures.style import colour

CLOCKS = ("measured", "modelled")
PAPER_COLOUR = "#1a1a1a"
STARS = (("*", "#1b7f79"), ("P", "#e6a117"), ("X", "#2b6cb0"), ("p", "#8c6bb1"), ("s", "#7f9c3b"))
"""Marks and colours of adaptive budgets."""

LOG_BELOW = -200.0
"""Time that is lost rather than saved, in percent, beyond which the axis is logarithmic."""

NOTES = """\
Candidates: kept by the coarse filter; of an adaptive budget, the mean over rounds and seeds. Time
saved: until the accuracy at which random selection of the same seed ended, one less the time over
random selection's, mean and range over the seeds that got there (arrived, of those with a target);
modelled: Titan pipelined. Accuracy: final, on the whole test set. Paper: ranges over its models."""


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


def figure9(runs: Path, path: Path, replay: Replay) -> str:
    """Draw the sweeps over filter.budget below `runs` and return their tables.

    replay: on the board that time is modelled for.
    Raises RunFolderError if there are none, and ConfigurationError for a picture that cannot be
    written.
    """
    check_format(path)
    loaded = load_runs(runs)
    sweeps = find_sweeps(runs, loaded, "filter.budget", "fig9")
    read = [_read(sweep, loaded, replay) for sweep in sweeps]
    _plot(read, path, replay.device.name)
    parts = [part for one in read for part in (one.sweep.title, _table(one, replay.device.name))]
    return "\n\n".join([*parts, NOTES])


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
            compared=len(mine),
            arrived=int(mine["arrival"].notna().sum()),
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
    """Return the pairs of `comparison.pairs` with the time saved on both clocks, in percent."""
    paired = pairs(runs, loaded.curves)
    rows = {row["run_id"]: row.to_dict() for _, row in runs.iterrows()}
    needed = {*paired["run_id"], *paired["random_id"]}
    clocks = {i: replay.run(loaded.recorded[i], rows[i]) for i in needed}
    modelled = [_modelled_ratio(pair, clocks) for pair in paired.to_dict("records")]
    return paired.assign(
        measured=100 * (1 - paired["time_ratio"].astype(float)),
        modelled=[100 * (1 - ratio) for ratio in modelled],
    )


def _modelled_ratio(pair: Mapping[Any, Any], clocks: Mapping[str, Replayed]) -> float:
    if math.isnan(pair["arrival"]):
        return math.nan
    own, random = clocks[pair["run_id"]], clocks[pair["random_id"]]
    ratio: float = own.seconds[int(pair["arrival"])] / random.seconds[int(pair["random_arrival"])]
    return ratio


def _table(one: BudgetSweep, board: str) -> str:
    header = ["candidates", "mean", "accuracy, %", "range", "seeds", "arrived"]
    times = ["saved, measured, %", "range", f"saved, {board}, %", "range"]
    rows = [[*header, *times, "paper: accuracy, %", "saved, %"]]
    for point in (*one.fixed, *one.adaptive):
        arrived = f"{point.arrived} of {point.compared}" if point.compared else "-"
        saved = [cell for clock in CLOCKS for cell in spread_cells(point.saved[clock])[:2]]
        paper = [_paper_cell(kind, point.name) for kind in ("accuracy", "time")]
        cells = [f"{point.candidates:.1f}", *spread_cells(point.accuracy), arrived]
        rows.append([point.name, *cells, *saved, *paper])
    rows.append(["rs", "-", *spread_cells(one.rs), *["-"] * 7])
    return markdown(rows)


def _paper_range(kind: str, candidates: str) -> tuple[float, float]:
    """Return the paper's lowest and highest number over its models, NaN where it gives none."""
    ends = (f"fig9.{kind}.{candidates}.{end}" for end in ("low", "high"))
    low, high = (paper_numbers().get(end, math.nan) for end in ends)
    return low, high


def _paper_cell(kind: str, candidates: str) -> str:
    low, high = _paper_range(kind, candidates)
    return "-" if math.isnan(low) else f"{low:g} to {high:g}"


def _plot(sweeps: Sequence[BudgetSweep], path: Path, board: str) -> None:
    figure, pairs = rows_of_two([one.sweep.title for one in sweeps], (11, 4.8))
    for (left, right), one in zip(pairs, sweeps, strict=True):
        _accuracy(left, one)
        _time(right, one, board)
    save(figure, path)


def _accuracy(axes: Any, one: BudgetSweep) -> None:
    spreads = [point.accuracy for point in one.fixed]
    errors(axes, [point.candidates for point in one.fixed], spreads, "titan")
    for mark, point in zip(_marks(one.adaptive), one.adaptive, strict=True):
        _star(axes, mark, point, point.accuracy, point.name)
    if one.rs.number:
        band(axes, one.rs, "rs", "rs")
    axes.set_ylabel("final accuracy, %")
    axes.set_xlabel("candidates of a round")
    paper = [f"{_paper_cell('accuracy', at)} % with {at}" for at in ("15", "100")]
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
    for at in ("15", "100"):
        low, high = _paper_range("time", at)
        axes.vlines(int(at), low, high, color=PAPER_COLOUR, linewidth=5, alpha=0.3, label=label)
        label = None
    axes.axhline(0, color=colour("rs"), linestyle="dashed", linewidth=1, label="rs")
    if axes.get_ylim()[0] < LOG_BELOW:
        axes.set_yscale("symlog", linthresh=100)
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
