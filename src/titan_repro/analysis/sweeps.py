"""Runs of Titan that differ in one choice, beside random selection and C-IS on everything."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from titan_repro.analysis.load import Runs, runs_at
from titan_repro.analysis.spread import Spread
from titan_repro.errors import RunFolderError
from titan_repro.records.collect import collect


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


KEYS = ("blocks", "filter.budget")
"""Choices that figures 8 and 9 sweep."""


def load_sweeps(source: Path) -> Runs:
    """Read the runs below `source` that sweeps over KEYS are made of, with their rs and C-IS.

    Rounds are counted as `load_runs` does, but of these runs alone: others of the same settings may
    be more, and longer. Raises RunFolderError if there are none.
    """
    found = collect(source)
    table = found.table()
    own = set(table.loc[table["selector"].isin(["rs", "cis"]), "run_id"])
    titan = table[table["selector"] == "titan"]
    for key in KEYS:
        values = titan["choices"].map(lambda choices, key=key: _value(choices, key))
        others = titan["choices"].map(lambda choices, key=key: _without(choices, key))
        own |= set(titan.loc[values.map(lambda value: isinstance(value, str)), "run_id"])
        for _, family in titan.assign(at=values).groupby([titan["setting"], others], sort=False):
            if family["at"].nunique() > 1:
                own |= set(family["run_id"])
    return runs_at(found, only=own)


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
