"""Removing what only extending a run needs: its last checkpoint."""

from dataclasses import dataclass
from pathlib import Path

from titan_repro.errors import RunFolderError
from titan_repro.records.collect import run_paths
from titan_repro.records.folder import RunFolder
from titan_repro.records.results import is_final


@dataclass(frozen=True)
class Pruned:
    """How many checkpoints, and their size. refused: a line for each run that was left alone."""

    checkpoints: int
    megabytes: float
    refused: tuple[str, ...]


def prune(runs: Path, *, dry_run: bool = False) -> Pruned:
    """Remove the checkpoints of all runs below `runs` that have ended and are whole.

    dry_run: only count. Unfinished runs keep theirs; runs in use or damaged are left alone and
    named. Raises RunFolderError if `runs` is no folder.
    """
    if not runs.is_dir():
        raise RunFolderError(f"{runs}: no such folder; allowed: a folder that titan-run wrote to")
    sizes, refused = [], []
    for path in run_paths(runs):
        try:
            size = _prune(RunFolder(path), dry_run=dry_run)
        except RunFolderError as error:
            refused.append(str(error))
        else:
            sizes += [] if size is None else [size]
    return Pruned(len(sizes), sum(sizes) / 1e6, tuple(refused))


def _prune(folder: RunFolder, *, dry_run: bool) -> int | None:
    """Remove one run's checkpoint; return its size in bytes, None if there was none to remove."""
    checkpoint = folder.path / "checkpoint.pt"
    if not is_final(folder.summary()) or not checkpoint.exists():
        return None
    folder.verify()
    size = checkpoint.stat().st_size
    if not dry_run:
        with folder.claim() as writer:
            if not is_final(folder.summary()):  # another process began to extend it
                return None
            writer.remove_checkpoint()
    return size
