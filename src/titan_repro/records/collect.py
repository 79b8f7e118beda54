"""Many run folders as one table, for reports."""

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import yaml

from titan_repro.errors import RunFolderError
from titan_repro.records.evaluations import COLUMNS
from titan_repro.records.run_folder import RunFolder
from titan_repro.records.storage import damaged, unreadable
from titan_repro.records.summary import KEYS

log = logging.getLogger(__name__)

RUN_COLUMNS = ("run_id", "task", "model", "selector", "seed")
"""The columns that say which run a row of `evaluations` belongs to."""

_ELSEWHERE = ("paths", "hydra")
"""Parts of a configuration that cannot change a result."""

Result = TypeVar("Result")


def collect(runs: Path) -> pd.DataFrame:
    """Return one row for every run folder below `runs` that has a summary, whatever its status.

    Columns: `folder` (relative to `runs`), the keys of summary.json, and every value of config.yaml
    under its dotted key behind "config.", such as "config.filter.budget"; lists become tuples.
    Folders that cannot be read are left out and named in one warning. Raises RunFolderError if
    `runs` is no folder.
    """
    rows = [
        {"folder": str(folder.path.relative_to(runs)), **summary, **config}
        for folder, summary, config in _read_all(runs, _config_columns)
    ]
    return pd.DataFrame(rows, columns=None if rows else ["folder", *KEYS])


def evaluations(runs: Path) -> pd.DataFrame:
    """Return the curves of the runs that `collect` lists, one row an evaluation.

    Columns: RUN_COLUMNS, then those of Evaluation. Warns and raises as `collect` does.
    """
    curves = [
        curve.assign(**{name: summary[name] for name in RUN_COLUMNS})
        for _, summary, curve in _read_all(runs, RunFolder.evaluations)
    ]
    columns = [*RUN_COLUMNS, *COLUMNS]
    return (
        pd.concat(curves, ignore_index=True)[columns] if curves else pd.DataFrame(columns=columns)
    )


def _read_all(
    runs: Path, read: Callable[[RunFolder], Result]
) -> Iterator[tuple[RunFolder, dict[str, Any], Result]]:
    """Yield every run folder, its summary and what `read` makes of it, in the order of paths."""
    if not runs.is_dir():
        raise RunFolderError(f"{runs}: no folder of runs; give the folder named by paths.runs")
    failures = []
    for path in sorted(runs.rglob("summary.json")):
        folder = RunFolder(path.parent)
        try:
            summary = folder.summary()
            if summary is None:
                continue  # removed since it was found
            result = read(folder)
        except RunFolderError as error:
            failures.append(str(error))
        else:
            yield folder, summary, result
    if failures:
        log.warning("left out %d run folder(s): %s", len(failures), "; ".join(failures))


def _config_columns(folder: RunFolder) -> dict[str, Any]:
    """Return config.yaml, flattened to columns."""
    path = folder.path / "config.yaml"
    try:
        content = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise unreadable(path, error) from error
    except yaml.YAMLError as error:
        raise damaged(path, error) from error
    if not isinstance(content, dict):
        raise damaged(path, f"a {type(content).__name__} where a mapping belongs")
    decisive = {key: value for key, value in content.items() if key not in _ELSEWHERE}
    return {f"config.{key}": value for key, value in _flat(decisive)}


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) for every value that is not itself a mapping."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", tuple(value) if isinstance(value, list) else value
