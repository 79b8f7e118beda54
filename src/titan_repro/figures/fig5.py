"""Figure 5: how far batches are from the mean gradient, and how long importance lasts.

A row of panels for each measurement of `experiment=fig5`: (a) mean squared error of a batch over
that of rs, by batch size; (b) what filter and C-IS have each, split into variance and squared bias;
(c) correlation of importance between rounds. (a) and (b) are of the last state and of the last
layer's gradients; the tables have all states, and gradients over all parameters.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from titan_repro.analysis.variance import VarianceRecord, load_variance
from titan_repro.errors import RunFolderError
from titan_repro.figures.fig5_tables import NAMES, SHOWN, WAYS, fig5_tables
from titan_repro.figures.pictures import logarithmic
from titan_repro.figures.style import LOOKS, PAPER_COLOUR, Look, colour, pyplot
from titan_repro.paper.published import (
    IMPORTANCE_CORRELATION,
    batch_variances,
    filter_variances,
)
from titan_repro.records.variance import GREEDY

EXPERIMENTS = ("fig5",)

Data = Sequence[VarianceRecord]

HIGHEST = 6.0
"""Of the axis of (a): what is farther above random selection is in the tables."""

UNBIASED = Look("#7fb2e5", (0, (1, 1)))
GREEDY_LOOK = Look("#b8a100", (0, (6, 1.5, 1, 1.5)))


def load(source: Path, replay_on: object) -> Data:
    """Read the measurements below `source` of more than one batch size.

    Raises RunFolderError if there are none or one is damaged.
    """
    found = [each for each in load_variance(source) if len(each.batch_sizes) > 1]
    if not found:
        raise RunFolderError(
            f"{source}: found no measurements of several batch sizes; titan-run experiment=fig5 "
            "with paths.runs makes them"
        )
    return found


def tables(data: Data) -> list[Any]:
    """Return their tables."""
    return fig5_tables(data)


def panels(data: Data) -> tuple[Any, Sequence[Any]]:
    """Return a figure with three axes a measurement."""
    figure = pyplot().figure(figsize=(13.5, 3.9 * len(data)))
    rows = figure.subfigures(len(data), 1, squeeze=False)[:, 0]
    axes: list[Any] = []
    for row, record in zip(rows, data, strict=True):
        row.suptitle(f"{record.title}: gradients of the last layer", fontsize="medium")
        axes += list(row.subplots(1, 3, width_ratios=(1.25, 1.15, 1)))
    return figure, axes


def draw(data: Data, axes: Sequence[Any]) -> None:
    """Draw the three panels of each measurement."""
    for place, record in enumerate(data):
        sizes, ways, lags = axes[3 * place : 3 * place + 3]
        _by_size(sizes, record)
        _by_way(ways, record)
        _by_lag(lags, record)


def _by_size(axes: Any, record: VarianceRecord) -> None:
    state, sizes = record.states[-1], record.batch_sizes
    axes.set_title(f"(a) error of a batch / rs, after {state:,} rounds", fontsize="small")
    axes.axhline(1, color=colour("rs"), linewidth=1.4)
    axes.text(sizes[0], 1.03, "rs", fontsize=7, va="bottom")
    least = [record.least(state, size) for size in sizes]
    every = np.concatenate([_lines(record, state, [*SHOWN, GREEDY]).ravel(), least])
    known = every[np.isfinite(every) & (every > 0)]
    axes.plot(sizes, least, color="#1a1a1a", linewidth=0.9, label="Lemma 2's least")
    for name, values in zip(SHOWN, _lines(record, state, SHOWN), strict=True):
        look = LOOKS.get(name, UNBIASED)
        axes.plot(sizes, values, ".", color=look.colour, linestyle=look.dashes, label=NAMES[name])
    axes.plot(
        sizes,
        _lines(record, state, [GREEDY])[0],
        color=GREEDY_LOOK.colour,
        linestyle=GREEDY_LOOK.dashes,
        linewidth=1.1,
        label="picked knowing the mean",
    )
    for name, mark in (("is", "x"), ("cis", "P")):
        paper = batch_variances(record.model, name)
        if paper:
            axes.plot(
                list(paper),
                list(paper.values()),
                mark,
                color=PAPER_COLOUR,
                markersize=7,
                label=f"{name} in the paper",
            )
    axes.set_xscale("log")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    logarithmic(axes)
    axes.set_ylim(0.8 * min(0.5, *known), 1.2 * min(HIGHEST, max(1.0, *known)))
    axes.set_xlabel("batch size")
    axes.set_ylabel("mean squared error / rs")
    axes.legend(fontsize=6.5, ncols=1, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _lines(record: VarianceRecord, state: int, names: Sequence[str]) -> np.ndarray:
    """Return errors over rs, (names, batch sizes), NaN where not measured."""
    return np.array(
        [[record.over_rs(state, size, name) for size in record.batch_sizes] for name in names]
    )


def _by_way(axes: Any, record: VarianceRecord) -> None:
    """Bars of variance, squared bias on top, for plain and for unbiased weights; the paper's."""
    state, size = record.states[-1], record.batch_size
    axes.set_title(f"(b) filter and C-IS, batches of {size}", fontsize="small")
    places = np.arange(len(WAYS))
    for shift, column, hue in ((-0.2, 0, colour("cis")), (0.2, 1, UNBIASED.colour)):
        names = [pair[column] for pair in WAYS.values()]
        present = [name is not None for name in names]
        variance, bias = (
            np.array(
                [
                    math.nan if name is None else record.over_rs(state, size, name, part=part)
                    for name in names
                ]
            )
            for part in ("variance", "squared_bias")
        )
        at = (places + shift)[present]
        label = "plain weights" if column == 0 else "unbiased weights"
        axes.bar(at, variance[present], 0.36, color=hue, label=f"variance, {label}")
        axes.bar(
            at,
            np.maximum(bias[present], 0),
            0.36,
            variance[present],
            color="white",
            edgecolor=hue,
            hatch="////",
            linewidth=0.8,
            label="squared bias" if column == 0 else None,
        )
    paper = filter_variances(record.model)
    if paper:
        axes.plot(
            places, [paper[way] for way in WAYS], "D", color="#1a1a1a", markersize=5, label="paper"
        )
    axes.axhline(1, color=colour("rs"), linewidth=0.8, linestyle="dotted")
    axes.set_xticks(places, [way.replace("+", "\n+ ") for way in WAYS], fontsize=7)
    axes.grid(visible=False, axis="x")
    axes.set_ylim(0, 1.45 * max(1.0, axes.dataLim.y1 / 1.05))
    axes.set_ylabel("error / rs")
    axes.legend(fontsize=6.5, ncols=2, loc="upper right")


def _by_lag(axes: Any, record: VarianceRecord) -> None:
    """Full lines: Pearson's; dotted: of ranks."""
    axes.set_title("(c) importance now and k rounds later", fontsize="small")
    rows = record.findings.stability
    states = sorted({row.state for row in rows})
    shades = pyplot().get_cmap("viridis")(np.linspace(0.0, 0.85, max(len(states), 1)))
    for state, shade in zip(states, shades, strict=False):
        own = [row for row in rows if row.state == state]
        lags = [row.lag for row in own]
        axes.plot(lags, [row.pearson for row in own], "o-", color=shade, markersize=3.5)
        axes.plot(lags, [row.spearman for row in own], ":", color=shade)
        axes.plot([], [], "-", color=shade, label=f"after {state:,} rounds")
    axes.plot([], [], ":", color="#4d4d4d", label="of ranks")
    axes.plot([1], [IMPORTANCE_CORRELATION], "D", color="#1a1a1a", markersize=5, label="paper")
    if rows:
        every = sorted({row.lag for row in rows})
        axes.set_xscale("log")
        axes.set_xticks(every, [str(lag) for lag in every])
        axes.minorticks_off()
    axes.set_ylim(min(0.0, axes.dataLim.y0), 1.04)
    axes.set_xlabel("rounds k between")
    axes.set_ylabel("correlation")
    axes.legend(fontsize=6.5, loc="lower left")
