"""How much of the batch gradient's variance there is to win, and what winning it is worth.

A row for each measurement of several states: what a batch's variance is made of along the training
(closed form); what selectors' batches are off by (drawn); and what they gain over rs, against that.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from titan_repro.analysis.replay import Replay
from titan_repro.analysis.variance import VarianceRecord, load_variance
from titan_repro.analysis.worth import COMPARED, MeasuredSetting, runs_beside
from titan_repro.errors import RunFolderError
from titan_repro.figures.gain import EXPERIMENTS as CAMPAIGN
from titan_repro.figures.gain import FURTHER as MORE
from titan_repro.figures.gain import with_interval
from titan_repro.figures.pictures import logarithmic
from titan_repro.figures.planned import shown_runs
from titan_repro.figures.style import LOOKS, Look, colour, pyplot
from titan_repro.figures.table import Table
from titan_repro.figures.titles import setting_title

EXPERIMENTS = ("why",)

DRAWN = {
    **{name: LOOKS[name] for name in COMPARED},
    "cis_unbiased": Look("#7fb2e5", (0, (1, 1))),
}
"""Selectors whose batches are shown along the training, and how."""

AREAS = {
    "between classes:\na stratified batch\nremoves it, free": "#dcd6c4",
    "inside classes:\nC-IS at its best\nremoves it": "#b9cfe8",
    "left after C-IS\nat its best": "#8a8a8a",
}

NOTES = (
    "Shares of the variance of a batch of rs with replacement, in closed form, last layer. Errors: "
    "mean squared distance of drawn batches from the mean gradient of the round, over that of rs. "
    "Classes to which Lemma 2 gives less than one pick of the batch make its least unreachable.",
    "Gain: points of final accuracy over rs of the same seed, mean and 95 % interval.",
)


@dataclass(frozen=True)
class Data:
    """rows: of the picture. remark: why there are no runs at all, or empty."""

    rows: Sequence[MeasuredSetting]
    remark: str


def load(source: Path, replay_on: Callable[[str], Replay]) -> Data:
    """Read measurements and runs below `source`.

    Of two measurements along the same training the one of more states counts. Raises RunFolderError
    if there is none, or one is damaged.
    """
    longest: dict[str, VarianceRecord] = {}
    for record in load_variance(source):
        known = longest.get(record.title)
        if known is None or len(record.states) > len(known.states):
            longest[record.title] = record
    summaries, remark = pd.DataFrame(), "No gains: no runs of the campaign."
    try:  # not those of other sweeps, of which most may be shorter
        shown = shown_runs(source, CAMPAIGN, further=MORE, else_all=True)
        if shown.runs is not None:
            summaries, remark = shown.runs.summaries, ""
    except RunFolderError as error:
        remark = f"No gains: {error}."
    return Data(
        [MeasuredSetting(each, runs_beside(summaries, each)) for each in longest.values()], remark
    )


def tables(data: Data) -> list[Table]:
    """Return a table of variance, and one of gains, for each measurement."""
    found = []
    for row in data.rows:
        found.append(_variance_table(row.record))
        if row.runs is not None:
            found.append(_gain_table(row))
    if data.remark:
        last = found[-1]
        found[-1] = Table(last.title, last.header, last.rows, (*last.notes, data.remark))
    return found


def _variance_table(record: VarianceRecord) -> Table:
    size = record.batch_size
    rows = []
    for state in record.states:
        split = record.split(state)
        assert split is not None
        parts = (split.rs - split.stratified, split.stratified - split.cis, split.cis)
        noise = split.rs / size / split.squared_mean if split.squared_mean > 0 else math.inf
        rows.append(
            [
                f"{state:,}",
                *(f"{100 * part / split.rs:.1f}" for part in parts),
                f"{100 * split.importance_sampling / split.rs:.1f}",
                *(_error(record, state, name) for name in COMPARED),
                f"{noise:.3g}",
                f"{split.unfilled:.1f}",
            ]
        )
    header = (
        *("rounds", "between classes, %", "inside, C-IS removes, %", "left after C-IS, %"),
        "left after IS, %",
        *(f"{name}, error / rs" for name in COMPARED),
        "rs: variance / squared mean",
        "classes below one pick",
    )
    title = f"Variance of batches of {size}: what it is made of and what is left"
    return Table(f"{title}; {record.title}", header, rows, NOTES[:1])


def _error(record: VarianceRecord, state: int, name: str) -> str:
    value = record.over_rs(state, record.batch_size, name)
    return "none" if math.isnan(value) else f"{value:.2f}"


def _gain_table(row: MeasuredSetting) -> Table:
    assert row.runs is not None
    rows = [
        [gain.label, str(gain.interval.number), with_interval(gain.interval)]
        for gain in row.gains()
    ]
    header = ("selector", "seeds", "over rs, points")
    return Table(f"What it is worth; {setting_title(row.runs)}", header, rows, NOTES[1:])


def panels(data: Data) -> tuple[Any, Sequence[Any]]:
    """Return a figure with three axes a measurement."""
    figure = pyplot().figure(figsize=(13.5, 3.9 * len(data.rows)))
    rows = figure.subfigures(len(data.rows), 1, squeeze=False)[:, 0]
    axes: list[Any] = []
    for row, each in zip(rows, data.rows, strict=True):
        row.suptitle(f"{each.record.title}: gradients of the last layer", fontsize="medium")
        axes += list(row.subplots(1, 3))
    return figure, axes


def draw(data: Data, axes: Sequence[Any]) -> None:
    """Draw what there is to win, what is won, and what that is worth, of each measurement."""
    for place, row in enumerate(data.rows):
        to_win, won, worth = axes[3 * place : 3 * place + 3]
        _to_win(to_win, row.record)
        _won(won, row.record)
        _worth(worth, row)


def _to_win(axes: Any, record: VarianceRecord) -> None:
    splits = [split for state in record.states if (split := record.split(state)) is not None]
    left, inside = (
        np.array([getattr(split, name) / split.rs for split in splits])
        for name in ("cis", "stratified")
    )
    edges = (np.ones(len(splits)), inside, left, np.zeros(len(splits)))
    for (label, hue), above, below in zip(AREAS.items(), edges, edges[1:], strict=False):
        axes.fill_between(record.states, below, above, color=hue, label=label, linewidth=0)
    after_is = [split.importance_sampling / split.rs for split in splits]
    axes.plot(record.states, after_is, color=colour("is"), label="left after IS\nat its best")
    axes.set_title("what there is to win: variance of rs", fontsize="small")
    _states(axes, record.states)
    axes.set_ylim(0, 1)
    axes.grid(visible=False)
    axes.set_ylabel("share of the variance of rs")
    axes.legend(fontsize=6.5, loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=1.5)


def _won(axes: Any, record: VarianceRecord) -> None:
    axes.axhline(1, color=colour("rs"), linewidth=1.4)
    for name, look in DRAWN.items():
        values = [record.over_rs(state, record.batch_size, name) for state in record.states]
        label = name.replace("cis_unbiased", "cis, unbiased\nweights")
        axes.plot(record.states, values, ".", color=look.colour, linestyle=look.dashes, label=label)
    axes.set_title(f"what is won: error of batches of {record.batch_size} / rs", fontsize="small")
    _states(axes, record.states)
    logarithmic(axes)
    axes.set_ylabel("mean squared error / rs")
    axes.legend(fontsize=6.5, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _states(axes: Any, states: Sequence[int]) -> None:
    axes.set_xscale("symlog", linthresh=min([state for state in states if state > 0], default=1))
    named = _apart(states)
    axes.set_xticks(named, [f"{state:,}" for state in named], rotation=45, fontsize=7)
    axes.minorticks_off()
    axes.set_xlim(states[0], max(states[-1], states[0] + 1))
    axes.set_xlabel("rounds trained")


def _apart(states: Sequence[int]) -> list[int]:
    """Return states that can be named side by side on a logarithmic axis, the last among them."""
    named: list[int] = []
    for state in reversed(states):
        if not named or named[-1] >= 1.6 * state:
            named.append(state)
    return named[::-1]


def _worth(axes: Any, row: MeasuredSetting) -> None:
    """Draw gain against error: were error what counts, dots would fall from left to right."""
    found = [gain for gain in row.gains() if not math.isnan(row.error(gain.label))]
    if not found or row.runs is None:
        axes.axis("off")
        axes.text(0.5, 0.5, "no runs of this task and model", ha="center", color="#4d4d4d")
        return
    axes.axhline(0, color=colour("rs"), linewidth=0.8, linestyle="dotted")
    axes.plot([1], [0], "D", color=colour("rs"), markersize=6)
    axes.annotate("rs", (1, 0), (6, 5), textcoords="offset points", fontsize=8)
    for gain in found:
        error, hue = row.error(gain.label), colour(gain.selector)
        if np.isfinite(gain.interval.low):
            ends = [gain.interval.low, gain.interval.high]
            axes.plot([error, error], ends, color=hue, linewidth=2)
        axes.plot([error], [gain.interval.estimate], "D", color=hue, markersize=6)
        words = f"{gain.label} ({gain.interval.number})"
        at = (error, gain.interval.estimate)
        axes.annotate(words, at, (6, 5), textcoords="offset points", fontsize=8)
    rounds = int(row.runs["rounds"].max())
    words = f"what it is worth after {rounds:,} rounds\n(if less error were what pays: falling)"
    axes.set_title(words, fontsize="small")
    logarithmic(axes, "x")
    low, high = axes.get_xlim()
    axes.set_xlim(low / 1.1, high * 1.6)
    axes.set_xlabel("mean squared error / rs, along the training")
    axes.set_ylabel("points of accuracy over rs")
