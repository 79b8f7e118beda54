"""Random selection under two learning rates, beside the paper's curves of it.

A panel a model: the paper's rs, ours with the rate as printed (0.95 every 100 rounds), and ours
with a rate that falls once, as the leap of the paper's curves at round 5,000 suggests.
"""

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

EXPERIMENTS = ("schedule",)
FURTHER = ("campaign_images", "campaign_long")
"""Experiments whose runs of rs stand beside them."""

SELECTOR = "rs"
FALLS_AT = 5000
PRINTED, ONCE = "as printed", f"0.1 to round {FALLS_AT:,}, then 0.01"
COLOURS = {PRINTED: colour(SELECTOR), ONCE: "#d95f02"}

NOTE = (
    "Accuracy on the whole test set, mean over (seeds); the paper's is read off figure 7. Both "
    "rates begin at 0.1 and end at 0.01: as printed they fall by 0.95 every 100 rounds and are "
    "there at round 4,500."
)


@dataclass(frozen=True)
class Part:
    """Runs of one model and rate: rows of `Runs.summaries`, and their curves."""

    runs: pd.DataFrame
    curves: pd.DataFrame


@dataclass(frozen=True)
class ModelCurves:
    """What is known of one model. rates: by PRINTED and ONCE, the first perhaps missing."""

    model: str
    rates: Mapping[str, Part]


@dataclass(frozen=True)
class Data:
    """The models that have a run of the experiment, and what is said of missing runs."""

    models: Sequence[ModelCurves]
    notes: Sequence[str] = ()


def load(source: Path, replay_on: Callable[[str], Replay]) -> Data:
    """Read the runs of rs below `source`. Raises RunFolderError without any of EXPERIMENTS."""
    shown = shown_runs(source, EXPERIMENTS, further=FURTHER)
    if shown.runs is None or not by_model([shown.runs]).models:
        raise RunFolderError(f"{source}: found no runs of it; titan-run experiment=schedule")
    lengths = [int(rounds) for rounds in shown.runs.summaries["rounds"]]
    longer = shown.at(max(lengths))
    return by_model([shown.runs, *([] if longer is None else [longer])], shown.notes())


def by_model(lengths: Sequence[Runs], notes: Sequence[str] = ()) -> Data:
    """Part the runs of rs by model and rate; models without the second rate are left out.

    lengths: the same runs cut at several lengths, of which the last that a model has counts.
    """
    parts: dict[str, dict[str, Part]] = {}
    for runs in lengths:
        known = runs.summaries[runs.summaries["selector"] == SELECTOR]
        rates = [
            ONCE if runs.recorded[run].config["learning_rate_every"] == FALLS_AT else PRINTED
            for run in known["run_id"]
        ]
        for (model, rate), group in known.assign(rate=rates).groupby(["model", "rate"]):
            own = runs.curves[runs.curves["run_id"].isin(group["run_id"])]
            parts.setdefault(str(model), {})[str(rate)] = Part(group, own)
    models = [ModelCurves(name, known) for name, known in parts.items() if ONCE in known]
    return Data(sorted(models, key=lambda one: place_of(one.model)), notes)


def tables(data: Data) -> list[Table]:
    """Return one table: a row a model and milestone."""
    rows = [
        [
            one.model,
            f"{rounds:,}",
            f"{accuracy_at(one.model, SELECTOR, rounds):.1f}",
            *(_mean(one.rates.get(rate), rounds) for rate in (ONCE, PRINTED)),
        ]
        for one in data.models
        for rounds in _milestones(one.rates[ONCE])
    ]
    header = ("model", "rounds", "paper, %", f"{ONCE}, %", f"{PRINTED}, %")
    title = "Random selection on CIFAR-10 under two learning rates, beside the paper's"
    return [Table(title, header, rows, (NOTE, *data.notes))]


def _milestones(part: Part) -> list[int]:
    return sorted({int(each["rounds"]) for own in part.runs["milestones"] for each in own})


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
    """Return a figure with an axes a model."""
    number = len(data.models)
    figure, axes = pyplot().subplots(1, number, figsize=(7.4 * number, 4.2), squeeze=False)
    return figure, list(axes.flat)


def draw(data: Data, axes: Sequence[Any]) -> None:
    """Draw a model on each of the axes."""
    for place, one in zip(axes, data.models, strict=True):
        rounds = int(max(part.runs["rounds"].max() for part in one.rates.values()))
        labels = [_paper(place, one.model, rounds)]
        labels += [_line(place, part.curves, rate) for rate, part in one.rates.items()]
        if rounds > FALLS_AT:
            place.axvline(FALLS_AT, color="#808080", linewidth=0.8, linestyle="dotted")
        place.set_title(f"{one.model} on CIFAR-10, random selection", fontsize="medium")
        place.set_xlabel("training rounds")
        place.set_ylabel("accuracy on the fixed test subset, %")
        place.xaxis.set_major_formatter("{x:,.0f}")
        place.set_xlim(0, rounds)
        write_at_ends(place, labels)


def _paper(axes: Any, model: str, rounds: int) -> EndLabel:
    drawn = curve(model, SELECTOR)
    drawn = drawn[drawn["round"] <= rounds]
    axes.plot(drawn["round"], drawn["accuracy"], color=PAPER_COLOUR, linewidth=1.8)
    x, y = drawn[["round", "accuracy"]].iloc[-1]
    return EndLabel(float(x), float(y), "paper", PAPER_COLOUR, bold=True)


def _line(axes: Any, own: pd.DataFrame, rate: str) -> EndLabel:
    """Draw the mean over seeds of one rate, as far as all seeds go."""
    by_round = 100 * own.groupby("round")["accuracy"].mean()
    by_round = by_round[own.groupby("round")["seed"].nunique() == own["seed"].nunique()]
    axes.plot(by_round.index, by_round, color=COLOURS[rate], linewidth=1.4)
    words = f"{rate} ({own['seed'].nunique()})"
    x, y = float(by_round.index[-1]), float(by_round.iloc[-1])
    return EndLabel(x, y, words, COLOURS[rate], bold=True)
