"""Runs of Titan that differ in one choice, beside random selection and C-IS on everything."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from titan_repro.analysis.load import Runs
from titan_repro.analysis.spread import Spread
from titan_repro.errors import RunFolderError


@dataclass(frozen=True)
class Sweep:
    """Runs of one setting, of the seeds that every value of the choice has, where there are such.

    Without that, values would differ by their seeds: a seed moves an accuracy by more than they do.
    Rows are those of `Runs.summaries`.

    titan: with a column `at`, the value of the choice that is swept, ascending.
    rs: random selection. cis: C-IS on every sample, by the same rule as this Titan's.
    rest: further runs of Titan, whose value is a word (an adaptive budget).
    """

    titan: pd.DataFrame
    rs: pd.DataFrame
    cis: pd.DataFrame
    rest: pd.DataFrame

    @property
    def model(self) -> str:
        """The model's name."""
        return str(self.titan["model"].iloc[0])


def find_sweeps(folder: Path, runs: Runs, key: str, experiment: str) -> list[Sweep]:
    """Return a sweep for every setting, and every other choice of Titan, with two or more values.

    key: dotted, within a run's choices, such as "filter.budget".
    Raises RunFolderError naming `folder`, from which the runs were loaded, and the experiment that
    makes such runs if there are none.
    """
    found = []
    for _, group in runs.summaries.groupby("setting", sort=False):
        titan = group[group["selector"] == "titan"]
        values = titan["choices"].map(lambda choices: _value(choices, key))
        numbers = values.map(lambda value: isinstance(value, int)).astype(bool)
        titan = titan.assign(at=values, family=titan["choices"].map(lambda c: _without(c, key)))
        for _, family in titan[numbers].groupby("family", sort=False):
            if family["at"].nunique() > 1:
                found.append(_sweep(family, group, titan[~numbers]))
    if not found:
        raise RunFolderError(
            f"{folder}: found no finished runs of titan that differ in {key}; titan-run "
            f"experiment={experiment} with paths.runs makes them"
        )
    return found


def _sweep(family: pd.DataFrame, group: pd.DataFrame, rest: pd.DataFrame) -> Sweep:
    seeds = set.intersection(*(set(own["seed"]) for _, own in family.groupby("at")))
    if seeds:
        family, group, rest = (of[of["seed"].isin(seeds)] for of in (family, group, rest))
    policy = family["choices"].iloc[0].get("policy")
    same_rule = group["choices"].map(lambda choices: choices.get("policy") == policy)
    return Sweep(
        titan=family.sort_values(["at", "seed"]),
        rs=group[group["selector"] == "rs"],
        cis=group[(group["selector"] == "cis") & same_rule],
        rest=rest,
    )


def accuracies(runs: pd.DataFrame) -> Spread:
    """Return the final accuracies in percent of the runs that finished."""
    finished = runs[runs["status"] == "finished"]
    return Spread.of(100 * finished["final_accuracy"].astype(float))


def _value(choices: Mapping[str, Any], key: str) -> Any:
    node: Any = choices
    for name in key.split("."):
        node = node.get(name) if isinstance(node, Mapping) else None
    return node


def _without(choices: Mapping[str, Any], key: str) -> str:
    """Return all other choices, in one word that is the same for the same choices."""
    head, _, rest = key.partition(".")
    others = {name: value for name, value in choices.items() if name != head}
    if rest and isinstance(choices.get(head), Mapping):
        others[head] = _without(choices[head], rest)
    return json.dumps(others, sort_keys=True)
