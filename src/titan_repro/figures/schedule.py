"""Learning rates other than the printed one, beside the paper's curves.

A panel a model and selector of CIFAR-10: the paper's curve; ours with the printed decay (0.95 every
100 rounds) that ends at a floor; ours without the floor; ours with a rate that falls once, as the
leap of the paper's curves at round 5,000 suggests.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from titan_repro.analysis.costs import place_of
from titan_repro.analysis.load import Runs
from titan_repro.analysis.replay import Replay
from titan_repro.errors import RunFolderError
from titan_repro.figures.end_labels import EndLabel, write_at_ends
from titan_repro.figures.planned import shown_runs
from titan_repro.figures.style import PAPER_COLOUR, colour, pyplot
from titan_repro.figures.table import Table
from titan_repro.paper.published import accuracy_at, curve

EXPERIMENTS = ("schedule", "floor")
FURTHER = ("campaign_images", "campaign_long")
"""Experiments whose runs, with the floor, stand beside them."""

FALLS_AT = 5000
FLOOR, NO_FLOOR, ONCE = "floor 0.01", "no floor", "0.1, then 0.01"
COLOURS = {FLOOR: colour("rs"), NO_FLOOR: "#1f78b4", ONCE: "#d95f02"}

DRAWN_FOR = {"titan": "cis"}
"""Whose curve the paper's figure 7 has in place of one that it does not have."""

NOTE = (
    "Accuracy on the whole test set, mean over (seeds); the paper's is read off figure 7, which "
    "has C-IS and no Titan. Rates begin at 0.1. Printed is a fall by 0.95 every 100 rounds: floor "
    "0.01 stops it at round 4,500, no floor leaves 0.0000035 at round 20,000. "
    f"{ONCE}: falls once, at round {FALLS_AT:,}."
)


@dataclass(frozen=True)
class Part:
    """Runs of one model, selector and rate: rows of `Runs.summaries`, and their curves."""

    runs: pd.DataFrame
    curves: pd.DataFrame


@dataclass(frozen=True)
class Rates:
    """What is known of one model and selector. parts: by FLOOR, NO_FLOOR and ONCE."""

    model: str
    selector: str
    parts: Mapping[str, Part]

    @property
    def of_paper(self) -> str:
        """The selector whose curve of the paper stands beside."""
        return DRAWN_FOR.get(self.selector, self.selector)

    @property
    def rounds(self) -> int:
        """The most rounds of a run."""
        return int(max(part.runs["rounds"].max() for part in self.parts.values()))


@dataclass(frozen=True)
class Data:
    """What has a run of the experiments, and what is said of missing runs."""

    places: Sequence[Rates]
    notes: Sequence[str] = ()


def load(source: Path, replay_on: Callable[[str], Replay]) -> Data:
    """Read the runs below `source`. Raises RunFolderError without any of EXPERIMENTS."""
    shown = shown_runs(source, EXPERIMENTS, further=FURTHER)
    if shown.runs is None or not by_place([shown.runs]).places:
        raise RunFolderError(f"{source}: found no runs of it; titan-run experiment=schedule")
    lengths = [int(rounds) for rounds in shown.runs.summaries["rounds"]]
    longer = shown.at(max(lengths))
    return by_place([shown.runs, *([] if longer is None else [longer])], shown.notes())


def by_place(lengths: Sequence[Runs], notes: Sequence[str] = ()) -> Data:
    """Part the runs by model, selector and rate; those with the floor's rate alone are left out.

    lengths: the same runs cut at several lengths, of which the last that a part has counts.
    """
    found: dict[tuple[str, str], dict[str, Part]] = {}
    for runs in lengths:
        known = runs.summaries
        rates = [_rate(runs.recorded[run].config) for run in known["run_id"]]
        for names, group in known.assign(rate=rates).groupby(["model", "selector", "rate"]):
            model, selector, rate = map(str, names)
            own = runs.curves[runs.curves["run_id"].isin(group["run_id"])]
            found.setdefault((model, selector), {})[rate] = Part(group, own)
    places = [
        Rates(*names, {rate: parts[rate] for rate in COLOURS if rate in parts})
        for names, parts in found.items()
        if {*parts} != {FLOOR}
    ]
    return Data(sorted(places, key=lambda one: (place_of(one.model), one.selector)), notes)


def _rate(config: Mapping[str, Any]) -> str:
    """Name the learning rate of a run by its configuration."""
    if config["learning_rate_every"] == FALLS_AT:
        return ONCE
    return FLOOR if config["learning_rate_floor"] else NO_FLOOR


def tables(data: Data) -> list[Table]:
    """Return one table: a row a model, selector and milestone."""
    rows = [
        [
            one.model,
            one.selector,
            f"{rounds:,}",
            f"{accuracy_at(one.model, one.of_paper, rounds):.1f}",
            *(_mean(one.parts.get(rate), rounds) for rate in COLOURS),
        ]
        for one in data.places
        for rounds in _milestones(one)
    ]
    header = ("model", "selector", "rounds", "paper, %", *(f"{rate}, %" for rate in COLOURS))
    title = "CIFAR-10 under several learning rates, beside the paper's curves"
    return [Table(title, header, rows, (NOTE, *data.notes))]


def _milestones(one: Rates) -> list[int]:
    every = (own for part in one.parts.values() for own in part.runs["milestones"])
    known = {int(each["rounds"]) for own in every for each in own}
    return sorted(rounds for rounds in known if rounds <= one.rounds)


def _mean(part: Part | None, rounds: int) -> str:
    """Write the mean accuracy of the runs that were measured after so many rounds."""
    found = [
        100 * milestone["accuracy"]
        for milestones in ([] if part is None else part.runs["milestones"])
        for milestone in milestones
        if milestone["rounds"] == rounds
    ]
    return f"{sum(found) / len(found):.1f} ({len(found)})" if found else "none"


def panels(data: Data) -> tuple[Any, Sequence[Any]]:
    """Return a figure with an axes a model and selector, two a row."""
    number = len(data.places)
    shape = math.ceil(number / 2), min(number, 2)
    size = 6.6 * shape[1], 4.0 * shape[0]
    figure, axes = pyplot().subplots(*shape, figsize=size, squeeze=False)
    for surplus in axes.flat[number:]:
        surplus.remove()
    return figure, list(axes.flat)[:number]


def draw(data: Data, axes: Sequence[Any]) -> None:
    """Draw a model and selector on each of the axes."""
    for place, one in zip(axes, data.places, strict=True):
        labels = [_paper(place, one)]
        labels += [_line(place, part.curves, rate) for rate, part in one.parts.items()]
        if ONCE in one.parts and one.rounds > FALLS_AT:
            place.axvline(FALLS_AT, color="#808080", linewidth=0.8, linestyle="dotted")
        place.set_title(f"{one.selector}: {one.model} on CIFAR-10", fontsize="medium")
        place.set_xlabel("training rounds")
        place.set_ylabel("accuracy on the fixed test subset, %")
        place.xaxis.set_major_formatter("{x:,.0f}")
        place.set_xlim(0, one.rounds)
        write_at_ends(place, labels)


def _paper(axes: Any, one: Rates) -> EndLabel:
    drawn = curve(one.model, one.of_paper)
    drawn = drawn[drawn["round"] <= one.rounds]
    axes.plot(drawn["round"], drawn["accuracy"], color=PAPER_COLOUR, linewidth=1.8)
    x, y = drawn[["round", "accuracy"]].iloc[-1]
    words = "paper" if one.of_paper == one.selector else f"paper, {one.of_paper}"
    return EndLabel(float(x), float(y), words, PAPER_COLOUR, bold=True)


def _line(axes: Any, own: pd.DataFrame, rate: str) -> EndLabel:
    """Draw the mean over seeds of one rate, as far as all seeds go."""
    by_round = 100 * own.groupby("round")["accuracy"].mean()
    by_round = by_round[own.groupby("round")["seed"].nunique() == own["seed"].nunique()]
    axes.plot(by_round.index, by_round, color=COLOURS[rate], linewidth=1.4)
    words = f"{rate} ({own['seed'].nunique()})"
    x, y = float(by_round.index[-1]), float(by_round.iloc[-1])
    return EndLabel(x, y, words, COLOURS[rate], bold=True)
