"""Figure 7: training curves: accuracy against rounds, one line a selector.

A panel a setting: the mean over seeds, from lowest to highest seed shaded, and below them, thin and
grey, the paper's own curve of the same task, model and selector where it shows one.
"""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import pandas as pd

from titan_repro.analysis.clocks import ChooseClock, choose_clock
from titan_repro.analysis.comparison import order_labels
from titan_repro.analysis.load import Runs, load_runs
from titan_repro.analysis.replay import Replay
from titan_repro.figures.comparison import comparison_tables
from titan_repro.figures.style import LOOKS, PAPER_COLOUR, VARIANTS, looks, pyplot
from titan_repro.figures.table import Table
from titan_repro.figures.titles import setting_title
from titan_repro.paper.published import CURVES_TASK, FIGURE_OF_STREAM, curve

EXPERIMENTS = ("table1_images",)

FEW_POINTS = 12
"""Curves of no more points get a mark at each."""

MANY = 6
"""More lines than this get a paler range and a legend below them."""

LONG = 20
"""Characters of a label of which three do not fit beside each other."""

COLUMNS = 2

FOREMOST = ("rs", "stratified", "cis", "titan")
"""Selectors whose lines stand out; own ones do too."""


@dataclass(frozen=True)
class Data:
    """Runs, and what chooses the clock of their tables."""

    runs: Runs
    choose: ChooseClock


def load(source: Path, replay_on: Callable[[str], Replay]) -> Data:
    """Read all runs below `source`. Raises RunFolderError if there are none."""
    runs = load_runs(source)
    return Data(runs, choose_clock(None, source, runs, replay_on))


def tables(data: Data) -> list[Table]:
    """Return those of `titan-report compare`."""
    return comparison_tables(data.runs, data.choose)


def panels(data: Data) -> tuple[Any, Sequence[Any]]:
    """Return a figure with an axes a setting, two a row."""
    number = data.runs.summaries["setting"].nunique()
    columns = min(number, COLUMNS)
    rows = ceil(number / columns)
    figure, grid = pyplot().subplots(
        rows, columns, figsize=(6.8 * columns, 4.2 * rows), squeeze=False
    )
    for axes in grid.flat[number:]:
        axes.remove()
    return figure, list(grid.flat[:number])


def draw(data: Data, axes: Sequence[Any]) -> None:
    """Draw a setting on each of the axes."""
    runs = data.runs
    settings = list(runs.summaries.groupby("setting", sort=False))
    for panel, (setting, group) in zip(axes, settings, strict=True):
        curves = runs.curves[runs.curves["setting"] == setting]
        _curves(panel, curves)
        _paper(panel, group)
        panel.set_title(textwrap.fill(setting_title(group), 88), fontsize="medium")
        panel.set_xlabel("training rounds")
        panel.set_ylabel("accuracy on the fixed test subset, %")
        panel.xaxis.set_major_formatter("{x:,.0f}")
        panel.set_xlim(0, max(1, curves["round"].max()))
        several = curves["seed"].nunique() > 1
        legend: dict[str, Any] = {"title": "mean and range over seeds"} if several else {}
        if curves["label"].nunique() > MANY:  # they leave no free place
            legend |= {"loc": "upper center", "bbox_to_anchor": (0.5, -0.13)}
            legend["ncols"] = 2 if curves["label"].str.len().max() > LONG else 3
        panel.legend(alignment="left", fontsize=7.5, title_fontsize=7.5, **legend)


def _curves(axes: Any, curves: pd.DataFrame) -> None:
    """Draw one line a label. curves: label, selector, seed, round, accuracy."""
    look_of = looks(curves["selector"])
    drawn: dict[str, int] = {}
    for label in order_labels(curves["label"]):
        own = curves[curves["label"] == label]
        by_round = 100 * own.groupby("round")["accuracy"].agg(["mean", "min", "max"])
        everywhere = own.groupby("round")["seed"].nunique() == own["seed"].nunique()
        by_round = by_round[everywhere]  # a mean over fewer seeds would jump where one diverged
        selector = str(own["selector"].iloc[0])
        look, variant = look_of[selector], drawn.get(selector, 0)
        drawn[selector] = variant + 1
        seeds = own["seed"].nunique()
        axes.plot(
            by_round.index,
            by_round["mean"],
            color=look.colour,
            linewidth=1.7 if selector in FOREMOST or selector not in LOOKS else 1.1,
            linestyle=look.dashes if variant == 0 else VARIANTS[(variant - 1) % len(VARIANTS)],
            marker="o" if len(by_round) <= FEW_POINTS else None,
            markersize=3.5,
            label=f"{label} ({seeds} seed{'s' if seeds > 1 else ''})",
        )
        if seeds > 1:
            axes.fill_between(
                by_round.index,
                by_round["min"],
                by_round["max"],
                color=look.colour,
                alpha=0.15 if curves["label"].nunique() <= MANY else 0.08,
                linewidth=0,
            )


def _paper(axes: Any, group: pd.DataFrame) -> None:
    """Draw the paper's curves of the selectors that are here, as far as our runs go."""
    first = group.iloc[0]
    figure = FIGURE_OF_STREAM.get(first["stream"])
    if first["task"] != CURVES_TASK or figure is None:
        return
    look_of = looks(group["selector"])
    for selector in order_labels(group["selector"]):
        drawn = curve(first["model"], selector, figure)
        drawn = drawn[drawn["round"] <= group["rounds"].max()]
        if len(drawn) > 1:
            axes.plot(
                drawn["round"],
                drawn["accuracy"],
                color=PAPER_COLOUR,
                linestyle=look_of[selector].dashes,
                linewidth=0.8,
                zorder=1.5,
                label=f"{selector}, paper's figure {figure}",
            )
