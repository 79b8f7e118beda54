"""All runs that lie in one place: a folder of run folders, or an export of them."""

import os
from collections.abc import Collection as Container
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from titan_repro.errors import RunFolderError
from titan_repro.records.export import is_export, read_export
from titan_repro.records.folder import RunFolder
from titan_repro.records.recorded import RecordedRun, read_folder
from titan_repro.records.results import CURVE_COLUMNS, KEYS, is_final

RUN_COLUMNS = ("run_id", "task", "model", "selector", "seed")
"""The columns that say which run a row of `Collection.curves` belongs to."""


@dataclass(frozen=True)
class Begun:
    """A run that has neither ended nor been measured so far. rounds: how many are on the disk."""

    path: Path
    rounds: int
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Collection:
    """What was found.

    runs: those with a summary, whatever their status, in the order of task, model, selector and id;
        of a run that is there twice, the one that went further.
    begun: those without. damaged: a line for each that cannot be read.
    """

    source: Path
    runs: tuple[RecordedRun, ...]
    begun: tuple[Begun, ...]
    damaged: tuple[str, ...]

    def table(self) -> pd.DataFrame:
        """Return one row a run.

        Columns: `where`; the keys of summary.json; and every value of config.yaml under its
        dotted key behind "config.", such as "config.filter.budget"; lists become tuples.
        """
        rows = [
            {"where": run.where, **run.summary, **_config_columns(run.config)} for run in self.runs
        ]
        return pd.DataFrame(rows, columns=None if rows else ["where", *KEYS])

    def curves(self, only: Container[str] | None = None) -> pd.DataFrame:
        """Return one row an evaluation. Columns: RUN_COLUMNS, then those of EvaluationRecord.

        only: the ids of the runs whose curves are wanted; without it all are.
        """
        runs = [run for run in self.runs if only is None or run.summary["run_id"] in only]
        if not runs:
            return pd.DataFrame(columns=[*RUN_COLUMNS, *CURVE_COLUMNS])
        curves = [run.curve for run in runs]
        facts = pd.DataFrame([[run.summary[name] for name in RUN_COLUMNS] for run in runs])
        facts = facts.set_axis(RUN_COLUMNS, axis=1)
        of_rows = np.repeat(np.arange(len(runs)), [len(curve) for curve in curves])
        points = pd.concat(curves, ignore_index=True)[list(CURVE_COLUMNS)]
        return pd.concat([facts.iloc[of_rows].reset_index(drop=True), points], axis=1)


def collect(source: Path) -> Collection:
    """Read all runs below `source`, or those of the export that it is.

    Raises RunFolderError if `source` is no folder, or a damaged export.
    """
    if not source.is_dir():
        raise RunFolderError(
            f"{source}: no such folder; allowed: a folder that titan-run or titan-report export "
            "wrote to"
        )
    if is_export(source):
        return Collection(source, _ordered(read_export(source)), (), ())
    runs: list[RecordedRun] = []
    begun: list[Begun] = []
    damaged = []
    for path in run_paths(source):
        try:
            if (path / "summary.json").exists():
                runs.append(read_folder(path))
            else:
                begun += _begun(path)
        except FileNotFoundError:
            continue  # removed since it was found
        except RunFolderError as error:
            damaged.append(str(error))
    return Collection(source, _ordered(runs), tuple(begun), tuple(damaged))


def _begun(path: Path) -> list[Begun]:
    """Return the run without a summary in a folder; none if it is only just being made."""
    folder = RunFolder(path)
    rounds = folder.rounds_on_disk()
    if rounds == 0 and not (path / "config.yaml").exists():
        return []
    return [Begun(path, rounds, folder.config())]


def further(run: RecordedRun) -> tuple[int, bool, bool]:
    """Return what orders the states of one run.

    In this order: rounds until its last result, if it ended, if it is kept what it trained.
    """
    ended, milestones = is_final(run.summary), run.summary["milestones"]
    last = milestones[-1]["rounds"] if milestones else 0
    return run.summary["rounds_done"] if ended else last, ended, run.has_picks()


def furthest(runs: list[RecordedRun]) -> dict[str, RecordedRun]:
    """Return the runs by id; of those that are there twice the one that went further."""
    found: dict[str, RecordedRun] = {}
    for run in runs:
        known = found.get(run.summary["run_id"])
        if known is None or further(run) > further(known):
            found[run.summary["run_id"]] = run
    return found


def run_paths(source: Path) -> Iterator[Path]:
    """Yield all run folders below `source`, in the order of their paths."""
    found = set()
    for folder, below, files in os.walk(source):
        below[:] = [name for name in below if not name.startswith(".")]
        if {"summary.json", "evaluations.csv"} & set(files):  # others measure costs
            found.add(Path(folder))
            below.clear()
    yield from sorted(found)


def _ordered(runs: list[RecordedRun]) -> tuple[RecordedRun, ...]:
    def place(run: RecordedRun) -> tuple[str, ...]:
        return tuple(run.summary[key] for key in ("task", "model", "selector", "run_id"))

    return tuple(sorted(furthest(runs).values(), key=place))


def _config_columns(config: Mapping[str, Any]) -> dict[str, Any]:
    return {f"config.{key}": value for key, value in _flat(config)}


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) for every value that is not itself a mapping."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", tuple(value) if isinstance(value, list) else value
