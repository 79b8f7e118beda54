"""The paper's numbers: those that it prints, and those read off its published figures."""

import csv
import math
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import pandas as pd

TABLE1_ROUNDS = 20_000
"""Of the image models, on the axes of figure 7."""

FIGURE_OF_STREAM = {"clean": "7", "feature_noise": "11a", "label_noise": "11b"}
"""The figure that shows training curves on a stream of conf/stream."""

CURVES_TASK = "cifar10"
"""Of every training curve in the paper."""

_NUMBER_OR_RANGE = re.compile(r"([\d.]+)(?:-([\d.]+))?")


@dataclass(frozen=True)
class Claim:
    """A row of claims.csv, fields as there.

    paper_value: a number, a range ("73.0-77.9") or a word. condition: keys and values of the run
    that it speaks of, where it is one of Table 1.
    """

    id: str
    source: str
    claim: str
    metric: str
    paper_value: str
    unit: str
    condition: str


@dataclass(frozen=True)
class Table1Cell:
    """What Table 1 says of a model and a selector.

    task: that it was trained on. time_ratio: time to rs's accuracy over that of rs.
    accuracy: final, in percent.
    """

    task: str
    time_ratio: float
    accuracy: float


@cache
def claims() -> dict[str, Claim]:
    """Return every claim by its id."""
    return {row["id"]: Claim(**row) for row in csv.DictReader(_lines("claims.csv"))}


@cache
def claimed_numbers() -> dict[str, float]:
    """Return the numbers among the claims by id; those of a range by id and ".low" or ".high"."""
    numbers: dict[str, float] = {}
    for claim in claims().values():
        if found := _NUMBER_OR_RANGE.fullmatch(claim.paper_value):
            first, second = found.groups()
            ends = {"": first} if second is None else {".low": first, ".high": second}
            numbers |= {claim.id + end: float(value) for end, value in ends.items()}
    return numbers


def table1_cell(model: str, selector: str) -> Table1Cell | None:
    """Return what Table 1 says of a model under a selector; None if it has no such cell."""
    time, accuracy = (
        claims().get(f"table1.{kind}.{model}.{selector}") for kind in ("time", "accuracy")
    )
    if time is None or accuracy is None:
        return None
    condition = dict(part.split("=", 1) for part in time.condition.split())
    return Table1Cell(condition["task"], float(time.paper_value), float(accuracy.paper_value))


def curve(model: str, selector: str, figure: str = "7") -> pd.DataFrame:
    """Return a training curve: round and accuracy in percent, a row a vertex of the drawn line.

    No rows if the figure has no such curve; between two vertices the line is straight.
    """
    every = _curves()
    chosen = (
        (every["figure"] == figure) & (every["model"] == model) & (every["selector"] == selector)
    )
    return every.loc[chosen, ["round", "accuracy"]].sort_values("round").reset_index(drop=True)


def accuracy_at(model: str, selector: str, rounds: int, figure: str = "7") -> float:
    """Return the accuracy of a curve after so many rounds, in percent.

    NaN if there is no such curve, or it ends before.
    """
    drawn = curve(model, selector, figure)
    if len(drawn) == 0 or rounds > drawn["round"].iloc[-1]:
        return math.nan
    return float(np.interp(rounds, drawn["round"], drawn["accuracy"]))


def rounds_ratio_at(model: str, selector: str, rounds: int, figure: str = "7") -> float:
    """Return rounds to rs's accuracy over those of rs, in runs that end after so many rounds.

    The target is where the curve of rs is then; both curves are read where they first get there.
    NaN if there is no such curve; infinite if it does not get there.
    """
    target = accuracy_at(model, "rs", rounds, figure)
    own, random = (_first(curve(model, name, figure), target, rounds) for name in (selector, "rs"))
    return own / random


def batch_variances(model: str, selector: str) -> dict[int, float]:
    """Return what figure 5(a) shows: batch gradient variance over that of rs, by batch size.

    Empty if it has no such line.
    """
    series = {"is": "IS", "cis": "C-IS"}.get(selector, "")
    for row in _figure5("5a", model):
        name, _, sizes = row["series"].partition(" (batch ")
        if name == series:
            numbers = sizes.rstrip(")") or _BATCHES
            return dict(zip(_whole(numbers), _numbers(row["value"]), strict=True))
    return {}


def filter_variances(model: str) -> dict[str, float]:
    """Return what figure 5(b) prints: variance over that of rs by way, such as "Coarse+C-IS".

    Empty if it has no such model.
    """
    for row in _figure5("5b", model):
        return dict(zip(_WAYS, _numbers(row["value"]), strict=True))
    return {}


IMPORTANCE_CORRELATION = 0.98
"""Pearson, of gradient norms in rounds t and t + 1, printed in figure 5(c)."""

_BATCHES = "5;10;20;40;80"
_WAYS = ("Random+Random", "Coarse+Random", "Random+C-IS", "Coarse+C-IS", "C-IS")
_FIGURE5_NAMES = {
    "alexnet": ("AlexNet",),
    "mobilenet": ("MobileNet", "MobileNetV1"),
    "squeezenet": ("SqueezeNet",),
    "resnet50": ("ResNet50",),
}


def _figure5(part: str, model: str) -> list[dict[str, str]]:
    names = _FIGURE5_NAMES.get(model, ())
    rows = csv.DictReader(_lines("figures/fig2a_5_6.csv"))
    return [row for row in rows if row["figure"] == part and row["model"] in names]


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.split(";")]


def _whole(text: str) -> list[int]:
    return [int(number) for number in text.split(";")]


def _first(drawn: pd.DataFrame, target: float, rounds: int) -> float:
    """Return the round at which a curve first reaches a target; infinite if not by `rounds`."""
    if len(drawn) == 0 or math.isnan(target):
        return math.nan
    grid = np.arange(rounds + 1)
    there = np.interp(grid, drawn["round"], drawn["accuracy"]) >= target
    there &= grid <= drawn["round"].iloc[-1]
    return float(there.argmax()) if there.any() else math.inf


@cache
def utilisation() -> dict[str, pd.DataFrame]:
    """Return the lines of figure 1 by model, ascending.

    Columns: share of the data that is trained, in percent; final accuracy, in percent; and time of
    training, over that with a tenth of the data.
    """
    names = {"utilisation": "share", "final_accuracy_pct": "accuracy", "relative_time": "time"}
    table = pd.DataFrame(csv.DictReader(_lines("figures/fig1.csv"))).rename(columns=names)
    table = table.astype(dict.fromkeys(names.values(), float))
    table["share"] = (100 * table["share"]).round()
    return {
        str(model).lower(): own[list(names.values())].sort_values("share").reset_index(drop=True)
        for model, own in table.groupby("model")
    }


@cache
def _curves() -> pd.DataFrame:
    rows = list(csv.DictReader(_lines("figures/curves.csv")))
    return pd.DataFrame(rows).astype({"round": float, "accuracy": float})


def _lines(name: str) -> list[str]:
    file = resources.files("titan_repro.paper").joinpath(name)
    return file.read_text(encoding="utf-8").splitlines()
