"""A run as reports read it, wherever it is kept: in its folder or in an export."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from titan_repro.errors import RunFolderError
from titan_repro.records.blocks import SIZES, Kept, blocks, fold, sample_milliseconds
from titan_repro.records.folder import RunFolder
from titan_repro.records.moved import current
from titan_repro.records.picks import picks
from titan_repro.records.results import is_final
from titan_repro.records.storage import damaged
from titan_repro.records.training_set import class_sizes

_ELSEWHERE = ("paths", "hydra")
"""Parts of a configuration that cannot change a result."""


class RecordedRun(Protocol):
    """One run that has a summary; nothing of it changes while it is held."""

    @property
    def where(self) -> str:
        """Where it is kept, for messages."""
        ...

    @property
    def summary(self) -> Mapping[str, Any]:
        """Contents of summary.json."""
        ...

    @property
    def config(self) -> Mapping[str, Any]:
        """Contents of config.yaml without paths, `_target_`s where they are now."""
        ...

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Contents of provenance.json, as far as they are kept."""
        ...

    @property
    def curve(self) -> pd.DataFrame:
        """One row an evaluation with the columns of EvaluationRecord."""
        ...

    def sizes(self, rounds: int) -> pd.DataFrame:
        """Return `round` and blocks.SIZES of the first `rounds` rounds, one row a round."""
        ...

    def kept(self) -> Kept:
        """Return what an export keeps of the rounds.

        Those are all rounds of a run that has ended, else those up to its last milestone.
        """
        ...

    def has_picks(self) -> bool:
        """Return whether `kept` says which samples were trained."""
        ...

    def sample_milliseconds(self) -> float:
        """Return `blocks.sample_milliseconds` of the rounds that an export keeps."""
        ...


class FolderRun:
    """A run in its folder. Read when it is made, except for its rounds.

    Raises RunFolderError, also later, naming what is damaged or missing; FileNotFoundError if the
    folder has no summary.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.where = str(path)
        self._folder = RunFolder(path)
        summary = self._folder.summary()
        if summary is None:
            raise FileNotFoundError(path / "summary.json")
        self._folder.verify()
        self.summary = summary
        content = self._folder.config()
        self.config = current({k: value for k, value in content.items() if k not in _ELSEWHERE})
        self.provenance = self._folder.provenance() or {}
        self.curve = self._folder.evaluations()

    def sizes(self, rounds: int) -> pd.DataFrame:
        """Return `round` and blocks.SIZES of the first `rounds` rounds, one row a round."""
        return self._rounds()[["round", *SIZES]].iloc[:rounds]

    def kept(self) -> Kept:
        """Return what an export keeps of the rounds."""
        milestones = [milestone["rounds"] for milestone in self.summary["milestones"]]
        ended = is_final(self.summary)
        rounds = self._rounds() if ended else self._rounds().iloc[: max(milestones, default=0)]
        classes = int(self.config["task"]["num_classes"])
        sizes = class_sizes(self.provenance)
        until = sorted({*milestones, *([len(rounds)] if ended else [])}) if sizes else []
        return Kept(
            blocks(rounds, classes),
            fold(rounds),
            picks(rounds, until, sum(sizes or ())),
            sample_milliseconds(rounds),
        )

    def has_picks(self) -> bool:
        """Return whether `kept` says which samples were trained."""
        return class_sizes(self.provenance) is not None

    def sample_milliseconds(self) -> float:
        """Return the median over rounds of what looking at a sample took, NaN if none was."""
        return self.kept().sample_milliseconds

    def _rounds(self) -> pd.DataFrame:
        rounds = self._folder.rounds()
        if len(rounds) < self.summary["rounds_done"]:
            raise damaged(self.path / "rounds", f"round {len(rounds)} is missing")
        return rounds


def read_folder(path: Path) -> FolderRun:
    """Read a run folder, again if another process changed its state meanwhile."""
    before = RunFolder(path).summary()
    try:
        return FolderRun(path)
    except RunFolderError:
        if not is_final(before) or RunFolder(path).summary() == before:
            raise
        return FolderRun(path)
