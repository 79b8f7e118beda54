"""The page's three charts: curves of a cell, a dot for every seed, rounds to every accuracy."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from titan_repro.analysis.paired import Gain
from titan_repro.analysis.time_to_any import RoundsToAny
from titan_repro.figures.page.colours import style_class
from titan_repro.figures.page.svg import Axis, Chart, dash_array, nice_ticks
from titan_repro.figures.style import looks
from titan_repro.figures.words import signed
from titan_repro.paper.published import curve

COLLAPSE = -10.0
"""Points below rs at which a selector's dots are left out of the axis and its mean is written."""

REACH = (0.2, 5.0)
"""Ratios of rounds that are shown; beyond them, a line has a gap."""

FOREMOST = ("stratified", "cis", "titan")
"""Lines that stand out among many; the others are grey."""


def paper_curve(
    model: str, selector: str, figure: str, rounds: float
) -> tuple[str, list[tuple[float, float]]]:
    """Return the paper's curve of a selector until `rounds`, in percent, and its name.

    Where a figure has C-IS in Titan's place, as Figure 7 does, it stands for Titan and is named so.
    """
    drawn, name = curve(model, selector, figure), "paper"
    if selector == "titan" and len(drawn) == 0:
        drawn, name = curve(model, "cis", figure), "paper (C-IS)"
    inside = drawn[drawn["round"] <= rounds]
    return name, list(zip(inside["round"], inside["accuracy"], strict=True))


def curves_chart(
    title: str,
    own: pd.DataFrame,
    random: pd.DataFrame,
    paper: tuple[str, Sequence[tuple[float, float]]],
) -> str:
    """Return a chart of accuracy against rounds: own runs, those of rs, the paper's curve below.

    own, random: curves of a label and of rs, as `Runs.curves`; either may be empty. paper: the name
    and the points of the paper's curve, percent.
    """
    name, points = paper
    ours = pd.concat([own, random])
    ends = [*ours["round"], *(x for x, _ in points)]
    values = [*(100 * ours["accuracy"]), *(y for _, y in points)]
    last, top = max([1.0, *ends]), 5 * math.ceil(max([10.0, *values]) / 5)
    chart = Chart(
        title,
        Axis(0, last, "training rounds", nice_ticks(0, last, 4)),
        Axis(0, top, "accuracy, %", nice_ticks(0, top)),
    )
    labels = []
    if points:
        chart.line(points, "paper")
        labels.append((points[-1], name, "paper-text"))
    for group, width in ((random, "thin"), (own, "")):
        if len(group):
            labels.append(_line_and_band(chart, group, width))
    chart.labels(labels)
    return chart.svg()


def _line_and_band(
    chart: Chart, group: pd.DataFrame, width: str
) -> tuple[tuple[float, float], str, str]:
    """Draw the mean over seeds, and from the lowest to the highest; return the line's label."""
    selector, seeds = str(group["selector"].iloc[0]), group["seed"].nunique()
    style = style_class(selector)
    by_round = 100 * group.groupby("round")["accuracy"].agg(["mean", "min", "max"])
    by_round = by_round[group.groupby("round")["seed"].nunique() == seeds]
    rounds = by_round.index.to_numpy(dtype=float)
    if seeds > 1:
        low, high = (list(zip(rounds, by_round[name], strict=True)) for name in ("min", "max"))
        chart.band(low, high, style)
    mean = list(zip(rounds, by_round["mean"], strict=True))
    chart.line(mean, f"{style} {width}".strip(), dash_array(looks([selector])[selector].dashes))
    words = f"{selector} ({seeds} seed{'s' if seeds > 1 else ''})"
    return mean[-1], words, f"{style} own-text"


def gains_chart(title: str, found: Sequence[Gain]) -> str:
    """Return a chart with a row a selector: a dot for every seed, the mean, its interval."""
    ranked = sorted(found, key=lambda gain: gain.interval.estimate)
    near = [gain for gain in ranked if gain.interval.estimate > COLLAPSE] or ranked
    reach = [0.0, *np.concatenate([gain.deltas for gain in near])]
    for gain in near:
        reach += [e for e in (gain.interval.low, gain.interval.high) if -15 < e < math.inf]
    low, high = min(reach) - 0.5, max(reach) + 0.5
    left = 30 + round(6.3 * max(len(_row_name(gain)) for gain in ranked))
    chart = Chart(
        title,
        Axis(low, high, "points of final accuracy over rs of the same seed", nice_ticks(low, high)),
        Axis(-0.7, len(ranked) - 0.3, "", [(row, _row_name(g)) for row, g in enumerate(ranked)]),
        height=70 + 24 * len(ranked),
        left=left,
        right=16,
    )
    chart.segment((0, -0.7), (0, len(ranked) - 0.3), "zero")
    for row, gain in enumerate(ranked):
        _gain_row(chart, row, gain, shown=gain in near)
    return chart.svg()


def _row_name(gain: Gain) -> str:
    return f"{gain.label} ({gain.interval.number})"


def _gain_row(chart: Chart, row: int, gain: Gain, *, shown: bool) -> None:
    style, interval = style_class(gain.selector), gain.interval
    if not shown:
        words = f"\N{BLACK LEFT-POINTING SMALL TRIANGLE} {signed(interval.estimate, 0)}"
        chart.text((chart.x.low, row), words, f"{style} own-text", shift=(4, 4))
        return
    if math.isfinite(interval.low):
        ends = max(interval.low, chart.x.low), interval.high
        chart.segment((ends[0], row), (ends[1], row), f"interval {style}")
    for number, delta in enumerate(gain.deltas):
        chart.dot((float(delta), row), style, f"{gain.label}, pair {number + 1}: {delta:+.2f}")
    chart.diamond((interval.estimate, row), style)


def times_chart(title: str, found: Sequence[RoundsToAny]) -> str:
    """Return a chart of rounds to an accuracy over those of rs, against that accuracy."""
    targets = 100 * found[0].targets
    low, high = float(targets[0]), float(targets[-1])
    every = np.concatenate([each.ratios for each in found])
    seen = np.clip(every[np.isfinite(every)], *REACH)
    bottom, top = min([0.45, *(0.9 * seen)]), max([2.2, *(1.1 * seen)])
    ticks = [(t, f"{t:g}") for t in (0.25, 0.5, 1, 2, 4) if bottom <= t <= top]
    chart = Chart(
        title,
        Axis(low, max(high, low + 1), "accuracy x, %", nice_ticks(low, max(high, low + 1))),
        Axis(bottom, top, "rounds to x / rs", ticks, logarithmic=True),
    )
    chart.segment((low, 1), (max(high, low + 1), 1), "zero")
    labels = []
    for each in sorted(found, key=lambda one: one.label.split()[0] in FOREMOST):
        selector = each.label.split()[0]
        inside = (each.ratios >= REACH[0]) & (each.ratios <= REACH[1])
        shown = np.where(inside, each.ratios, np.nan)
        points = list(zip(targets, shown, strict=True))
        stands_out = selector in FOREMOST
        style = style_class(selector) if stands_out else "other"
        chart.line(points, style, dash_array(looks([selector])[selector].dashes))
        ends = [point for point in points if math.isfinite(point[1])]
        if ends:
            text = f"{style} own-text" if stands_out else "paper-text"
            labels.append((ends[-1], each.label, text))
    chart.labels(labels)
    return chart.svg()
