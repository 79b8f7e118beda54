"""What each selector gains over random selection, and over a class-stratified random batch.

A panel a setting: a dot a seed, and the mean with its 95 % interval. A stratified batch costs
nothing, so what lies left of it is no merit of a selection that scores samples.
"""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from titan_repro.analysis.load import Runs
from titan_repro.analysis.paired import Gain, gains
from titan_repro.analysis.replay import Replay
from titan_repro.analysis.statistics import Interval
from titan_repro.figures.curves import say_in
from titan_repro.figures.one_seed import name_below, part
from titan_repro.figures.packed import packed
from titan_repro.figures.planned import shown_runs
from titan_repro.figures.style import colour
from titan_repro.figures.table import Table, no_runs, with_notes
from titan_repro.figures.titles import setting_title

EXPERIMENTS = (
    "campaign_movement",
    "campaign_images",
    "campaign_baselines",
    "campaign_resnet50",
    "campaign_resnet34",
)
FURTHER = (
    "campaign_long",
    "campaign_ours",
    "campaign_ours_movement",
    "fig7",
    "table1_images",
    "table1_audio",
    "table1_movement",
)
"""Experiments of which runs are shown, but none is missed."""

HEIGHT_OF_LINE, AROUND_PANEL = 0.26, 1.05  # inches

NOTES = (
    "Gain: final accuracy on the whole test set less that of the run of rs (or stratified) with "
    "the same seed, in points: mean over seeds and 95 % interval by the t distribution (none of "
    "one seed). p: exact sign flip, two-sided, adjusted by Holm for the selectors with a p in "
    "the column; none of fewer than 6 seeds: n seeds give 2 / 2^n at the least, so that 5 cannot "
    "pass 0.05, nor can 6 where several selectors are tested.",
)


@dataclass(frozen=True)
class Data:
    """The settings with runs of rs and others, how many have not, and what is missing."""

    settings: Sequence[pd.DataFrame]
    without_pair: int
    notes: Sequence[str] = ()


def load(source: Path, replay_on: Callable[[str], Replay]) -> Data:
    """Read the campaign's runs below `source`, or all if it has none of these.

    Raises RunFolderError if there are none.
    """
    shown = shown_runs(source, EXPERIMENTS, further=FURTHER, else_all=True)
    if shown.runs is None:
        return Data([], 0, shown.notes())
    return of_runs(shown.runs, shown.notes())


def of_runs(runs: Runs, missing: Sequence[str] = ()) -> Data:
    """Part the runs into settings. missing: what is said of runs that are not there."""
    groups = runs.settings()
    paired = [group for group in groups if {"rs"} < set(group["label"])]
    return Data(paired, len(groups) - len(paired), missing)


def tables(data: Data) -> list[Table]:
    """Return a table a setting."""
    left_out = (f"{data.without_pair} settings without runs of rs and of another are left out.",)
    notes = (*NOTES, *(left_out if data.without_pair else ()))
    made = [_table(group, notes) for group in data.settings]
    return with_notes(made or ([no_runs("Gain over rs")] if data.notes else []), data.notes)


def _table(group: pd.DataFrame, notes: Sequence[str]) -> Table:
    without_rs = group[group["label"] != "rs"]  # its test is that of stratified over rs
    over_stratified = {gain.label: gain for gain in gains(without_rs, "stratified")}
    rows = []
    for gain in gains(group, "rs"):
        control = over_stratified.get(gain.label)
        rows.append(
            [
                gain.label,
                str(gain.interval.number),
                *_cells(gain),
                *(("", "") if control is None else _cells(control)),
            ]
        )
    header = ("selector", "seeds", "over rs, points", "p", "over stratified, points", "p")
    return Table(setting_title(group), header, rows, notes)


def _cells(gain: Gain) -> tuple[str, str]:
    if gain.interval.number == 0:
        return "no pair", ""
    return with_interval(gain.interval), "" if isnan(gain.p) else f"{gain.p:.3f}"


def with_interval(interval: Interval) -> str:
    """Write an estimate and its interval, with signs; alone where one seed has no interval."""
    if np.isinf(interval.low):
        return f"{interval.estimate:+.2f}"
    return f"{interval.estimate:+.2f} [{interval.low:+.2f}, {interval.high:+.2f}]"


def panels(data: Data) -> tuple[Any, Sequence[Any]]:
    """Return a figure with an axes a setting that is drawn, as high as its lines need."""
    drawn, alone = part(data.settings, _seeds)
    lines = [len(_paired(group)) for group in drawn] or [1]
    figure, axes = packed([AROUND_PANEL + HEIGHT_OF_LINE * number for number in lines], width=5.8)
    name_below(figure, alone)
    return figure, axes


def draw(data: Data, axes: Sequence[Any]) -> None:
    """Draw a setting on each of the axes, or say that there is none."""
    if not data.settings:
        say_in(axes[0], "no runs beside those of rs")
    for panel, group in zip(axes, part(data.settings, _seeds)[0], strict=False):
        _panel(panel, _paired(group))
        panel.set_title(textwrap.fill(setting_title(group), 70), fontsize="small")


def _seeds(group: pd.DataFrame) -> int:
    return max((gain.interval.number for gain in gains(group, "rs")), default=0)


def _paired(group: pd.DataFrame) -> list[Gain]:
    return [gain for gain in gains(group, "rs") if gain.interval.number]


def _panel(axes: Any, found: Sequence[Gain]) -> None:
    """Draw a row a selector, the best on top."""
    ranked = sorted(found, key=lambda gain: gain.interval.estimate)
    axes.axvline(0, color="#4d4d4d", linewidth=1)
    for place, gain in enumerate(ranked):
        hue, interval = colour(gain.selector), gain.interval
        axes.plot(gain.deltas, [place] * len(gain.deltas), "o", color=hue, alpha=0.45, markersize=4)
        if np.isfinite(interval.low):
            axes.plot([interval.low, interval.high], [place, place], color=hue, linewidth=2)
        axes.plot([interval.estimate], [place], "D", color=hue, markersize=6)
    axes.set_ylim(-0.6, len(ranked) - 0.4)
    axes.set_yticks(range(len(ranked)))
    axes.set_yticklabels([f"{gain.label} ({gain.interval.number})" for gain in ranked])
    for tick, gain in zip(axes.get_yticklabels(), ranked, strict=True):
        tick.set_fontweight("bold" if gain.selector in ("stratified", "titan") else "normal")
    axes.set_xlabel("points of accuracy over rs of the same seed")
    leave_out_collapses(axes, ranked)


def leave_out_collapses(axes: Any, ranked: Sequence[Gain]) -> None:
    """Leave gains that lose over 10 points outside the axes, and write them there.

    ranked: by their place on the y axis, 0, 1, 2, ...
    """
    means = np.array([gain.interval.estimate for gain in ranked])
    good = means[means > -10]
    if len(good) == 0 or len(good) == len(means):
        return
    spread = [gain.deltas for gain in ranked if gain.interval.estimate > -10]
    shown = [gain.interval for gain in ranked if gain.interval.estimate > -10]
    ends = [end for interval in shown for end in (interval.low, interval.high)]
    kept = [end for end in ends if np.isfinite(end) and end > -15]
    low, high = min(0.0, *np.concatenate(spread), *kept), max(0.0, *np.concatenate(spread), *kept)
    margin = 0.06 * (high - low)
    axes.set_xlim(low - 3 * margin, high + margin)
    for place, gain in enumerate(ranked):
        if gain.interval.estimate < low - 3 * margin:
            words = f"◂ {gain.interval.estimate:+.0f}"
            white = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
            left = low - 2.5 * margin
            axes.text(left, place, words, va="center", fontsize="small", bbox=white, zorder=5)
