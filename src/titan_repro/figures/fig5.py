"""Figure 5: how far batches are from the mean gradient, and how long importance lasts.

A row of panels for each training that `experiment=fig5` measured, seeds averaged: (a) mean squared
error of a batch over that of rs, by batch size, at the first and the last state; (b) what filter
and C-IS have each, split into variance and squared bias, state by state; (c) correlation of
importance between rounds. All are of the last layer's gradients; the details have gradients over
all parameters, too, and every seed.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from titan_repro.analysis.mean_variance import MeanVariance, over_seeds
from titan_repro.analysis.variance import load_variance
from titan_repro.errors import RunFolderError
from titan_repro.figures.fig5_tables import NAMES, SHOWN, WAYS, fig5_details, fig5_tables
from titan_repro.figures.pictures import logarithmic
from titan_repro.figures.style import LOOKS, PAPER_COLOUR, Look, colour, pyplot
from titan_repro.figures.table import Table
from titan_repro.paper.published import (
    IMPORTANCE_CORRELATION,
    batch_variances,
    filter_variances,
)
from titan_repro.records.variance import GREEDY

EXPERIMENTS = ("fig5",)

Data = Sequence[MeanVariance]

LOWEST, HIGHEST = 0.003, 6.0
"""Of the axes of (a): what is farther from random selection is in the tables."""

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
    return over_seeds(found)


def tables(data: Data) -> list[Table]:
    """Return what the picture shows as tables: batches of the last layer, seeds averaged."""
    return fig5_tables(data)


def details(data: Data) -> list[Table]:
    """Return every number of every measurement."""
    return fig5_details([record for mean in data for record in mean.records])


def panels(data: Data) -> tuple[Any, Sequence[Any]]:
    """Return a figure with four axes a training."""
    figure = pyplot().figure(figsize=(16.5, 3.9 * len(data)))
    rows = figure.subfigures(len(data), 1, squeeze=False)[:, 0]
    axes: list[Any] = []
    for row, record in zip(rows, data, strict=True):
        row.suptitle(f"{record.title}: gradients of the last layer", fontsize="medium")
        axes += list(row.subplots(1, 4, width_ratios=(0.9, 0.9, 1.15, 1)))
    return figure, axes


def draw(data: Data, axes: Sequence[Any]) -> None:
    """Draw the four panels of each training."""
    for place, record in enumerate(data):
        first, last, ways, lags = axes[4 * place : 4 * place + 4]
        _by_size(first, record, record.states[0])
        _by_size(last, record, record.states[-1])
        last.legend(fontsize=6.5, loc="center left", bbox_to_anchor=(1.0, 0.5))
        _share_limits(first, last)
        _by_way(ways, record)
        _by_lag(lags, record)


def _by_size(axes: Any, record: MeanVariance, state: int) -> None:
    sizes = record.batch_sizes
    axes.set_title(f"(a) error of a batch / rs, after {state:,} rounds", fontsize="small")
    axes.axhline(1, color=colour("rs"), linewidth=1.4, label="rs")
    least = [record.least(state, size) for size in sizes]
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
    axes.set_xlabel("batch size")
    axes.set_ylabel("mean squared error / rs")


def _share_limits(*panels: Any) -> None:
    """Give all the same y axis, which holds all points that are neither tiny nor huge."""
    drawn = [np.asarray(line.get_ydata(), dtype=float) for axes in panels for line in axes.lines]
    every = np.concatenate(drawn)
    known = every[np.isfinite(every) & (every > 0)]
    low, high = 0.8 * max(LOWEST, known.min()), 1.2 * min(HIGHEST, known.max())
    for axes in panels:
        axes.set_ylim(low, high)


def _lines(record: MeanVariance, state: int, names: Sequence[str]) -> np.ndarray:
    """Return errors over rs, (names, batch sizes), NaN where not measured."""
    return np.array(
        [[record.over_rs(state, size, name) for size in record.batch_sizes] for name in names]
    )


def _by_way(axes: Any, record: MeanVariance) -> None:
    """Bars of variance, squared bias on top, a shade a state; dashes with unbiased weights."""
    size, states = record.batch_size, record.states
    axes.set_title(f"(b) filter and C-IS, batches of {size}", fontsize="small")
    places, width = np.arange(len(WAYS)), 0.84 / len(states)
    for number, (state, shade) in enumerate(zip(states, _shades(states), strict=True)):
        at = places + (number - (len(states) - 1) / 2) * width
        plain, unbiased = zip(*WAYS.values(), strict=True)
        variance = _parts(record, state, plain, "variance")
        bias = np.maximum(_parts(record, state, plain, "squared_bias"), 0)
        axes.bar(at, variance, 0.9 * width, color=shade, label=f"after {state:,} rounds")
        axes.bar(
            at, bias, 0.9 * width, variance, color="white", edgecolor=shade, hatch="/////", lw=0.6
        )
        corrected = _parts(record, state, unbiased, "mean_squared")
        axes.plot(at, corrected, "_", color="#c0392b", markersize=60 * width, markeredgewidth=1.6)
    axes.bar([0], [0], color="white", edgecolor="#4d4d4d", hatch="/////", label="squared bias")
    axes.plot([], [], "_", color="#c0392b", markersize=10, label="with unbiased weights")
    paper = filter_variances(record.model)
    if paper:
        values = [paper[way] for way in WAYS]
        axes.plot(places, values, "D", color="#1a1a1a", markersize=5, label="paper")
    axes.axhline(1, color=colour("rs"), linewidth=0.8, linestyle="dotted")
    axes.set_xticks(places, [way.replace("+", "\n+ ") for way in WAYS], fontsize=7)
    axes.grid(visible=False, axis="x")
    axes.set_ylim(0, 1.5 * axes.dataLim.y1)
    axes.set_ylabel("mean squared error / rs")
    axes.legend(fontsize=6.5, ncols=2, loc="upper left")


def _parts(record: MeanVariance, state: int, names: Sequence[str | None], part: str) -> np.ndarray:
    """Return a part of the errors of batches of `batch_size` over rs, NaN where there is none."""
    size = record.batch_size
    return np.array(
        [
            math.nan if name is None else record.over_rs(state, size, name, part=part)
            for name in names
        ]
    )


def _shades(states: Sequence[int]) -> np.ndarray:
    """Return a colour a state, the later the lighter."""
    return np.asarray(pyplot().get_cmap("viridis")(np.linspace(0.0, 0.85, max(len(states), 1))))


def _by_lag(axes: Any, record: MeanVariance) -> None:
    """Full lines: Pearson's; dotted: of ranks."""
    found = {state: by_lag for state in record.states if (by_lag := record.stability(state))}
    if not found:
        axes.axis("off")
        return
    axes.set_title("(c) importance now and k rounds later", fontsize="small")
    for state, shade in zip(record.states, _shades(record.states), strict=True):
        if state not in found:
            continue
        lags = list(found[state])
        pearson, ranks = zip(*found[state].values(), strict=True)
        axes.plot(lags, pearson, "o-", color=shade, ms=3.5, label=f"after {state:,} rounds")
        axes.plot(lags, ranks, ":", color=shade)
    axes.plot([], [], ":", color="#4d4d4d", label="of ranks")
    axes.plot([1], [IMPORTANCE_CORRELATION], "D", color="#1a1a1a", markersize=5, label="paper")
    every = sorted({lag for by_lag in found.values() for lag in by_lag})
    axes.set_xscale("log")
    axes.set_xticks(every, [str(lag) for lag in every])
    axes.minorticks_off()
    axes.set_ylim(min(0.0, axes.dataLim.y0), 1.04)
    axes.set_xlabel("rounds k between")
    axes.set_ylabel("correlation")
    axes.legend(fontsize=6.5)
