"""Training curves in a panel: at most four lines stand out, each has its name at its end.

A line is the mean over seeds, shaded from the lowest to the highest seed where it stands out. Below
ours, thin and grey, are the paper's own curves of the same task, model and stream.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import pandas as pd

from titan_repro.analysis.comparison import order_labels
from titan_repro.figures.end_labels import EndLabel, write_at_ends
from titan_repro.figures.style import (
    LOOKS,
    PAPER_COLOUR,
    QUIET_COLOUR,
    VARIANTS,
    Look,
    looks,
    pyplot,
)
from titan_repro.figures.titles import setting_title
from titan_repro.paper.published import CURVES_TASK, FIGURE_OF_STREAM, curve

MOST_STANDING_OUT = 4
FOREMOST = ("rs", "titan", "cis", "stratified")
"""Selectors whose lines stand out, own ones after the first two."""

FEW_POINTS = 12
"""Curves of no more points get a mark at each."""

COLUMNS = 2
LEGEND = (
    "line: mean over (n) seeds, accuracy at its end in %; shade: lowest to highest seed; "
    "thin grey: the paper's own curves"
)


@dataclass(frozen=True)
class CurvePanel:
    """What one panel shows.

    curves: rows of `Runs.curves`; none where there are no runs. rounds: where the axis ends.
    paper: the paper's curves by selector, of `figure`. missing: what is said in place of runs.
    """

    title: str
    curves: pd.DataFrame
    rounds: int
    paper: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    figure: str = ""
    missing: str = ""


def setting_panel(group: pd.DataFrame, curves: pd.DataFrame) -> CurvePanel:
    """Return the panel of one setting, the paper's curves as far as our runs go.

    group: the setting's rows of `Runs.summaries`. curves: of all runs.
    """
    rounds = int(max(group["rounds"].max(), 1))
    figure, paper = _paper_of(group.iloc[0])
    selectors = set(group["selector"]) & set(paper)
    shown = {name: _until(paper[name], rounds) for name in order_labels(selectors)}
    own = curves[curves["run_id"].isin(group["run_id"])]
    return CurvePanel(setting_title(group), own, rounds, shown, figure)


def paper_panel(title: str, model: str, figure: str, missing: str) -> CurvePanel:
    """Return the panel of a setting without runs: the paper's curves of a model, and a word."""
    paper = paper_curves(model, figure)
    rounds = int(max((drawn["round"].max() for drawn in paper.values()), default=1))
    return CurvePanel(title, NO_CURVES, rounds, paper, figure, missing)


NO_CURVES = pd.DataFrame(columns=["run_id", "label", "selector", "seed", "round", "accuracy"])


def paper_curves(model: str, figure: str) -> dict[str, pd.DataFrame]:
    """Return the paper's curves of a model by selector, those that the figure shows."""
    found = {name: curve(model, name, figure) for name in LOOKS}
    return {name: drawn for name, drawn in found.items() if len(drawn)}


def _paper_of(run: "pd.Series[Any]") -> tuple[str, dict[str, pd.DataFrame]]:
    """Return which figure of the paper shows the setting of a run, and its curves."""
    figure = FIGURE_OF_STREAM.get(run["stream"], "")
    if run["task"] != CURVES_TASK or run.get("config.batch_size", 10) != 10:
        return "", {}
    return figure, paper_curves(run["model"], figure)


def _until(drawn: pd.DataFrame, rounds: int) -> pd.DataFrame:
    return drawn[drawn["round"] <= rounds]


def curve_grid(number: int) -> tuple[Any, Sequence[Any]]:
    """Return a figure with so many axes, two a row, and the axes."""
    columns = min(max(number, 1), COLUMNS)
    rows = ceil(max(number, 1) / columns)
    figure, grid = pyplot().subplots(
        rows, columns, figsize=(6.8 * columns, 4.0 * rows + 0.4), squeeze=False
    )
    for axes in grid.flat[number:]:
        axes.remove()
    figure.supxlabel(LEGEND, fontsize="small", color="#4d4d4d")
    return figure, list(grid.flat[:number])


def draw_panel(axes: Any, panel: CurvePanel) -> None:
    """Draw a panel on its axes, which get their names, units and ends."""
    labels = _ours(axes, panel.curves) + _papers(axes, panel)
    axes.set_title(textwrap.fill(panel.title, 64), fontsize="medium")  # clear of the ends
    axes.set_xlabel("training rounds")
    axes.set_ylabel("accuracy on the fixed test subset, %")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlim(0, panel.rounds)
    if not labels:
        axes.set_ylim(0, 100)
    if panel.missing:
        say_in(axes, panel.missing)
    write_at_ends(axes, labels)


def say_in(axes: Any, words: str) -> None:
    """Write what is missing into a panel, on white, so that lines below do not cross it."""
    axes.text(
        *(0.6, 0.36, textwrap.fill(words, 48)),
        transform=axes.transAxes,
        ha="center",
        va="center",
        bbox={"facecolor": "white", "edgecolor": "#c4c4c4", "boxstyle": "round,pad=0.5"},
        zorder=4,
    )


def standing_out(curves: pd.DataFrame) -> list[str]:
    """Return the labels whose lines stand out, the foremost first, at most four."""
    first, second, *others = FOREMOST
    own = sorted(set(curves["selector"]) - set(LOOKS))
    order = [first, second, *own, *others]
    selector_of = dict(zip(curves["label"], curves["selector"], strict=True))
    ranked = sorted(
        (label for label in order_labels(selector_of) if selector_of[label] in order),
        key=lambda label: order.index(selector_of[label]),
    )
    return ranked[:MOST_STANDING_OUT]


def _ours(axes: Any, curves: pd.DataFrame) -> list[EndLabel]:
    """Draw one line a label; return the words at their ends."""
    look_of, foremost = looks(curves["selector"]), standing_out(curves)
    drawn: dict[str, int] = {}
    ends = []
    for label in order_labels(curves["label"]):
        own = curves[curves["label"] == label]
        selector = str(own["selector"].iloc[0])
        look, variant = look_of[selector], drawn.get(selector, 0)
        drawn[selector] = variant + 1
        if variant:
            look = Look(look.colour, VARIANTS[(variant - 1) % len(VARIANTS)])
        if label not in foremost:
            look = Look(QUIET_COLOUR, look.dashes)
        ends.append(_line(axes, label, own, look, foremost=label in foremost))
    return ends


def _line(axes: Any, label: str, own: pd.DataFrame, look: Look, *, foremost: bool) -> EndLabel:
    """Draw mean and range over the seeds of one label, as far as all of them go."""
    by_round = 100 * own.groupby("round")["accuracy"].agg(["mean", "min", "max"])
    seeds = own["seed"].nunique()
    everywhere = own.groupby("round")["seed"].nunique() == seeds
    by_round = by_round[everywhere]  # a mean over fewer seeds would jump where one diverged
    axes.plot(
        by_round.index,
        by_round["mean"],
        color=look.colour,
        linewidth=1.8 if foremost else 1.0,
        linestyle=look.dashes,
        marker="o" if len(by_round) <= FEW_POINTS else None,
        markersize=3.5 if foremost else 2.5,
        zorder=2.5 if foremost else 2,
        label=label,
    )
    if seeds > 1 and foremost:
        axes.fill_between(
            by_round.index,
            by_round["min"],
            by_round["max"],
            color=look.colour,
            alpha=0.13,
            linewidth=0,
        )
    end = float(by_round["mean"].iloc[-1])
    words = f"{label} {end:.1f} ({seeds})"
    return EndLabel(float(by_round.index[-1]), end, words, look.colour, bold=foremost)


def draw_paper_curve(
    axes: Any, drawn: pd.DataFrame, look: Look, selector: str, figure: str
) -> None:
    """Draw one of the paper's curves (round, accuracy in percent), thin and grey below ours."""
    axes.plot(
        drawn["round"],
        drawn["accuracy"],
        color=PAPER_COLOUR,
        linestyle=look.dashes,
        linewidth=0.8,
        zorder=1.5,
        label=f"{selector}, paper's figure {figure}",
    )


def _papers(axes: Any, panel: CurvePanel) -> list[EndLabel]:
    """Draw the paper's curves below ours; beside runs, those of the lines that stand out."""
    foremost = {label.split()[0] for label in standing_out(panel.curves)}
    look_of = looks(panel.paper)
    ends = []
    for selector, drawn in panel.paper.items():
        if len(drawn) < 2 or (foremost and selector not in foremost):
            continue
        draw_paper_curve(axes, drawn, look_of[selector], selector, panel.figure)
        end = float(drawn["accuracy"].iloc[-1])
        words = f"{selector} {end:.1f} (paper)"
        ends.append(EndLabel(float(drawn["round"].iloc[-1]), end, words, PAPER_COLOUR))
    return ends
