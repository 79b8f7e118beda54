"""Figure 8: features from 1 to n blocks: latency of a sample, and final accuracy.

Latency is that of an arriving sample: measured by experiment=fig6, quietly and side by side, and
not in the sweep, whose runs share a machine with each other. As modelled on the paper's board it is
in the tables, and has a picture of its own beside the paper's (`board`).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from titan_repro.analysis.costs import Costs, find_costs
from titan_repro.analysis.load import Runs, velocity
from titan_repro.analysis.replay import Replay
from titan_repro.analysis.sample_latency import modelled_latency
from titan_repro.analysis.spread import Spread
from titan_repro.analysis.sweeps import Sweep, accuracies, find_sweeps, load_sweeps
from titan_repro.boards.cost_model import Board
from titan_repro.errors import ConfigurationError
from titan_repro.figures.costs_table import digits
from titan_repro.figures.pictures import rows_of_two
from titan_repro.figures.spreads import RANGE, band, errors, spread_cells
from titan_repro.figures.style import colour
from titan_repro.figures.table import Table
from titan_repro.figures.titles import sweep_title
from titan_repro.paper.published import claimed_numbers

NOTES = (
    "Latency: milliseconds of an arriving sample in the coarse filter, or in C-IS on every sample; "
    "measured: by experiment=fig6, none where it has not measured this model block by block; the "
    "board's: modelled. Speed-up: of the filter over C-IS. Accuracy: final, on the whole test set, "
    "mean and range over the seeds that finished, of those that every number of blocks has.",
)


@dataclass(frozen=True)
class Point:
    """Runs that differ in their seed alone.

    name: number of blocks, or the selector. measured, modelled: milliseconds a sample.
    accuracy: in percent.
    """

    name: str
    measured: float
    modelled: float
    accuracy: Spread


@dataclass(frozen=True)
class BlockSweep:
    """What is drawn of a sweep. by_blocks: points by number of blocks; cis, rs: None without."""

    sweep: Sweep
    by_blocks: dict[int, Point]
    cis: Point | None
    rs: Point | None

    def speed_up(self, blocks: int, clock: str) -> float:
        """Return the latency of C-IS on everything over the filter's; NaN without C-IS."""
        if self.cis is None:
            return math.nan
        whole: float = getattr(self.cis, clock)
        part: float = getattr(self.by_blocks[blocks], clock)
        return whole / part

    @property
    def paper(self) -> float:
        """The paper's speed-up with one block, NaN for models that it does not show."""
        return claimed_numbers().get(f"fig8.delay.{self.sweep.model}", math.nan)


EXPERIMENTS = ("fig8",)
BOARD = "device=jetson_nano"
FILTER = colour("titan")


@dataclass(frozen=True)
class Data:
    """What is shown. board: the name of the device that latency is modelled for."""

    sweeps: Sequence[BlockSweep]
    board: str


def load(source: Path, replay_on: Callable[[str], Replay]) -> Data:
    """Read the sweeps over filter.blocks below `source`.

    Raises RunFolderError if there are none.
    """
    return read(source, replay_on(BOARD))


def read(source: Path, replay: Replay) -> Data:
    """Read the sweeps, latency modelled on the replay's board.

    Raises ConfigurationError for a device whose clock is measured.
    """
    board = replay.device.board
    if board is None:
        raise ConfigurationError(f"device: found {replay.device.name}; allowed: a modelled device")
    loaded = load_sweeps(source)
    sweeps = find_sweeps(source, loaded, "blocks", "fig8")
    costs = find_costs(source)
    found = [
        _read(loaded, sweep, board, replay, _measured(costs, sweep, loaded)) for sweep in sweeps
    ]
    return Data(found, replay.device.name)


def _measured(costs: Sequence[Costs], sweep: Sweep, loaded: Runs) -> Costs | None:
    """Return the measurement of the sweep's task and model, if it went block by block."""
    runs = loaded.recorded
    wanted = {(runs[i].summary["task"], runs[i].summary["model"]) for i in sweep.titan["run_id"]}
    return next(
        (
            each
            for each in costs
            if (each.content["task"], each.model) in wanted and not math.isnan(each.filter_ms(1))
        ),
        None,
    )


def tables(data: Data) -> list[Table]:
    """Return a table a sweep."""
    return [_table(one, data.board) for one in data.sweeps]


def panels(data: Data) -> tuple[Any, Sequence[Any]]:
    """Return a figure with two axes a sweep."""
    return rows_of_two([sweep_title(one.sweep) for one in data.sweeps], (10, 4.2))


def draw(data: Data, axes: Sequence[Any]) -> None:
    """Draw latency on the left and accuracy on the right of each sweep's row."""
    for one, left, right in zip(data.sweeps, axes[::2], axes[1::2], strict=True):
        _latency(left, one)
        _accuracy(right, one)


def _read(
    loaded: Runs, sweep: Sweep, board: Board, replay: Replay, costs: Costs | None
) -> BlockSweep:
    def point(name: str, runs: pd.DataFrame, milliseconds: float) -> Point | None:
        if len(runs) == 0:
            return None
        recorded = [loaded.recorded[run_id] for run_id in runs["run_id"]]
        first = runs.iloc[0].to_dict()
        sizes = (velocity(first), first["config.batch_size"])
        return Point(
            name,
            milliseconds,
            modelled_latency(board, replay.counter(recorded[0]), *map(int, sizes)),
            accuracies(runs),
        )

    numbers = sorted(set(sweep.titan["at"]))
    ms = {at: math.nan if costs is None else costs.filter_ms(at) for at in numbers}
    points = {at: point(str(at), sweep.titan[sweep.titan["at"] == at], ms[at]) for at in numbers}
    whole = math.nan if costs is None else costs.number("latency.measured.cis.arriving_ms")
    return BlockSweep(
        sweep,
        {at: found for at, found in points.items() if found is not None},
        point("cis on everything", sweep.cis, whole),
        point("rs", sweep.rs, math.nan),
    )


def _table(one: BlockSweep, board: str) -> Table:
    header = ["blocks", "measured, ms", f"{board}, ms", "speed-up measured", f"{board}", "paper"]
    rows = []
    for at, point in one.by_blocks.items():
        speed = [one.speed_up(at, clock) for clock in ("measured", "modelled")]
        paper = one.paper if at == 1 else math.nan
        numbers = (point.measured, point.modelled, *speed, paper)
        rows.append([point.name, *map(digits, numbers), *spread_cells(point.accuracy)])
    for reference in (one.cis, one.rs):
        if reference is not None:
            times = (reference.measured, reference.modelled)
            cells = [*map(digits, times), "", "", ""]
            rows.append([reference.name, *cells, *spread_cells(reference.accuracy)])
    columns = (*header, "accuracy, %", "range", "seeds")
    return Table(sweep_title(one.sweep), columns, rows, NOTES)


def _latency(axes: Any, one: BlockSweep) -> None:
    """The filter by blocks, and C-IS on everything as a line across."""
    blocks = list(one.by_blocks)
    title = "ms of an arriving sample, measured"
    if math.isnan(one.by_blocks[blocks[0]].measured):
        axes.set_title(
            f"{title}:\nnot yet, titan-run experiment=fig6", fontsize="small", loc="left"
        )
        axes.set_yticks([])
        _blocks_axis(axes, blocks)
        return
    axes.plot(blocks, [point.measured for point in one.by_blocks.values()], "o-", color=FILTER)
    middle = blocks[len(blocks) // 2]
    _say(axes, middle, one.by_blocks[middle].measured, "coarse filter", FILTER, below=True)
    if one.cis is not None and not math.isnan(one.cis.measured):
        axes.axhline(one.cis.measured, color=colour("cis"))
        _say(axes, blocks[0], one.cis.measured, "C-IS on every sample", colour("cis"))
    axes.set_ylim(0, 1.2 * axes.get_ylim()[1])
    first = blocks[0]
    speed = {"C-IS takes": one.speed_up(first, "measured")}
    if first == 1:
        speed["paper:"] = one.paper
    known = [f"{name} {digits(times)} x" for name, times in speed.items() if not math.isnan(times)]
    if known:
        title += f"\n{', '.join(known)} the filter of {first} block{'s' if first > 1 else ''}"
    axes.set_title(title, fontsize="small", loc="left")
    _blocks_axis(axes, blocks)


def _accuracy(axes: Any, one: BlockSweep) -> None:
    """Mean and range over seeds."""
    blocks, points = list(one.by_blocks), list(one.by_blocks.values())
    errors(axes, blocks, [point.accuracy for point in points], "titan")
    for name, point, words in (("cis", one.cis, "C-IS"), ("rs", one.rs, "rs")):
        if point is not None:
            band(axes, point.accuracy, name, point.name)
            _say(axes, blocks[0], point.accuracy.mean, words, colour(name))
    title = f"final accuracy, %: Titan (red), C-IS and rs (lines)\n{RANGE}"
    axes.set_title(title, fontsize="small", loc="left")
    _blocks_axis(axes, blocks)


def _say(axes: Any, x: float, y: float, words: str, hue: str, *, below: bool = False) -> None:
    """Write what a line is above one of its points, or below it."""
    axes.annotate(
        words,
        (x, y),
        (5, -14 if below else 5),
        textcoords="offset points",
        color=hue,
        fontsize=8,
    )


def _blocks_axis(axes: Any, blocks: Sequence[int]) -> None:
    axes.set_xlabel("blocks that make the filter's features")
    axes.set_xticks(list(blocks))
