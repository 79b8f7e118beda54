"""`titan-report export`: what of the runs in one place goes into an export, and what stays."""

from dataclasses import dataclass
from pathlib import Path

from titan_repro.analysis.load import LeftOut
from titan_repro.errors import RunFolderError
from titan_repro.records.collect import collect, furthest
from titan_repro.records.export import is_export, prepare, read_export, write_export
from titan_repro.records.measured import copy_measurements
from titan_repro.records.recorded import RecordedRun
from titan_repro.records.results import is_final


@dataclass(frozen=True)
class Exported:
    """What an export came to.

    runs: in it. kept: of these, the ones that only it had, or had further. measurements: found.
    left_out: runs that have neither ended nor been measured. damaged: a line for each that cannot
    be read.
    """

    runs: int
    kept: int
    measurements: int
    megabytes: float
    left_out: tuple[LeftOut, ...]
    damaged: tuple[str, ...]


def export_runs(source: Path, folder: Path) -> Exported:
    """Write the runs below `source` that have ended, and others as of their last milestone.

    Measurements are copied. Runs that `folder`, an export, has already stay unless `source` has
    them further, or as far and with what an older export did not keep; measurements likewise.
    Raises RunFolderError if there is nothing to write or `folder` holds something else.
    """
    before = _existing(folder)
    found = collect(source)
    measured, left_out = [], []
    for run in found.runs:
        if is_final(run.summary) or run.summary["milestones"]:
            measured.append(run)
        else:
            left_out.append(LeftOut(run.where, run.summary["rounds_done"], run.summary["status"]))
    left_out += [LeftOut(str(run.path), run.rounds, "not over") for run in found.begun]
    chosen = furthest([*before, *measured])
    known = {run.summary["run_id"]: run for run in before}
    prepared, damaged = [], []
    for name, run in chosen.items():
        try:
            prepared.append(prepare(run))
        except RunFolderError as error:
            damaged.append(str(error))
            if name in known:
                chosen[name] = known[name]
                prepared.append(prepare(known[name]))
    measurements = copy_measurements(source, folder)
    if not (prepared and measured) and not measurements:
        told = "; ".join([*found.damaged, *damaged]) or "titan-run with paths.runs makes them"
        raise RunFolderError(f"{source}: found no runs to export; {told}")
    write_export(prepared, folder)
    return Exported(
        runs=len(prepared),
        measurements=measurements,
        kept=sum(chosen[name] is run for name, run in known.items()),
        megabytes=sum(path.stat().st_size for path in folder.glob("*.parquet")) / 1e6,
        left_out=tuple(left_out),
        damaged=(*found.damaged, *damaged),
    )


def _existing(folder: Path) -> list[RecordedRun]:
    """Return the runs of the export that is to be extended."""
    if is_export(folder):
        return read_export(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunFolderError(
            f"{folder}: holds something else; allowed: a new or empty folder, or an export"
        )
    return []
