"""Figure 7: training curves: accuracy against rounds, one line a selector.

A panel for each of the paper's models, whether it was run or not, then one for every other setting
of Table 1. Where runs go on further than their setting is compared at, another panel follows. A
folder that has none of the experiments' runs is shown as it is.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from titan_repro.analysis.clocks import ChooseClock, OwnClock, choose_clock
from titan_repro.analysis.load import Runs
from titan_repro.analysis.replay import Replay
from titan_repro.figures.comparison import comparison_tables
from titan_repro.figures.curves import (
    CurvePanel,
    curve_grid,
    draw_panel,
    paper_panel,
    setting_panel,
)
from titan_repro.figures.planned import shown_runs
from titan_repro.figures.table import Table, no_runs, with_notes
from titan_repro.paper.published import CURVES_TASK, TABLE1_ROUNDS

EXPERIMENTS = (
    "campaign_images",
    "campaign_long",
    "campaign_baselines",
    "campaign_resnet50",
    "campaign_resnet34",
    "campaign_movement",
)
FURTHER = ("fig7", "table1_images", "table1_audio", "table1_movement")
"""Experiments of which runs are shown, but none is missed."""

PAPER_MODELS = ("alexnet", "mobilenet", "squeezenet", "resnet50")


@dataclass(frozen=True)
class Data:
    """Runs, what chooses the clock of their tables, and what the tables say of missing ones.

    runs: None if there are none. longer: those of them that go on to the paper's last round, cut
    there. models: of the paper, each of which gets a panel.
    """

    runs: Runs | None
    choose: ChooseClock
    longer: Runs | None = None
    models: Sequence[str] = ()
    notes: Sequence[str] = ()


def load(source: Path, replay_on: Callable[[str], Replay]) -> Data:
    """Read the runs of Table 1's settings below `source`. Raises RunFolderError for no folder."""
    shown = shown_runs(source, EXPERIMENTS, further=FURTHER, else_all=True)
    if shown.runs is None:
        return Data(None, lambda group: OwnClock(), None, PAPER_MODELS, shown.notes())
    choose = choose_clock(None, source, shown.runs, replay_on)
    longer = shown.at(TABLE1_ROUNDS)
    return Data(shown.runs, choose, longer, PAPER_MODELS, shown.notes())


def tables(data: Data) -> list[Table]:
    """Return those of `titan-report compare`."""
    if data.runs is None:
        return with_notes([no_runs("Figure 7")], data.notes)
    return with_notes(comparison_tables(data.runs, data.choose), data.notes)


def panels(data: Data) -> tuple[Any, Sequence[Any]]:
    """Return a figure with an axes a panel, two a row."""
    return curve_grid(len(list(_panels(data))))


def draw(data: Data, axes: Sequence[Any]) -> None:
    """Draw a panel on each of the axes."""
    for place, panel in zip(axes, _panels(data), strict=True):
        draw_panel(place, panel)


def _panels(data: Data) -> Iterator[CurvePanel]:
    """Yield the panels: the paper's models first, then all else."""
    groups = [] if data.runs is None else data.runs.settings()
    for model in data.models:
        own = [group for group in groups if _is_of(group, model)]
        for group in own:
            yield from _with_longer(data, group)
        if not own:
            title = f"{CURVES_TASK}, {model}, stream clean"
            missing = f"no runs: titan-run experiment=fig7 model={model}"
            yield paper_panel(title, model, "7", missing)
    for group in groups:
        if not any(_is_of(group, model) for model in data.models):
            yield from _with_longer(data, group)


def _with_longer(data: Data, group: pd.DataFrame) -> Iterator[CurvePanel]:
    """Yield the panel of a setting, and that of its runs that go on further."""
    assert data.runs is not None
    yield setting_panel(group, data.runs.curves)
    if data.longer is None:
        return
    for further in data.longer.settings():
        first, last = group.iloc[0], further.iloc[0]
        finished = (further["status"] == "finished").any()
        if finished and first["setting"] == last["setting"] and last["rounds"] > first["rounds"]:
            yield setting_panel(further, data.longer.curves)


def _is_of(group: pd.DataFrame, model: str) -> bool:
    first = group.iloc[0]
    return (first["task"], first["model"], first["stream"]) == (CURVES_TASK, model, "clean")
