"""Figure 2: what the selectors of the paper's motivation cost, and how they train MobileNet.

(a) time of a round over that of random selection: modelled on the paper's board, measured where
there is a measurement (experiment=fig6), and the paper's. (b) training with batches of 10 and 25.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from titan_repro.analysis.clocks import CostsClock, NoTimeError, choose_clock
from titan_repro.analysis.costs import Costs, find_costs
from titan_repro.analysis.replay import Replay
from titan_repro.boards.cost_model import Board
from titan_repro.boards.paper import published_numbers
from titan_repro.boards.paper_model import baseline_seconds, paper_setups
from titan_repro.errors import ConfigurationError
from titan_repro.figures.comparison import comparison_tables
from titan_repro.figures.costs_table import NONE, digits
from titan_repro.figures.curves import (
    LEGEND,
    NO_CURVES,
    CurvePanel,
    draw_panel,
    paper_panel,
    setting_panel,
)
from titan_repro.figures.planned import Shown, shown_runs
from titan_repro.figures.style import colour, pyplot
from titan_repro.figures.table import Table, with_notes
from titan_repro.paper.published import CURVES_TASK

EXPERIMENTS = ("fig2",)
MODEL = "mobilenet"
BATCHES = (10, 25)
BOARD = "device=jetson_nano"

WORDS = {
    "rs": "random",
    "is": "IS",
    "hl": "loss",
    "ce": "entropy",
    "ocs": "representative & diverse",
    "camel": "Camel",
}
"""The paper's names in Figure 2; its "Repre&Div" is taken for OCS."""

NOTES = (
    "Time of a round of MobileNet under selection in sequence. Paper and board: inputs of 224 x "
    "224, samples scored one by one, IS on gradients of all parameters; highest loss stands for "
    "the paper's Loss, OCS for its Repre&Div. Measured: experiment=fig6 on this machine's inputs "
    "of 32 x 32, samples of a round scored at once, IS on the last layer.",
)


@dataclass(frozen=True)
class Cost:
    """The time of a round under a selector, in seconds; NaN where it is not known."""

    selector: str
    paper: float
    modelled: float
    measured: float


@dataclass(frozen=True)
class Data:
    """What is drawn. machine: that the measurement was made on, "" without one."""

    costs: Sequence[Cost]
    board: str
    machine: str
    shown: Shown
    compared: Sequence[Table]


def load(source: Path, replay_on: Callable[[str], Replay]) -> Data:
    """Read the runs of experiment=fig2 and the measurement of MobileNet below `source`.

    Raises RunFolderError if there is no such folder.
    """
    shown, replay = shown_runs(source, EXPERIMENTS), replay_on(BOARD)
    board = replay.device.board
    if board is None:
        raise ConfigurationError(f"device: found {replay.device.name}; allowed: a modelled device")
    measured = _measurement(source)
    compared: list[Table] = []
    if shown.runs is not None:
        choose = choose_clock(None, source, shown.runs, replay_on)
        compared = comparison_tables(shown.runs, choose)
    machine = "" if measured is None else measured.machine()
    return Data(round_costs(board, measured), replay.device.name, machine, shown, compared)


def _measurement(source: Path) -> Costs | None:
    """Return the only measurement of the model, if it is one."""
    found = [
        costs
        for costs in find_costs(source)
        if (costs.content["task"], costs.model) == (CURVES_TASK, MODEL)
    ]
    return found[0] if len(found) == 1 else None


def round_costs(board: Board, measured: Costs | None) -> list[Cost]:
    """Return the time of a round under each selector of the figure."""
    setup = paper_setups()[MODEL]
    # Figure 2(a) has one bar for loss: highest and lowest cost the same.
    paper = {number.id: number.value for number in published_numbers()}
    return [
        Cost(
            name,
            paper[f"fig2a.{'ll' if name == 'hl' else name}.{MODEL}"],
            baseline_seconds(board, setup, name),
            math.nan if measured is None else _measured_seconds(measured, name),
        )
        for name in WORDS
    ]


def _measured_seconds(measured: Costs, selector: str) -> float:
    try:
        milliseconds = CostsClock(measured).round_ms({"selector": selector, "choices": {}})
    except NoTimeError:
        return math.nan
    return milliseconds / 1000


def tables(data: Data) -> list[Table]:
    """Return the costs, then the tables of `titan-report compare`."""
    random = data.costs[0]
    rows = [
        [
            WORDS[cost.selector],
            cost.selector,
            *map(digits, (cost.paper, cost.paper / random.paper)),
            *map(digits, (cost.modelled, cost.modelled / random.modelled)),
            *map(digits, (cost.measured, cost.measured / random.measured)),
        ]
        for cost in data.costs
    ]
    header = ("paper's name", "selector", "paper, s", "/ random", f"{data.board}, s", "/ random")
    where = f"measured on {data.machine}" if data.machine else f"measured: {NONE}"
    title = f"Figure 2(a): time of a round of {MODEL}; {where}"
    costs = Table(title, (*header, "measured, s", "/ random"), rows, NOTES)
    return with_notes([costs, *data.compared], data.shown.notes())


def panels(data: Data) -> tuple[Any, Sequence[Any]]:
    """Return a figure with the axes of (a), then one for each batch of (b)."""
    figure, grid = pyplot().subplots(1, 3, figsize=(17.5, 4.4), width_ratios=(1, 1.1, 1.1))
    figure.supxlabel(LEGEND, fontsize="small", color="#4d4d4d")
    return figure, list(grid)


def draw(data: Data, axes: Sequence[Any]) -> None:
    """Draw (a) on the first of the axes, and (b) on the others."""
    _bars(axes[0], data)
    for place, panel in zip(axes[1:], _panels(data.shown), strict=True):
        draw_panel(place, panel)


def _bars(axes: Any, data: Data) -> None:
    """Draw bars of the model's ratios, lines at the paper's, diamonds where measured."""
    places = np.arange(len(data.costs))
    random = data.costs[0]
    modelled = [cost.modelled / random.modelled for cost in data.costs]
    paper = [cost.paper / random.paper for cost in data.costs]
    measured = [cost.measured / random.measured for cost in data.costs]
    hues = [colour(cost.selector) for cost in data.costs]
    axes.barh(places, modelled, 0.6, color=hues, alpha=0.85)
    axes.vlines(paper, places - 0.4, places + 0.4, color="black", linewidth=2)
    axes.plot(measured, places, "D", color="white", markeredgecolor="black", markersize=5)
    for place, cost, ours, theirs in zip(places, data.costs, modelled, paper, strict=True):
        words = f"{cost.modelled:.0f} s, paper {cost.paper:.0f} s"
        axes.annotate(
            *(words, (max(ours, theirs), place)),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
        )
    axes.set_yticks(places, [WORDS[cost.selector] for cost in data.costs])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlim(0, 1.35 * max(*modelled, *paper))
    axes.set_xlabel("time of a round, over that of random selection")
    marks = f"bars: modelled on {data.board}; black lines: the paper"
    diamonds = "diamonds: measured" if data.machine else "no measurement (experiment=fig6)"
    axes.set_title(f"(a) {MODEL}; {marks};\n{diamonds}", fontsize="medium")


def _panels(shown: Shown) -> Iterator[CurvePanel]:
    """Yield the panel of each batch."""
    groups = [] if shown.runs is None else shown.runs.settings()
    for batch in BATCHES:
        own = [group for group in groups if group["config.batch_size"].iloc[0] == batch]
        title = f"(b) {CURVES_TASK}, {MODEL}, batches of {batch}"
        missing = f"no runs: titan-run experiment=fig2 batch_size={batch}"
        if own and shown.runs is not None:
            yield setting_panel(own[0], shown.runs.curves)
        elif batch == 10:
            yield paper_panel(f"{title}: the paper's figure 7", MODEL, "7", missing)
        else:
            words = f"{missing}; the paper's own curves have not been read off its figure"
            yield CurvePanel(title, NO_CURVES, 20_000, missing=words)
