"""Figure 6: what selection costs, for every model that was measured.

(a) time of a round, (b) latency of a sample, (c) memory, (d) power and energy.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from titan_repro.analysis.costs import PURPOSES, WAYS, Costs, load_costs
from titan_repro.figures.costs_table import NONE, costs_tables, digits, latency, latency_ways
from titan_repro.figures.pictures import logarithmic
from titan_repro.figures.style import colour, pyplot
from titan_repro.figures.table import Table
from titan_repro.paper.published import claimed_numbers

NAMES = {"rs": "rs", "titan_sequential": "titan in sequence", "titan_pipelined": "titan pipelined"}
ROUND_COLOURS = {
    "rs": colour("rs"),
    "titan_sequential": colour("titan_literal"),
    "titan_pipelined": colour("titan"),
}
PURPOSE_COLOURS = ("#4d4d4d", "#8a8a8a", "#c4c4c4", "#c0392b", "#e08a7d", "#f2c4bc")
"""Bar colours by purpose: greys for training memory, reds for selection memory."""

PAPER_COLOUR = "#1a1a1a"
EXTRA_COLOURS = {"measured": "#c0392b", "counted": "#f4a582", "modelled": "#f2c4bc"}
LOG_FROM = 6.0
"""Ratios above this are drawn on a logarithmic axis."""


EXPERIMENTS = ("fig6",)

Data = Sequence[Costs]


def load(source: Path, replay_on: object) -> Data:
    """Read the measurements below `source`.

    Raises RunFolderError if there are none or one is damaged.
    """
    return load_costs(source)


def tables(data: Data) -> list[Table]:
    """Return their tables."""
    return costs_tables(data)


def panels(data: Data) -> tuple[Any, Sequence[Any]]:
    """Return a figure with six axes: (a), (b), two of (c), two of (d)."""
    width = max(11.0, 3.0 + 2.0 * len(data))
    figure = pyplot().figure(figsize=(width, 8.5))
    corners = figure.subfigures(2, 2, wspace=0.02, hspace=0.03).ravel()
    board = ", ".join(sorted({str(costs.content["board"]) for costs in data}))
    titles = (
        "(a) time of a round, over rs",
        "(b) latency of one sample",
        f"(c) memory: tensors on {board}, and Titan's beyond rs",
        f"(d) power and energy of a round, modelled on {board}",
    )
    axes = []
    for corner, title, number in zip(corners, titles, (1, 1, 2, 2), strict=True):
        corner.suptitle(title, fontsize="medium", x=0.02, ha="left")
        axes += list(corner.subplots(1, number, squeeze=False)[0])
    return figure, axes


def draw(data: Data, axes: Sequence[Any]) -> None:
    """Draw the panels."""
    for panel, part in zip(
        axes, (_rounds, _latencies, _parts, _extra, _power, _energy), strict=True
    ):
        part(panel, data)


def _groups(axes: Any, labels: Sequence[str], bars: int) -> np.ndarray:
    """Label a group of bars a model; return their centres, (bars, models)."""
    places = np.arange(len(labels))
    axes.set_xticks(places, labels)
    axes.set_xlim(-0.6, len(labels) - 0.4)
    axes.grid(visible=False, axis="x")
    if len(labels) > 3:
        axes.tick_params(axis="x", labelrotation=20)
    return places + (np.arange(bars)[:, None] - (bars - 1) / 2) * (0.8 / bars)


def _rounds(axes: Any, records: Sequence[Costs]) -> None:
    """Bars: measured; diamonds: modelled; above them the share that is hidden."""
    measured, modelled = (
        np.array([[c.round_ms(clock, way) for c in records] for way in WAYS])
        for clock in ("measured", "modelled")
    )  # (3, models)
    labels = [f"{c.label}\n{digits(ms)} ms" for c, ms in zip(records, measured[0], strict=True)]
    centres = _groups(axes, labels, len(WAYS))
    bars, marks = measured / measured[0], modelled / modelled[0]
    for way, centre, bar in zip(WAYS, centres, bars, strict=True):
        axes.bar(centre, bar, 0.24, color=ROUND_COLOURS[way], label=NAMES[way])
    axes.plot(
        centres.ravel(), marks.ravel(), "D", color=PAPER_COLOUR, markersize=4, label="modelled"
    )
    highest = np.maximum(bars, marks).max(axis=0)
    hidden = zip(
        *([c.hidden(clock) for c in records] for clock in ("measured", "modelled")), strict=True
    )
    for place, top, (here, there) in zip(range(len(records)), highest, hidden, strict=True):
        text = f"hidden: {_percent(here)}\nmodelled: {_percent(there)}"
        axes.annotate(
            text, (place, top), (0, 7), textcoords="offset points", ha="center", fontsize=7
        )
    if highest.max() > LOG_FROM:
        axes.set_yscale("log")
        axes.set_ylim(0.5, 4 * highest.max())
    else:
        axes.set_ylim(0, 1.3 * highest.max())
    axes.axhline(1, color=colour("rs"), linewidth=0.8, linestyle="dotted")
    axes.set_ylabel("time of a round / rs")
    axes.legend(fontsize=7, ncols=2, loc="upper left")


def _percent(value: float) -> str:
    return NONE if np.isnan(value) else f"{max(value, 0):.0f} %"


def _latencies(axes: Any, records: Sequence[Costs]) -> None:
    """Full marks: a sample by itself; empty ones: a round at once; diamonds: modelled."""
    ways = latency_ways(records)
    centres = _groups(axes, [c.label for c in records], len(ways))
    low, high = (claimed_numbers()[f"fig6b.latency.{end}"] for end in ("low", "high"))
    axes.axhspan(
        low, high, color="#e8e4d8", zorder=0, label=f"paper's filter, {low:g} to {high:g} ms"
    )
    for way, centre in zip(ways, centres, strict=True):
        hue = colour("titan" if way == "filter" else way)
        arriving, bulk, there = (
            [latency(costs, clock, way, how) for costs in records]
            for clock, how in (
                ("measured", "arriving"),
                ("measured", "bulk"),
                ("modelled", "arriving"),
            )
        )
        axes.plot(centre, arriving, "o", color=hue, markersize=5, label=_way(way))
        axes.plot(centre, bulk, "o", color=hue, markersize=5, markerfacecolor="none")
        axes.plot(centre, there, "D", color=hue, markersize=3.5, alpha=0.5)
    logarithmic(axes)
    axes.set_ylabel("ms a sample")
    axes.legend(
        fontsize=7,
        ncols=1,
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        title="● arriving  ○ a round at once\n◆ arriving, modelled",
        title_fontsize=7,
    )


def _way(way: str) -> str:
    return {"filter": "coarse filter (titan)", "cis": "cis on everything"}.get(way, way)


def _parts(parts: Any, records: Sequence[Costs]) -> None:
    """Tensors on the board by purpose."""
    centres = _groups(parts, [c.label for c in records], 2)
    for way, centre, name in zip(("rs", "titan_pipelined"), centres, ("rs", "titan"), strict=True):
        below = np.zeros(len(records))
        for purpose, hue in zip(PURPOSES, PURPOSE_COLOURS, strict=True):
            sizes = np.array([c.number(f"memory.modelled.{way}.{purpose}_mb") for c in records])
            label = purpose if way == "rs" else None
            parts.bar(centre, sizes, 0.36, below, color=hue, label=label)
            below += sizes
        for x, top in zip(centre, below, strict=True):
            _above(parts, x, top, name, 6)
    parts.set_ylabel("MB of tensors")
    parts.set_ylim(top=1.35 * parts.get_ylim()[1])
    parts.legend(fontsize=7, ncols=2, loc="upper center")


def _extra(extra: Any, records: Sequence[Costs]) -> None:
    """Titan's memory beyond that of rs, by where the number is from."""
    kinds = ("measured", "counted", "modelled")
    centres = _groups(extra, [c.label for c in records], len(kinds) + 1)
    for kind, centre in zip(kinds, centres, strict=False):
        values = [c.extra_mb(kind) for c in records]
        extra.bar(centre, values, 0.19, color=EXTRA_COLOURS[kind], label=kind)
    paper = [c.paper("fig6c.memory") for c in records]
    extra.bar(centres[-1], paper, 0.19, color=PAPER_COLOUR, label="paper")
    extra.set_ylabel("Titan less rs, MB")
    extra.set_yscale("symlog", linthresh=1)
    extra.set_ylim(0, 10 * max(extra.get_ylim()[1], 1))
    extra.legend(fontsize=7, ncols=2, loc="upper center")


def _power(axes: Any, records: Sequence[Costs]) -> None:
    """Mean power, and where the paper's ratio to that of rs would be."""
    ways, hues = ("rs", "titan_pipelined"), (colour("rs"), colour("titan"))
    centres = _groups(axes, [costs.label for costs in records], 2)
    for way, centre, hue in zip(ways, centres, hues, strict=True):
        watts = [costs.number(f"power.modelled.{way}.watts") for costs in records]
        axes.bar(centre, watts, 0.36, color=hue, label=NAMES[way])
    random = np.array([costs.number("power.modelled.rs.watts") for costs in records])
    paper = random * [costs.paper("fig6d.power") for costs in records]
    for x, costs, printed in zip(centres[1], records, paper, strict=True):
        top = costs.number("power.modelled.titan_pipelined.watts")
        _above(axes, x, np.nanmax([top, printed]), f"{costs.power_ratio():.2f} x")
    if not np.isnan(paper).all():
        axes.plot(
            centres[1], paper, "_", color=PAPER_COLOUR, markersize=14, label="paper's ratio to rs"
        )
    axes.set_ylabel("mean power, W")
    axes.set_ylim(0, 1.3 * axes.get_ylim()[1])
    axes.legend(fontsize=7, loc="upper right")


def _energy(axes: Any, records: Sequence[Costs]) -> None:
    """Energy of a round over that of rs."""
    (centre,) = _groups(axes, [costs.label for costs in records], 1)
    ratios = [costs.energy_ratio() for costs in records]
    axes.bar(centre, ratios, 0.5, color=colour("titan"))
    for x, costs, ratio in zip(centre, records, ratios, strict=True):
        joules = costs.number("power.modelled.titan_pipelined.joules_per_round")
        _above(axes, x, ratio, f"{digits(joules)} J")
    axes.axhline(1, color=colour("rs"), linewidth=0.8, linestyle="dotted")
    axes.set_ylabel("energy of a round, titan pipelined / rs")
    if max(ratios) > LOG_FROM:
        axes.set_yscale("log")
        axes.set_ylim(0.5, 2 * max(ratios))
    else:
        axes.set_ylim(0, 1.15 * max(ratios))


def _above(axes: Any, x: float, y: float, text: str, size: float = 7) -> None:
    axes.annotate(text, (x, y), (0, 2), textcoords="offset points", ha="center", fontsize=size)
