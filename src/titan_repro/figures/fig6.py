"""Figure 6: what selection costs on this machine, for every model that was measured.

(a) time of a round, (b) latency of a sample, (c) memory. Bars and dots are measured; black lines
are the paper's, on its board. What is modelled on that board has pictures of its own (`board`), and
is in the tables.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from titan_repro.analysis.costs import WAYS, Costs, load_costs
from titan_repro.boards.paper import published_numbers
from titan_repro.figures.costs_table import costs_tables, digits, latency, latency_ways
from titan_repro.figures.pictures import key_across, logarithmic
from titan_repro.figures.style import colour, pyplot
from titan_repro.figures.table import Table
from titan_repro.paper.published import claimed_numbers

QUIET, STRONG, PALE, INK = colour("rs"), colour("titan"), "#e6b8ae", "#000000"
ROUNDS = {
    "rs": ("training alone (rs)", QUIET, "fig6a.alone"),
    "titan_sequential": ("Titan in sequence", PALE, "fig6a.sequence"),
    "titan_pipelined": ("Titan pipelined", STRONG, "fig6a.pipelined"),
}
"""Label, colour and the paper's numbers, in seconds, of each way to run a round."""

LOG_FROM = 6.0
"""Ratios above this are drawn on a logarithmic axis."""

WITHOUT_THE_NETWORK = ("filter", "camel")
"""What looks at samples without running the whole network on them."""

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
    """Return a figure with the axes (a), (b) and (c) side by side."""
    width = max(11.0, 4.0 + 1.8 * len(data))
    figure, axes = pyplot().subplots(1, 3, figsize=(width, 4.6), width_ratios=(1.3, 1, 1))
    machines = ", ".join(sorted({costs.machine() for costs in data}))
    figure.suptitle(
        f"Figure 6, measured on {machines}; black lines: the paper, on its Jetson Nano",
        fontsize="medium",
    )
    return figure, axes


def draw(data: Data, axes: Sequence[Any]) -> None:
    """Draw the panels."""
    for panel, part in zip(axes, (_rounds, _latencies, _memory), strict=True):
        part(panel, data)


def _groups(axes: Any, labels: Sequence[str], bars: int) -> np.ndarray:
    """Label a group of bars a model; return their centres, (bars, models)."""
    places = np.arange(len(labels))
    axes.set_xticks(places, labels)
    axes.set_xlim(-0.6, len(labels) - 0.4)
    axes.grid(visible=False, axis="x")
    if len(labels) > 3:
        axes.tick_params(axis="x", labelsize=8)
    return places + (np.arange(bars)[:, None] - (bars - 1) / 2) * (0.8 / bars)


def _lines(axes: Any, centres: np.ndarray, values: Sequence[float], width: float) -> None:
    """Draw the paper's values across bars, where it gives any."""
    axes.hlines(values, centres - width / 2, centres + width / 2, color=INK, linewidth=2, zorder=3)


def _rounds(axes: Any, records: Sequence[Costs]) -> None:
    """Bars over rs; above them how much of the selection the pipeline hides."""
    measured = np.array([[c.round_ms("measured", way) for c in records] for way in WAYS])
    paper = np.array([_paper_rounds(c.model) for c in records]).T  # (3, models), as measured
    labels = [f"{c.label}\n{digits(ms)} ms" for c, ms in zip(records, measured[0], strict=True)]
    centres = _groups(axes, labels, len(WAYS))
    bars, marks = measured / measured[0], paper / paper[0]
    for way, centre, bar, mark in zip(WAYS, centres, bars, marks, strict=True):
        label, hue, _ = ROUNDS[way]
        axes.bar(centre, bar, 0.25, color=hue, label=label)
        if way != "rs":
            _lines(axes, centre, mark, 0.25)
    highest = np.nanmax(np.vstack([bars, marks]), axis=0)
    for place, top, costs in zip(range(len(records)), highest, records, strict=True):
        _above(axes, place, top, f"{_share(costs.hidden('measured'))}\nhidden")
    if highest.max() > LOG_FROM:
        axes.set_yscale("log")
        axes.set_ylim(0.5, 4 * highest.max())
    else:
        axes.set_ylim(0, 1.35 * highest.max())
    axes.axhline(1, color=QUIET, linewidth=0.8, linestyle="dotted")
    axes.set_title("(a) time of a round / that of rs", loc="left", fontsize="medium")
    key_across(axes, 3, fontsize=7)


def _share(percent: float) -> str:
    """Return how much of a cost of 100 % is hidden; more than all says that rs was slower."""
    if np.isnan(percent) or percent < 0.5:
        return "none"
    return f"{percent:.0f} %" if percent < 99.5 else "all"


def _paper_rounds(model: str) -> list[float]:
    """Return the paper's seconds a round of each of WAYS, NaN for a model that it has not."""
    known = {figure.id: figure.value for figure in published_numbers()}
    return [known.get(f"{name}.{model}", np.nan) for _, _, name in ROUNDS.values()]


def _latencies(axes: Any, records: Sequence[Costs]) -> None:
    """The filter on one sample, and the selectors that run the whole network on it."""
    (centre,) = _groups(axes, [c.label for c in records], 1)
    low, high = (claimed_numbers()[f"fig6b.latency.{end}"] for end in ("low", "high"))
    axes.axhspan(low, high, color="#e8e4d8", zorder=0)
    says = f"the paper's filter,\n{low:g} to {high:g} ms"
    axes.text(len(records) - 0.45, np.sqrt(low * high), says, ha="right", va="center", fontsize=7)
    whole = [way for way in latency_ways(records) if way not in WITHOUT_THE_NETWORK]
    each = np.array([[latency(c, "measured", way, "arriving") for way in whole] for c in records])
    coarse = np.array([latency(c, "measured", "filter", "arriving") for c in records])
    middle = np.nanmedian(each, axis=1)
    axes.vlines(centre, coarse, middle, color="#cccccc", linewidth=1.2, zorder=1)
    axes.plot(centre, middle, "o", color=QUIET, label=f"the whole network ({', '.join(whole)})")
    axes.plot(centre, coarse, "o", color=STRONG, label="coarse filter")
    for x, below, above in zip(centre, coarse, middle, strict=True):
        ratio = f"{above / below:.2g} x"
        axes.annotate(
            ratio,
            (x, np.sqrt(below * above)),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
        )
    logarithmic(axes)
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top * (top / bottom) ** 0.25)
    axes.set_title("(b) one arriving sample, ms (logarithmic)", loc="left", fontsize="medium")
    axes.legend(fontsize=7, loc="upper left", handlelength=1.0, borderaxespad=0.0)


def _memory(axes: Any, records: Sequence[Costs]) -> None:
    """Titan's memory beyond that of rs: of all processes, and of tensors alone."""
    whole, tensors = _groups(axes, [c.label for c in records], 2)
    processes = [c.extra_mb("measured") for c in records]
    counted = [c.extra_mb("counted") for c in records]
    axes.bar(whole, processes, 0.38, color=PALE, label="all three processes, measured")
    axes.bar(tensors, counted, 0.38, color=STRONG, label="tensors alone, counted")
    paper = [c.paper("fig6c.memory") for c in records]
    _lines(axes, tensors, paper, 0.38)
    for x, size in zip(tensors, counted, strict=True):
        _above(axes, x, size, digits(size))
    axes.set_ylim(0, 1.25 * axes.get_ylim()[1])
    axes.set_title("(c) memory of Titan beyond rs, MB", loc="left", fontsize="medium")
    key_across(axes, 3, fontsize=7)


def _above(axes: Any, x: float, y: float, text: str) -> None:
    axes.annotate(text, (x, y), (0, 3), textcoords="offset points", ha="center", fontsize=7)
