"""`titan-report runs`, `prune` and `export`: the runs themselves rather than what they say."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from titan_repro.analysis.load import LeftOut

COLUMNS = (
    *("task", "model", "selector", "seed", "rounds", "status", "accuracy"),
    *("processor", "run", "folder"),
)
"""Those of `analysis.listing`, which takes a second to import."""
FILTERS = ("task", "model", "selector", "status")


def add_commands(commands: Any) -> None:
    """Add the three commands to the parser of titan-report."""
    listing = commands.add_parser("runs", help="list the runs under RUNS and how far they are")
    listing.add_argument("runs", type=Path, metavar="RUNS", help="folder of run folders, or export")
    for name in FILTERS:
        listing.add_argument(f"--{name}", metavar="NAME", help=f"only runs of this {name}")
    listing.add_argument(
        "--sort", choices=COLUMNS, metavar="KEY", help=f"one of {', '.join(COLUMNS)}"
    )
    listing.set_defaults(call=_list)
    prune = commands.add_parser(
        "prune", help="remove the last checkpoints of finished runs, which extending them needs"
    )
    prune.add_argument("runs", type=Path, metavar="RUNS", help="folder of run folders")
    prune.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    prune.set_defaults(call=_prune)
    export = commands.add_parser(
        "export",
        help="write all runs and measurements under RUNS as a few files that every report reads",
    )
    export.add_argument("runs", type=Path, metavar="RUNS", help="folder of run folders, or export")
    export.add_argument("folder", type=Path, metavar="DEST", help="new folder, or an export")
    export.set_defaults(call=_export)


def _list(options: argparse.Namespace) -> None:
    from titan_repro.analysis.listing import listed
    from titan_repro.figures.table import Table

    wanted = {name: getattr(options, name) for name in FILTERS if getattr(options, name)}
    found = listed(options.runs, wanted, options.sort)
    for line in found.damaged:
        _warn(f"left out: {line}")
    cells = [[str(value) for value in row] for row in found.table.itertuples(index=False)]
    print(Table(f"{len(cells)} runs below {options.runs}", list(COLUMNS), cells).markdown())


def _prune(options: argparse.Namespace) -> None:
    from titan_repro.records.prune import prune

    pruned = prune(options.runs, dry_run=options.dry_run)
    for line in pruned.refused:
        _warn(f"left alone: {line}")
    verb = "would remove" if options.dry_run else "removed"
    print(
        f"{verb} {pruned.checkpoints} checkpoints, {pruned.megabytes:.1f} MB; the runs stay "
        "readable, but cannot be extended"
    )


def _export(options: argparse.Namespace) -> None:
    from titan_repro.analysis.export import export_runs

    exported = export_runs(options.runs, options.folder)
    for line in exported.damaged:
        _warn(f"left out: {line}")
    if exported.left_out:
        _warn(f"left out, not measured yet: {_names(exported.left_out)}")
    older = f", {exported.kept} of them as they were" if exported.kept else ""
    more = f", {exported.measurements} measurements" if exported.measurements else ""
    print(f"{options.folder}: {exported.runs} runs{older}{more}, {exported.megabytes:.2f} MB")


def _names(left_out: "Sequence[LeftOut]") -> str:
    return ", ".join(f"{run.where} ({run.rounds:,} rounds)" for run in left_out)


def _warn(text: str) -> None:
    print(f"titan-report: {text}", file=sys.stderr)
