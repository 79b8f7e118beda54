"""What each key is worth beside the default Titan, the keys with the largest effects on top.

A panel a task and model with two seeds or more, as high as it has lines: a line a change, a dot a
seed, and the mean with its 95 % interval: blue where the change gains, red where it loses, grey
where the interval holds 0. Other selectors come first, as a yardstick.
"""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from titan_repro.analysis.default_config import default_config
from titan_repro.analysis.key_effects import FamilyEffects, KeyEffect, find_effects
from titan_repro.analysis.replay import Replay
from titan_repro.analysis.statistics import Interval
from titan_repro.errors import RunFolderError
from titan_repro.figures.gain import leave_out_collapses, with_interval
from titan_repro.figures.one_seed import name_below, part
from titan_repro.figures.packed import packed
from titan_repro.figures.table import Table
from titan_repro.figures.titles import setting_title
from titan_repro.records.collect import collect

EXPERIMENTS = ("register", "filters", "policies")

HEIGHT_OF_LINE, AROUND_PANEL = 0.2, 1.0  # inches
BETTER, WORSE, UNKNOWN = "#2b6cb0", "#c0392b", "#8a8a8a"

NOTES = (
    "Effect: final accuracy on the whole test set less that of the default Titan with the same "
    "seed, in points: mean over seeds and 95 % interval by the t distribution (none of one seed). "
    "An interval is its own line's: of 20 changes without an effect, one leaves out 0 by chance. "
    "Tests by sign flips are left out, as 6 seeds cannot pass 0.05 where so many changes are "
    "tested. no pair: no seed at which both finished. Other selectors stand first; "
    "keys are ranked by their largest effect, whatever its interval.",
)
LATER = "Only runs that go on as far; ranked at fewer rounds above."


@dataclass(frozen=True)
class Data:
    """What is shown, and how many runs have no default Titan to be compared with there."""

    effects: Sequence[FamilyEffects]
    left_out: int


def load(source: Path, replay_on: Callable[[str], Replay]) -> Data:
    """Read all runs below `source`. Raises RunFolderError if no two of them make a pair."""
    found = collect(source)
    effects = find_effects(found, default_config)
    if not effects:
        raise RunFolderError(
            f"{source}: found no runs with a default Titan of the same seed; titan-run "
            f"experiment={EXPERIMENTS[0]} with paths.runs makes them"
        )
    return Data(effects, len(found.runs) - sum(len(one.group) for one in effects if not one.later))


def tables(data: Data) -> list[Table]:
    """Return a table for each family of runs and number of rounds."""
    notes = list(NOTES)
    if data.left_out:
        notes.append(
            f"{data.left_out} runs are left out: without a default Titan that shares all else, or "
            "not measured at these rounds."
        )
    return [_table(one, notes) for one in data.effects]


def _table(one: FamilyEffects, notes: Sequence[str]) -> Table:
    rows = [
        [
            effect.gain.label,
            str(effect.gain.interval.number),
            with_interval(effect.gain.interval) if effect.gain.interval.number else "no pair",
            str(effect.diverged or ""),
        ]
        for effect in one.effects
    ]
    header = ("changed", "seeds", "effect, points", "diverged")
    later = [LATER] if one.later else []
    return Table(f"Effects: {setting_title(one.group)}", header, rows, [*later, *notes])


def panels(data: Data) -> tuple[Any, Sequence[Any]]:
    """Return a figure with an axes a family of runs that is drawn, as high as its lines need."""
    drawn, alone = _parted(data)
    heights = [AROUND_PANEL + HEIGHT_OF_LINE * len(_paired(one)) for one in drawn]
    figure, axes = packed(heights, width=6.6)
    name_below(figure, [one.group for one in alone])
    return figure, axes


def draw(data: Data, axes: Sequence[Any]) -> None:
    """Draw a family of runs on each of the axes."""
    for panel, one in zip(axes, _parted(data)[0], strict=True):
        _panel(panel, _paired(one)[::-1])
        panel.set_title(textwrap.fill(setting_title(one.group), 60), fontsize="small")


def _parted(data: Data) -> tuple[list[FamilyEffects], list[FamilyEffects]]:
    """Return the families that are drawn, and those of one seed."""
    shown = [one for one in data.effects if not one.later]
    return part(shown, lambda one: max(effect.gain.interval.number for effect in one.effects))


def _paired(one: FamilyEffects) -> list[KeyEffect]:
    return [effect for effect in one.effects if effect.gain.interval.number]


def _panel(axes: Any, effects: Sequence[KeyEffect]) -> None:
    """Draw a line an effect from the bottom to the top; every other key on a grey band."""
    axes.axvline(0, color="#4d4d4d", linewidth=1)
    place = 0
    for number, (_, of_key) in enumerate(groupby(effects, key=lambda effect: effect.keys)):
        lines = list(of_key)
        if number % 2:
            axes.axhspan(place - 0.5, place + len(lines) - 0.5, color="#f3f3f3", zorder=0)
        for effect in lines:
            _line(axes, place, effect)
            place += 1
    names = [f"{effect.gain.label} ({effect.gain.interval.number})" for effect in effects]
    axes.set_yticks(range(len(names)), names, fontsize="small")
    axes.set_ylim(-0.5, len(names) - 0.5)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("points over the default Titan of the same seed")
    leave_out_collapses(axes, [effect.gain for effect in effects])


def _line(axes: Any, place: int, effect: KeyEffect) -> None:
    gain, interval = effect.gain, effect.gain.interval
    hue = _colour(interval)
    axes.plot(gain.deltas, [place] * len(gain.deltas), "o", color=hue, alpha=0.5, markersize=3.5)
    if np.isfinite(interval.low):
        axes.plot([interval.low, interval.high], [place, place], color=hue, linewidth=2)
    axes.plot([interval.estimate], [place], "D", color=hue, markersize=4.5)


def _colour(interval: Interval) -> str:
    if not interval.excludes(0.0):
        return UNKNOWN
    return BETTER if interval.estimate > 0 else WORSE
