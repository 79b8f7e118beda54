"""Figure 8: features from 1 to n blocks: latency of a sample, and final accuracy."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from titan_repro.analysis.load import Runs, load_runs, velocity
from titan_repro.analysis.replay import Replay
from titan_repro.analysis.sample_latency import modelled_latency
from titan_repro.analysis.spread import Spread
from titan_repro.analysis.sweeps import Sweep, accuracies, find_sweeps
from titan_repro.boards.cost_model import Board
from titan_repro.errors import ConfigurationError
from titan_repro.figures.costs_table import digits
from titan_repro.figures.pictures import logarithmic, rows_of_two
from titan_repro.figures.spreads import RANGE, band, errors, spread_cells
from titan_repro.figures.style import colour
from titan_repro.figures.table import Table
from titan_repro.figures.titles import sweep_title
from titan_repro.paper.published import claimed_numbers

NOTES = (
    "Latency: milliseconds a sample in the coarse filter, or of scoring and choosing on every "
    "sample; measured: this machine, a round at once, mean over seeds of medians over rounds; "
    "modelled: sample by sample. Speed-up: of the filter over C-IS on every sample. Accuracy: "
    "final, on the whole test set, mean and range over the seeds that finished.",
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
    loaded = load_runs(source)
    sweeps = find_sweeps(source, loaded, "blocks", "fig8")
    return Data([_read(loaded, sweep, board, replay) for sweep in sweeps], replay.device.name)


def tables(data: Data) -> list[Table]:
    """Return a table a sweep."""
    return [_table(one, data.board) for one in data.sweeps]


def panels(data: Data) -> tuple[Any, Sequence[Any]]:
    """Return a figure with two axes a sweep."""
    return rows_of_two([sweep_title(one.sweep) for one in data.sweeps], (10, 4.2))


def draw(data: Data, axes: Sequence[Any]) -> None:
    """Draw latency on the left and accuracy on the right of each sweep's row."""
    for one, left, right in zip(data.sweeps, axes[::2], axes[1::2], strict=True):
        _latency(left, one, data.board)
        _accuracy(right, one)


def _read(loaded: Runs, sweep: Sweep, board: Board, replay: Replay) -> BlockSweep:
    def point(name: str, runs: pd.DataFrame) -> Point | None:
        if len(runs) == 0:
            return None
        recorded = [loaded.recorded[run_id] for run_id in runs["run_id"]]
        first = runs.iloc[0].to_dict()
        sizes = (velocity(first), first["config.batch_size"])
        return Point(
            name,
            Spread.of(each.sample_milliseconds() for each in recorded).mean,
            modelled_latency(board, replay.counter(recorded[0]), *map(int, sizes)),
            accuracies(runs),
        )

    numbers = sorted(set(sweep.titan["at"]))
    points = {at: point(str(at), sweep.titan[sweep.titan["at"] == at]) for at in numbers}
    return BlockSweep(
        sweep,
        {at: found for at, found in points.items() if found is not None},
        point("cis on everything", sweep.cis),
        point("rs", sweep.rs),
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


def _latency(axes: Any, one: BlockSweep, board: str) -> None:
    """Lines with marks: the filter; without: C-IS on everything."""
    blocks = list(one.by_blocks)
    clocks = (("measured", "measured", "o-"), ("modelled", f"modelled on {board}", "D--"))
    for clock, words, marks in clocks:
        latencies = [getattr(point, clock) for point in one.by_blocks.values()]
        axes.plot(blocks, latencies, marks, color=colour("titan"), label=f"filter, {words}")
        if one.cis is not None:
            style = marks[1:]
            label = f"cis on everything, {words}"
            axes.axhline(getattr(one.cis, clock), color=colour("cis"), linestyle=style, label=label)
    logarithmic(axes)
    axes.set_ylabel("ms a sample")
    _blocks_axis(axes, blocks)
    first = blocks[0]
    speed = {clock: one.speed_up(first, clock) for clock, *_ in clocks}
    if first == 1:
        speed["paper"] = one.paper
    known = [f"{name} {digits(times)} x" for name, times in speed.items() if not math.isnan(times)]
    if known:
        start = f"speed-up with {first} block{'s' if first > 1 else ''}: "
        axes.set_title(start + ", ".join(known), fontsize="small")


def _accuracy(axes: Any, one: BlockSweep) -> None:
    """Mean and range over seeds."""
    points = list(one.by_blocks.values())
    errors(axes, list(one.by_blocks), [point.accuracy for point in points], "titan")
    for name, point in (("cis", one.cis), ("rs", one.rs)):
        if point is not None:
            band(axes, point.accuracy, name, point.name)
    axes.set_ylabel("final accuracy, %")
    axes.set_title(RANGE, fontsize="small")
    _blocks_axis(axes, list(one.by_blocks))


def _blocks_axis(axes: Any, blocks: Sequence[int]) -> None:
    axes.set_xlabel("blocks that make the filter's features")
    axes.set_xticks(list(blocks))
    axes.legend(fontsize=7, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.13))
