"""Figure 11: training curves on noisy streams, beside those on the clean stream.

A panel a stream: (a) 40 % of the samples have noisy inputs, (b) 40 % have a wrong label. A stream
without runs shows the paper's curves alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from titan_repro.analysis.clocks import choose_clock
from titan_repro.analysis.replay import Replay
from titan_repro.figures.comparison import comparison_tables
from titan_repro.figures.curves import (
    CurvePanel,
    curve_grid,
    draw_panel,
    paper_panel,
    setting_panel,
)
from titan_repro.figures.planned import Shown, shown_runs
from titan_repro.figures.table import Table, no_runs, with_notes
from titan_repro.paper.published import CURVES_TASK, FIGURE_OF_STREAM

EXPERIMENTS = ("fig11",)
MODEL = "mobilenet"


@dataclass(frozen=True)
class Data:
    """The runs, and the tables of `titan-report compare` of them."""

    shown: Shown
    compared: Sequence[Table]


def load(source: Path, replay_on: Callable[[str], Replay]) -> Data:
    """Read the runs of experiment=fig11 below `source`. Raises RunFolderError for no folder."""
    shown = shown_runs(source, EXPERIMENTS)
    if shown.runs is None:
        return Data(shown, [no_runs("Figure 11")])
    choose = choose_clock(None, source, shown.runs, replay_on)
    return Data(shown, comparison_tables(shown.runs, choose))


def tables(data: Data) -> list[Table]:
    """Return those of `titan-report compare`, and what was not run."""
    return with_notes(data.compared, data.shown.notes())


def panels(data: Data) -> tuple[Any, Sequence[Any]]:
    """Return a figure with an axes a stream, two a row."""
    return curve_grid(len(list(_panels(data))))


def draw(data: Data, axes: Sequence[Any]) -> None:
    """Draw a stream on each of the axes."""
    for place, panel in zip(axes, _panels(data), strict=True):
        draw_panel(place, panel)


def _panels(data: Data) -> Iterator[CurvePanel]:
    """Yield the panels of the clean stream and of the noisy ones, (a) and (b)."""
    runs = data.shown.runs
    for stream, figure in FIGURE_OF_STREAM.items():
        own = [] if runs is None else [g for g in runs.settings() if g["stream"].iloc[0] == stream]
        if runs is not None:
            yield from (setting_panel(group, runs.curves) for group in own)
        if not own:
            title = f"{CURVES_TASK}, {MODEL}, stream {stream}"
            missing = f"no runs: titan-run experiment=fig11 stream={stream}"
            yield paper_panel(title, MODEL, figure, missing)
