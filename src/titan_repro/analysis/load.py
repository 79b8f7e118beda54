"""Run folders as two tables for everything in this package."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from titan_repro.config import SETTING_KEYS
from titan_repro.errors import RunFolderError
from titan_repro.records.collect import collect, evaluations


@dataclass(frozen=True)
class Runs:
    """Runs that have ended, and their curves.

    summaries: a row a run, the columns of `collect` and two more. `label`: the selector's name,
        with the choices that tell it from other runs of the same selector where there are any.
        `detail`: likewise what tells the run's setting from others of its task, model and stream.
    curves: long form: run_id, round, accuracy, loss, train_seconds, and the run's label, task,
        model, setting and seed.
    """

    summaries: pd.DataFrame
    curves: pd.DataFrame


def load_runs(folder: Path, rounds: int | None = None) -> Runs:
    """Read all finished or diverged runs below `folder`, of so many rounds if they are named.

    A run that is there twice counts once. Raises RunFolderError if there are none.
    """
    if not folder.is_dir():
        raise RunFolderError(f"{folder}: no such folder; allowed: a folder that titan-run wrote to")
    summaries = collect(folder)
    if len(summaries):
        summaries = summaries[summaries["status"].isin(("finished", "diverged"))]
    if rounds is not None and len(summaries):
        summaries = summaries[summaries["rounds"] == rounds]
    if len(summaries) == 0:
        what = "finished runs" if rounds is None else f"finished runs of {rounds} rounds"
        raise RunFolderError(f"{folder}: found no {what}; titan-run with paths.runs makes them")
    summaries = summaries.drop_duplicates("run_id").reset_index(drop=True)
    summaries = summaries.assign(label=_labels(summaries), detail=_details(summaries))
    points = ["run_id", "round", "accuracy", "loss", "train_seconds"]
    facts = ["run_id", "label", "selector", "task", "model", "setting", "seed"]
    curves = evaluations(folder)[points].drop_duplicates(["run_id", "round"])
    readable = summaries["run_id"].isin(curves["run_id"])  # the others have been warned of
    return Runs(summaries[readable], curves.merge(summaries[facts], on="run_id"))


def _labels(summaries: pd.DataFrame) -> list[str]:
    """Name each run by its selector and by the choices that differ within that selector."""
    flat = [_flatten(choices) for choices in summaries["choices"]]
    selectors = list(summaries["selector"])
    values: dict[tuple[str, str], set[str]] = {}
    for selector, choices in zip(selectors, flat, strict=True):
        for key, value in choices.items():
            values.setdefault((selector, key), set()).add(value)
    labels = []
    for selector, choices in zip(selectors, flat, strict=True):
        telling = [
            f"{key}={value}"
            for key, value in sorted(choices.items())
            if len(values[selector, key]) > 1
        ]
        labels.append(" ".join([selector, *telling]))
    return labels


def _details(summaries: pd.DataFrame) -> "pd.Series[str]":
    """Name for each run the keys of its setting that differ within its task, model and stream."""
    details = pd.Series("", index=summaries.index)
    columns = [name for name in map(str, summaries) if _tells_settings_apart(name)]
    for _, family in summaries.groupby(["task", "model", "stream"]):
        values = family[columns].astype(str)
        for column in columns:
            constant = (values[column].groupby(family["setting"]).nunique() == 1).all()
            if constant and values[column].nunique() > 1:
                key = column.removeprefix("config.")
                details[family.index] += [f", {key} {value}" for value in values[column]]
    return details


def _tells_settings_apart(column: str) -> bool:
    if not column.startswith("config."):
        return False
    key = column.removeprefix("config.")
    if key == "task.front_end":
        return True
    group, _, part = key.rpartition(".")
    if group == "":
        return key in SETTING_KEYS
    return group in ("model", "stream", "device") and part != "name"


def _flatten(node: Any, prefix: str = "") -> dict[str, str]:
    if not isinstance(node, dict):
        return {prefix: str(node)}
    flat: dict[str, str] = {}
    for key, value in node.items():
        flat |= _flatten(value, f"{prefix}.{key}".lstrip("."))
    return flat
