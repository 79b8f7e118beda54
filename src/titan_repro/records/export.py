"""An export: many runs as a few Parquet files that every report reads as it reads run folders.

Its bytes follow from the runs alone: not from where their folders are, nor when it was made.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from titan_repro.errors import RunFolderError
from titan_repro.files import write_atomically
from titan_repro.records.blocks import Kept, unfold
from titan_repro.records.export_schema import (
    BLOCKS,
    CURVES,
    LATER_COLUMNS,
    LATER_FILES,
    NEVER_NULL,
    PARTS,
    PICKS,
    RUNS,
    SIZES,
    SUMMARY,
    readme,
    schema,
)
from titan_repro.records.provenance import without_commands
from titan_repro.records.recorded import RecordedRun
from titan_repro.records.results import CURVE_COLUMNS, CURVE_DTYPES, is_final
from titan_repro.records.storage import reason, sha256_of, unreadable, writing

FORMAT = "titan-repro export 1"
_FORMAT_KEY = b"titan_repro.format"
_CHECKSUMS_KEY = b"titan_repro.files"

OF_THE_END = (
    "random_rounds",
    "final_accuracy",
    "final_loss",
    "final_samples",
    "measured_processor_seconds",
    "measured_joules",
    "modelled_seconds",
    "modelled_seconds_per_round",
    "modelled_joules",
    "modelled_joules_per_round",
    "finished_at",
)
"""Keys of a summary that say something of the rounds that it has, and of no fewer."""


def is_export(folder: Path) -> bool:
    """Return whether a folder is an export rather than one of run folders."""
    return (folder / RUNS).is_file()


def read_export(folder: Path) -> list[RecordedRun]:
    """Return the runs of an export, by id. One that is read again as it was is not read again.

    Raises RunFolderError, naming them in one line, if files are missing or have changed.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file())
    states = [(path.name, path.stat()) for path in files]
    return list(_read_export(folder, *((n, at.st_mtime_ns, at.st_size) for n, at in states)))


@lru_cache(maxsize=1)  # every figure of a place reads it
def _read_export(folder: Path, *_written: tuple[str, int, int]) -> tuple[RecordedRun, ...]:
    runs, metadata = _read(folder / RUNS)
    found = metadata.get(_FORMAT_KEY, b"another file").decode()
    if found != FORMAT:
        raise RunFolderError(f"{folder / RUNS}: found {found}; allowed: {FORMAT}")
    _check_columns(folder / RUNS, runs)
    checksums = _json_object(folder / RUNS, "checksums", metadata.get(_CHECKSUMS_KEY))
    wrong = [text for name, one in checksums.items() if (text := _state_of(folder / name, one))]
    if wrong:
        raise _damaged(folder, ", ".join(wrong))
    parts = {name: _Rows(_part(folder, name, name in checksums)) for name in PARTS}
    return tuple(ExportedRun(folder, row, parts) for row in runs.to_pylist())


def exported_result(folder: Path, run_id: str, rounds: int) -> dict[str, Any] | None:
    """Return the summary of a run whose result after so many rounds an export has, else None.

    A folder that is not there has none. Raises RunFolderError for one that is no export or damaged.
    """
    if not folder.is_dir():
        return None
    if not is_export(folder):
        raise RunFolderError(f"{folder}: no export; allowed: what titan-report export wrote")
    path = folder / RUNS
    for row in _exported_rows(path, path.stat().st_mtime_ns):
        if row["run_id"] == run_id:
            summary = _summary(row)
            measured = any(m["rounds"] == rounds for m in summary["milestones"])
            diverged = summary["status"] == "diverged" and summary["rounds_done"] <= rounds
            return summary if measured or diverged else None
    return None


@lru_cache(maxsize=1)
def _exported_rows(path: Path, _written: int) -> list[dict[str, Any]]:
    """Return the rows of runs.parquet; a sweep asks for them once a job."""
    table, _ = _read(path)
    _check_columns(path, table)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


@dataclass(frozen=True)
class Prepared:
    """A run's rows for an export, by file."""

    run_id: str
    row: Mapping[str, Any]
    parts: Mapping[str, pd.DataFrame]


def prepare(run: RecordedRun) -> Prepared:
    """Read all that an export keeps of a run. Raises RunFolderError if its rounds are damaged."""
    summary = at_milestone(run)
    kept = run.kept()
    curve = run.curve[run.curve["round"] <= summary["rounds_done"]]
    parts = {CURVES: curve, BLOCKS: kept.blocks, SIZES: kept.stretches, PICKS: kept.picks}
    return Prepared(summary["run_id"], _row(run, summary, kept.sample_milliseconds), parts)


def write_export(runs: Sequence[Prepared], folder: Path) -> None:
    """Write runs, in any order, each once, as an export.

    Raises RunFolderError if the disk does not take it. runs.parquet comes last and has checksums of
    the others.
    """
    tables = _tables(sorted(runs, key=lambda run: run.run_id))
    checksums = {}
    for name in PARTS:
        _write(folder / name, tables[name])
        checksums[name] = sha256_of(folder / name)
    told = {_FORMAT_KEY: FORMAT.encode(), _CHECKSUMS_KEY: json.dumps(checksums).encode()}
    _write(folder / RUNS, tables[RUNS].replace_schema_metadata(told))
    path = folder / "README.md"
    with writing(path), write_atomically(path) as file:
        file.write(readme().encode())


def at_milestone(run: RecordedRun) -> dict[str, Any]:
    """Return a run's summary; of one that has not ended, as of its last milestone.

    Raises ValueError if it has neither ended nor a milestone.
    """
    summary = dict(run.summary)
    if is_final(summary):
        return summary
    if not summary["milestones"]:
        raise ValueError(f"{run.where} has no milestone")
    last = summary["milestones"][-1]
    return {
        **{key: None if key in OF_THE_END else value for key, value in summary.items()},
        "rounds_done": last["rounds"],
        "weights_sha256": last["weights_sha256"],
        "seconds_per_round": last["train_seconds"] / last["rounds"],
    }


class _Rows:
    """The rows of a table by run."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        ids = table["run_id"].to_pandas().to_numpy(dtype=object)
        names, begins, lengths = np.unique(ids.astype(str), return_index=True, return_counts=True)
        self._places = dict(zip(names, zip(begins, lengths, strict=True), strict=True))

    def of(self, run_id: str) -> pd.DataFrame:
        """Return a run's rows without its id."""
        begin, length = self._places.get(run_id, (0, 0))
        rows: pd.DataFrame = self._table.slice(begin, length).drop_columns(["run_id"]).to_pandas()
        return rows


class ExportedRun:
    """A run in an export: see RecordedRun."""

    def __init__(self, folder: Path, row: Mapping[str, Any], parts: Mapping[str, _Rows]) -> None:
        self._row = row
        self._parts = parts
        self._id = str(row["run_id"])
        self.where = f"{folder}: {self._id}"
        for name in ("choices", "files", "federation"):
            if row.get(name) is not None:
                _json_object(folder / RUNS, name, row[name])
        self.summary: Mapping[str, Any] = _summary(row)
        self.config: Mapping[str, Any] = _json_object(folder / RUNS, "config", row["config"])
        self.provenance: Mapping[str, Any] = _json_object(
            folder / RUNS, "provenance", row["provenance"]
        )

    @cached_property
    def curve(self) -> pd.DataFrame:
        """One row an evaluation with the columns of EvaluationRecord."""
        rows = self._parts[CURVES].of(self._id)
        return rows[list(CURVE_COLUMNS)].astype(CURVE_DTYPES)

    def sizes(self, rounds: int) -> pd.DataFrame:
        """Return `round` and blocks.SIZES of the first `rounds` rounds, one row a round."""
        return unfold(self._parts[SIZES].of(self._id)).iloc[:rounds]

    def kept(self) -> Kept:
        """Return what the export keeps of the rounds."""
        rows = {name: part.of(self._id) for name, part in self._parts.items()}
        return Kept(rows[BLOCKS], rows[SIZES], rows[PICKS], self.sample_milliseconds())

    def has_picks(self) -> bool:
        """Return whether `kept` says which samples were trained."""
        return len(self._parts[PICKS].of(self._id)) > 0

    def sample_milliseconds(self) -> float:
        """Return the median over rounds of what looking at a sample took, NaN if none was."""
        found = self._row["sample_milliseconds"]
        return math.nan if found is None else float(found)


def _tables(runs: Sequence[Prepared]) -> dict[str, pa.Table]:
    tables = {RUNS: pa.Table.from_pylist([run.row for run in runs], schema=schema(RUNS))}
    for name in PARTS:
        empty = schema(name).empty_table().to_pandas()
        frames = [run.parts[name].assign(run_id=run.run_id) for run in runs]
        whole = pd.concat(frames, ignore_index=True) if frames else empty
        table = pa.Table.from_pandas(
            whole[schema(name).names], schema=schema(name), preserve_index=False
        )
        tables[name] = table.replace_schema_metadata(None)
    return tables


def _row(run: RecordedRun, summary: Mapping[str, Any], milliseconds: float) -> dict[str, Any]:
    code = run.provenance.get("code", {})
    kept = {
        column.name: json.dumps(summary[column.name]) if column.as_json else summary[column.name]
        for column in SUMMARY
        if column.name in summary
    }
    return {
        **kept,
        "config": json.dumps(run.config),
        "commit": code.get("commit"),
        "dirty": code.get("dirty"),
        "provenance": json.dumps(without_commands(run.provenance)),
        "sample_milliseconds": None if math.isnan(milliseconds) else milliseconds,
    }


def _summary(row: Mapping[str, Any]) -> dict[str, Any]:
    """Give back what was in summary.json; without the keys that it may go without."""
    summary = {}
    for column in SUMMARY:
        value = row.get(column.name)  # an older export lacks newer columns
        if column.as_json:
            if value is not None:
                summary[column.name] = json.loads(value)
        elif value is not None or not column.name.startswith("modelled_"):
            summary[column.name] = value
    return summary


def _write(path: Path, table: pa.Table) -> None:
    with writing(path), write_atomically(path) as file:
        pq.write_table(
            table,
            file,
            compression="zstd",
            compression_level=9,
            row_group_size=1 << 20,
            write_page_checksum=True,
        )


def _read(path: Path) -> tuple[pa.Table, Mapping[bytes, bytes]]:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read(use_threads=False), file.metadata.metadata or {}
    except pa.ArrowException as error:
        raise _damaged(path, reason(error)) from error
    except OSError as error:
        known = error.errno is not None
        raise (unreadable(path, error) if known else _damaged(path, reason(error))) from error


def _part(folder: Path, name: str, there: bool) -> pa.Table:
    """Return a file with several rows a run; columns and files that older exports lack are empty.

    there: whether the export has the file. Raises RunFolderError for other columns that it lacks.
    """
    if not there:
        if name not in LATER_FILES:
            raise _damaged(folder / name, "without a checksum")
        return schema(name).empty_table()
    table, _ = _read(folder / name)
    _check_columns(folder / name, table)
    for place, field in enumerate(schema(name)):
        if field.name not in table.column_names:
            table = table.add_column(place, field, pa.nulls(len(table), field.type))
    return table


def _check_columns(path: Path, table: pa.Table) -> None:
    """Raise RunFolderError for columns that are missing, of another type, or empty in places."""
    wanted = schema(path.name)
    for field in wanted:
        if field.name in LATER_COLUMNS and field.name not in table.column_names:
            continue
        if field.name not in table.column_names:
            raise _damaged(path, f"no column {field.name}")
        column = table[field.name]
        if column.type != field.type and not _fits(column, field.type):
            raise _damaged(path, f"column {field.name} has {column.type} for {field.type}")
        if field.name in NEVER_NULL and column.null_count:
            raise _damaged(path, f"column {field.name} has {column.null_count} values too few")


def _fits(column: pa.ChunkedArray, kind: pa.DataType) -> bool:
    """Return whether a column can be had in another type, as an older export's narrower one can."""
    try:
        column.cast(kind)
    except pa.ArrowException:
        return False
    return True


def _json_object(path: Path, name: str, text: str | bytes | None) -> dict[str, Any]:
    """Return an object that is kept as JSON. Raises RunFolderError for anything else."""
    try:
        found = json.loads(text or "")
    except ValueError as error:
        raise _damaged(path, f"{name}: {reason(error)}") from None
    if not isinstance(found, dict):
        raise _damaged(path, f"{name}: a {type(found).__name__} where an object belongs")
    return found


def _state_of(path: Path, checksum: str) -> str | None:
    """Say what is wrong with a file; None if nothing is."""
    if not path.exists():
        return f"{path.name} is missing"
    return None if sha256_of(path) == checksum else f"{path.name} is not as it was written"


def _damaged(path: Path, found: str) -> RunFolderError:
    return RunFolderError(f"{path}: damaged ({found}); export the runs again, into a new folder")
