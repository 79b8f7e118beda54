"""Figure 10: a federation's accuracy against rounds, one line a selector, the paper's below ours.

A panel a setting of `titan-run experiment=fig10`, or of any other federation; without runs the
paper's curves alone. It draws no random selection, no stratified batch and no C-IS; we do. Who
takes part moves a federation's accuracy by points from one evaluation to the next, so our lines are
moving means; the tables tell the ends as they were measured.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from titan_repro.analysis.clocks import ChooseClock, OwnClock, choose_clock
from titan_repro.analysis.comparison import order_labels
from titan_repro.analysis.load import Runs, load_runs
from titan_repro.analysis.replay import Replay
from titan_repro.figures.comparison import comparison_tables
from titan_repro.figures.curves import draw_panel, draw_paper_curve, paper_panel
from titan_repro.figures.end_labels import EndLabel, write_at_ends
from titan_repro.figures.style import PAPER_COLOUR, looks, pyplot
from titan_repro.figures.table import Table, no_runs
from titan_repro.figures.titles import setting_title
from titan_repro.paper.published import CURVES_TASK, accuracy_at, curve

EXPERIMENTS = ("fig10",)
FIGURE, MODEL = "10", "mobilenet"
PAPER_SETTING = {"devices": 50, "participants": 10}
"""PAPER_SETTING: of a federation beside which the paper's curves are drawn."""

SMOOTHED = 10
"""SMOOTHED: of so many parts of a curve each is averaged to a point."""

FOREMOST = ("rs", "stratified", "cis", "titan")


@dataclass(frozen=True)
class Data:
    """The runs of federations, None if there are none, and what chooses their tables' clock."""

    runs: Runs | None
    choose: ChooseClock


def load(source: Path, replay_on: Callable[[str], Replay]) -> Data:
    """Read the runs of federations below `source`. Raises RunFolderError without any runs."""
    every = load_runs(source)
    federated = every.summaries[[federation_of(run) is not None for run in _rows(every.summaries)]]
    if len(federated) == 0:
        return Data(None, lambda group: OwnClock())
    curves = every.curves[every.curves["run_id"].isin(federated["run_id"])]
    runs = Runs(federated, curves, every.recorded)
    return Data(runs, choose_clock(None, source, runs, replay_on))


def federation_of(run: Mapping[Any, Any]) -> Mapping[str, Any] | None:
    """Return what the summary of a run says of its federation, None without one."""
    told = run.get("federation")
    return told if isinstance(told, Mapping) else None


def tables(data: Data) -> list[Table]:
    """Return for each setting that of `titan-report compare`, and one of devices and bytes."""
    if data.runs is None:
        return [no_runs("Figure 10")]
    settings = data.runs.summaries.groupby("setting", sort=False)
    compared = comparison_tables(data.runs, data.choose)
    pairs = zip(compared, (_devices(group) for _, group in settings), strict=True)
    return [table for pair in pairs for table in pair]


def panels(data: Data) -> tuple[Any, Sequence[Any]]:
    """Return a figure with an axes a setting, side by side."""
    number = 1 if data.runs is None else data.runs.summaries["setting"].nunique()
    figure, axes = pyplot().subplots(1, number, figsize=(7.6 * number, 4.6), squeeze=False)
    return figure, list(axes.flat)


def draw(data: Data, axes: Sequence[Any]) -> None:
    """Draw a setting on each of the axes."""
    if data.runs is None:
        title = f"{CURVES_TASK}, {MODEL}, federation of {PAPER_SETTING['devices']} devices"
        missing = "no runs: titan-run experiment=fig10"
        draw_panel(axes[0], paper_panel(title, MODEL, FIGURE, missing))
        return
    settings = data.runs.summaries.groupby("setting", sort=False)
    for panel, (_, group) in zip(axes, settings, strict=True):
        curves = data.runs.curves[data.runs.curves["run_id"].isin(group["run_id"])]
        ends = [*_paper(panel, group), *_ours(panel, curves)]
        panel.set_title(setting_title(group), fontsize="small", wrap=True)
        panel.set_xlabel("communication rounds")
        panel.set_ylabel(
            "accuracy of the global model, %\n"
            f"(fixed part of the test set{_how_smoothed(_window(curves))})"
        )
        panel.xaxis.set_major_formatter("{x:,.0f}")
        panel.set_xlim(0, max(1, group["rounds"].max()))
        write_at_ends(panel, ends)


def _ours(axes: Any, curves: pd.DataFrame) -> list[EndLabel]:
    """Draw the mean over seeds of each label, and the range of the foremost; return the ends."""
    look_of, ends, window = looks(curves["selector"]), [], _window(curves)
    for label in order_labels(curves["label"]):
        own = curves[curves["label"] == label]
        selector, seeds = str(own["selector"].iloc[0]), own["seed"].nunique()
        every = own.pivot_table(index="round", columns="seed", values="accuracy").dropna()
        smooth = 100 * every.rolling(window, center=True, min_periods=1).mean()
        by_round = smooth.agg(["mean", "min", "max"], axis=1)
        look, foremost = look_of[selector], selector in FOREMOST
        axes.plot(
            by_round.index,
            by_round["mean"],
            color=look.colour,
            linestyle=look.dashes,
            linewidth=1.8 if foremost else 1.1,
            label=label,
        )
        if seeds > 1 and foremost:
            low, high = by_round["min"], by_round["max"]
            axes.fill_between(by_round.index, low, high, color=look.colour, alpha=0.1, linewidth=0)
        end = float(by_round["mean"].iloc[-1])
        words = f"{label} {end:.1f} ({seeds} seed{'s' * (seeds > 1)})"
        x = float(by_round.index[-1])
        ends.append(EndLabel(x, end, words, look.colour, bold=foremost))
    return ends


def _window(curves: pd.DataFrame) -> int:
    """Return over how many evaluations lines are averaged: an odd number, 1 for short curves."""
    points = curves.groupby("run_id")["round"].nunique().max()
    return int(points) // SMOOTHED // 2 * 2 + 1


def _how_smoothed(window: int) -> str:
    return f"; moving mean of {window} evaluations" if window > 1 else ""


def _paper(axes: Any, group: pd.DataFrame) -> list[EndLabel]:
    """Draw the paper's curves as far as our runs go, if they are of this setting; their ends."""
    if not _is_the_papers(group):
        return []
    look_of, rounds = looks(order_labels(group["selector"])), int(group["rounds"].max())
    ends = []
    for selector in order_labels(group["selector"]):
        drawn = curve(MODEL, selector, FIGURE)
        drawn = drawn[drawn["round"] <= rounds]
        if len(drawn) < 2:
            continue
        draw_paper_curve(axes, drawn, look_of[selector], selector, FIGURE)
        end = float(drawn["accuracy"].iloc[-1])
        x, words = float(drawn["round"].iloc[-1]), f"{selector} {end:.1f} (paper, {MODEL})"
        ends.append(EndLabel(x, end, words, PAPER_COLOUR))
    return ends


def _is_the_papers(group: pd.DataFrame) -> bool:
    """Return whether the paper shows this setting, if perhaps with another model."""
    told = federation_of(group.iloc[0].to_dict()) or {}
    same = all(told.get(key) == value for key, value in PAPER_SETTING.items())
    return same and bool(group.iloc[0]["task"] == CURVES_TASK)


def _devices(group: pd.DataFrame) -> Table:
    """Return how the accuracy differs between devices at the end, and what was sent."""
    rows, with_paper = [], _is_the_papers(group)
    for label in order_labels(group["label"]):
        own = [run for run in _rows(group) if run["label"] == label]
        at_end = [spread for run in own if (spread := _spread_at(run)) is not None]
        told = federation_of(own[0])
        assert told is not None
        sent = (told["bytes_down"] + told["bytes_up"]) * int(own[0]["rounds"]) / 1e9
        numbers = [
            _mean_of(at_end, name) for name in ("mean", "deviation", "lowest", "tenth", "highest")
        ]
        paper = accuracy_at(MODEL, label.split()[0], int(own[0]["rounds"]), FIGURE)
        beside = ["-" if math.isnan(paper) else f"{paper:.1f}"] if with_paper else []
        rows.append((label, str(len(own)), *numbers, f"{sent:.2f}", *beside))
    title = f"Accuracy on each device's own classes, %, and bytes sent: {setting_title(group)}"
    header = (
        *("selector", "seeds", "mean of devices", "deviation", "lowest", "10 % below", "highest"),
        *("sent, GB", *([f"paper ({MODEL})"] if with_paper else [])),
    )
    return Table(title, header, rows, NOTES if with_paper else NOTES[:-1])


NOTES = (
    "A device's accuracy: of the global model on the test samples of its classes, in its own mix; "
    "deviation, lowest and so on are over devices, each a mean over seeds.",
    "Sent: weights and running statistics to and from the participants of all rounds.",
    "Paper: whole test set, read off Figure 10 at the same round.",
)


def _spread_at(run: Mapping[Any, Any]) -> Mapping[str, float] | None:
    """Return how devices differ at the rounds that a run is counted at; None if not measured."""
    told = federation_of(run) or {}
    found = [each for each in told["devices_at_milestones"] if each["rounds"] == run["rounds"]]
    return found[-1] if found else None


def _mean_of(spreads: Sequence[Mapping[str, float]], name: str) -> str:
    if not spreads:
        return "-"
    return f"{100 * sum(each[name] for each in spreads) / len(spreads):.1f}"


def _rows(runs: pd.DataFrame) -> list[dict[Any, Any]]:
    return runs.to_dict("records")
