"""Training curves: accuracy against rounds, one line a selector, the range over seeds shaded."""

import textwrap
from pathlib import Path
from typing import Any

import pandas as pd

from titan_repro.analysis.comparison import order_labels, setting_title
from titan_repro.analysis.load import Runs
from titan_repro.figures.pictures import check_format, save
from titan_repro.figures.style import colour, pyplot

DASHES = ("solid", "dashed", "dotted", "dashdot")
"""Variants of one selector share its colour."""


def plot_comparison(runs: Runs, path: Path) -> None:
    """Draw one panel a setting: mean accuracy over seeds, lowest to highest seed shaded.

    Raises ConfigurationError for another kind of file, or one that cannot be written.
    """
    check_format(path)
    plt = pyplot()
    settings = list(runs.summaries.groupby("setting", sort=False))
    figure, panels = plt.subplots(
        len(settings), 1, figsize=(6.4, 4.0 * len(settings)), squeeze=False
    )
    for axes, (setting, group) in zip(panels[:, 0], settings, strict=True):
        _curves(axes, runs.curves[runs.curves["setting"] == setting])
        axes.set_title(textwrap.fill(setting_title(group), 80), fontsize="medium")
    save(figure, path)


def _curves(axes: Any, curves: pd.DataFrame) -> None:
    """Draw one line a label. curves: label, selector, seed, round, accuracy."""
    drawn: dict[str, int] = {}
    for label in order_labels(curves["label"]):
        own = curves[curves["label"] == label]
        by_round = 100 * own.groupby("round")["accuracy"].agg(["mean", "min", "max"])
        everywhere = own.groupby("round")["seed"].nunique() == own["seed"].nunique()
        by_round = by_round[everywhere]  # a mean over fewer seeds would jump where one diverged
        selector = label.split()[0]
        variant = drawn[selector] = drawn.get(selector, -1) + 1
        hue, dashes = colour(selector), DASHES[variant % len(DASHES)]
        seeds = own["seed"].nunique()
        name = f"{label} ({seeds} seed{'s' if seeds > 1 else ''})"
        axes.plot(by_round.index, by_round["mean"], color=hue, linestyle=dashes, label=name)
        if seeds > 1:
            axes.fill_between(
                by_round.index, by_round["min"], by_round["max"], color=hue, alpha=0.15, linewidth=0
            )
    axes.set_xlabel("training rounds")
    axes.set_ylabel("accuracy on the fixed test subset, %")
    axes.set_xlim(left=0)
    several = curves["seed"].nunique() > 1
    axes.legend(title="mean and range over seeds" if several else None, alignment="left")
