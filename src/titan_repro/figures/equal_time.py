"""What selectors gain over random selection at equal rounds, and what is left of it at equal time.

A panel a setting, a line a selector: its gain if every round counted alike, and its gain in the
time that rs took, on the paper's board (modelled) and on the machine of a measurement.
"""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from titan_repro.analysis.clocks import ChooseClock, choose_clock, timed
from titan_repro.analysis.equal_time import (
    REFERENCE,
    TimedGain,
    gains_at_equal_rounds,
    gains_at_equal_time,
)
from titan_repro.analysis.load import Runs
from titan_repro.analysis.replay import Replay
from titan_repro.analysis.statistics import Interval
from titan_repro.figures.comparison import grouped_notes
from titan_repro.figures.curves import say_in
from titan_repro.figures.gain import EXPERIMENTS as CAMPAIGN
from titan_repro.figures.gain import FURTHER as MORE
from titan_repro.figures.gain import with_interval
from titan_repro.figures.one_seed import name_below, part
from titan_repro.figures.packed import packed
from titan_repro.figures.planned import shown_runs
from titan_repro.figures.table import Table, no_runs, with_notes
from titan_repro.figures.titles import setting_title

EXPERIMENTS = CAMPAIGN

ROUNDS, BOARD, HERE = "equal rounds", "equal time, jetson_nano", "equal time, measured"
CLOCKS: Mapping[str, str | None] = {BOARD: "jetson_nano", HERE: None}
"""What is asked of `choose_clock`: None for the measurement of the task and model."""

LOOKS = {ROUNDS: ("#8a8a8a", "o"), BOARD: ("#2b6cb0", "D"), HERE: ("#e6a117", "s")}
HEIGHT_OF_LINE, AROUND_PANEL = 0.36, 1.0  # inches
LOWEST = -12.0  # points; what lies left of it is written as a number

NOTES = (
    "Gain in points over rs of the same seed, on the fixed part of the test set that is measured "
    "during a run, between two measurements on the line through both: mean over seeds and 95 % "
    "interval by the t distribution, of one seed none. Rounds: how many the selector had done when "
    "rs ended, of those of rs. jetson_nano: modelled, runs with a delay of one round pipelined, "
    "others in sequence. Measured: rounds times those of experiment=fig6, likewise; a selector "
    "that it does not time has none. Gains on the whole test set: figure gain.",
)


@dataclass(frozen=True)
class TimedSetting:
    """Runs of one setting. gains: by ROUNDS, BOARD and HERE, each label once and in one order.

    untimed: for each clock, why labels have no time there.
    """

    group: pd.DataFrame
    gains: Mapping[str, Sequence[TimedGain]]
    untimed: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Data:
    """The settings that have runs of rs and of others, and what is said of missing runs."""

    settings: Sequence[TimedSetting]
    notes: Sequence[str] = ()


def load(source: Path, replay_on: Callable[[str], Replay]) -> Data:
    """Read the campaign's runs below `source`, or all if it has none of these.

    Raises RunFolderError if there are none.
    """
    shown = shown_runs(source, EXPERIMENTS, further=MORE, else_all=True)
    if shown.runs is None:
        return Data([], shown.notes())
    clocks = {
        name: choose_clock(wanted, source, shown.runs, replay_on) for name, wanted in CLOCKS.items()
    }
    return on_clocks(shown.runs, clocks, shown.notes())


def on_clocks(runs: Runs, clocks: Mapping[str, ChooseClock], missing: Sequence[str] = ()) -> Data:
    """Part the runs into settings. clocks: of BOARD and HERE. missing: what is said of no runs."""
    settings = [
        _setting(group, runs.curves, clocks)
        for group in runs.settings()
        if {REFERENCE} < set(group["label"])
    ]
    return Data(settings, missing)


def _setting(
    group: pd.DataFrame, curves: pd.DataFrame, clocks: Mapping[str, ChooseClock]
) -> TimedSetting:
    own = curves[curves["run_id"].isin(group["run_id"])]
    on_clock = {name: timed(group, own, choose(group)) for name, choose in clocks.items()}
    gains = {name: gains_at_equal_time(group, each.curves) for name, each in on_clock.items()}
    gains[ROUNDS] = gains_at_equal_rounds(group, own)
    return TimedSetting(group, gains, {name: each.untimed for name, each in on_clock.items()})


def tables(data: Data) -> list[Table]:
    """Return a table a setting."""
    made = [_table(setting) for setting in data.settings]
    return with_notes(made or [no_runs("Gain at equal time")], data.notes)


def _table(setting: TimedSetting) -> Table:
    rows = []
    for alike, board, here in zip(*(setting.gains[name] for name in LOOKS), strict=True):
        rows.append(
            [alike.label, str(alike.interval.number), _gain(alike)]
            + [cell for gain in (board, here) for cell in (_share(gain), _gain(gain))]
        )
    header = ("selector", "seeds", ROUNDS, "rounds", BOARD, "rounds", HERE)
    without = [
        note for name, why in setting.untimed.items() for note in grouped_notes(f"No {name}", why)
    ]
    return Table(f"Gain over rs: {setting_title(setting.group)}", header, rows, [*without, *NOTES])


def _gain(gain: TimedGain) -> str:
    return with_interval(gain.interval) if gain.interval.number else "none"


def _share(gain: TimedGain) -> str:
    return f"{gain.share:.2f}" if gain.interval.number else ""


def panels(data: Data) -> tuple[Any, Sequence[Any]]:
    """Return a figure with an axes a setting that is drawn, as high as its lines need."""
    drawn, alone = part(data.settings, _seeds)
    lines = [len(_paired(setting)) for setting in drawn] or [1]
    figure, axes = packed([AROUND_PANEL + HEIGHT_OF_LINE * number for number in lines], width=5.8)
    name_below(figure, [setting.group for setting in alone])
    return figure, axes


def draw(data: Data, axes: Sequence[Any]) -> None:
    """Draw a setting on each of the axes, or say that there is none."""
    if not data.settings:
        say_in(axes[0], "no runs beside those of rs")
    for panel, setting in zip(axes, part(data.settings, _seeds)[0], strict=False):
        _panel(panel, setting)
    if data.settings:
        axes[0].figure.legend(
            *axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3
        )


def _seeds(setting: TimedSetting) -> int:
    return max((gain.interval.number for gain in setting.gains[ROUNDS]), default=0)


def _paired(setting: TimedSetting) -> list[int]:
    """Return the places of labels with pairs, by their gain at equal rounds, the least first."""
    alike = setting.gains[ROUNDS]
    found = [number for number, gain in enumerate(alike) if gain.interval.number]
    return sorted(found, key=lambda number: alike[number].interval.estimate)


def _panel(axes: Any, setting: TimedSetting) -> None:
    """Draw a line a selector, the best at equal rounds on top."""
    shown = _paired(setting)
    axes.axvline(0, color="#4d4d4d", linewidth=1)
    for offset, (name, (hue, marker)) in zip((0.24, 0.0, -0.24), LOOKS.items(), strict=True):
        axes.plot([], [], marker, color=hue, label=name)
        for place, number in enumerate(shown):
            _line(axes, place + offset, setting.gains[name][number].interval, hue, marker)
    alike = setting.gains[ROUNDS]
    names = [f"{alike[number].label} ({alike[number].interval.number})" for number in shown]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.grid(visible=False, axis="y")
    if any(
        of[number].interval.estimate < LOWEST for of in setting.gains.values() for number in shown
    ):
        axes.set_xlim(left=LOWEST - 2)
    axes.set_xlabel("points over rs of the same seed")
    axes.set_title(textwrap.fill(setting_title(setting.group), 60), fontsize="small")


def _line(axes: Any, height: float, interval: Interval, hue: str, marker: str) -> None:
    """Draw a mean and its interval; write what loses more than LOWEST as a number."""
    if not interval.number:
        return
    if interval.estimate < LOWEST:
        words = f"◂ {interval.estimate:.0f}"
        axes.text(LOWEST - 1.8, height, words, color=hue, va="center", fontsize="x-small")
        return
    if np.isfinite(interval.low):
        ends = [max(interval.low, LOWEST - 2), interval.high]
        axes.plot(ends, [height] * 2, color=hue, linewidth=1.6)
    axes.plot([interval.estimate], [height], marker, color=hue, markersize=5)
