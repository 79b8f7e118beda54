"""A run's folder, `<runs>/<task>/<model>/<selector>/<id>/`, and how it is read.

    config.yaml        the whole configuration
    provenance.json    commit, versions, machine, data and command of every start
    evaluations.csv    the curves
    rounds.parquet     one row a round             (a finished or diverged run)
    checkpoint.pt      what the run goes on from   (absent if diverged or pruned)
    summary.json       the result, with a checksum of each of the first four
    rounds/, .lock                                 (a run that is not done, or running)

A run is a line and its number of rounds a point on it: a finished run that is asked for more rounds
goes on from its checkpoint and ends with the files of an uninterrupted run of that length. While
it does, summary.json says `interrupted`; what it measured on the way stays under `milestones`.

An executor uses it like this; a process that is killed anywhere in here, started again, ends with
the same files (but for measured times):

    folder = RunFolder(runs / "cifar10" / "mobilenet" / "titan" / run_id(identity))
    if summary := folder.completed(rounds):          # before any data is loaded
        return summary
    with folder.claim() as run, interruption() as stop:
        if summary := folder.completed(rounds):      # another process was faster
            return summary
        data = {"source": task.source, "fingerprint": task.fingerprint}
        checkpoint = run.start(config_yaml, provenance(sys.argv, data))
        if checkpoint:
            restore(checkpoint.state)
        while run.next_round < rounds:
            run.append(RoundRecord(round=run.next_round, ...))
            if due: run.evaluation(EvaluationRecord(round=run.next_round, ...))
            if stop.requested:
                return run.interrupt(state(), {"status": "interrupted", ...})
            if due: run.save_checkpoint(state())
        return run.finish({"status": "finished", ...})
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import yaml

from titan_repro.errors import RunFolderError
from titan_repro.files import remove_partials
from titan_repro.records.results import (
    CURVE_COLUMNS,
    CURVE_DTYPES,
    OlderFormatError,
    check_summary,
    covers,
    is_final,
)
from titan_repro.records.rounds import SCHEMA, count_rows, find_parts, first_round, read_rows
from titan_repro.records.storage import (
    damaged,
    exclusive,
    older,
    read_json,
    sha256_of,
    unreadable,
    writing,
)
from titan_repro.records.writer import RunWriter


class RunFolder:
    """Reads one run's folder; `claim` gives the one process that may write it a RunWriter.

    Every method raises RunFolderError, naming the file, where one is damaged or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def summary(self) -> dict[str, Any] | None:
        """Return the summary of a run that finished, diverged or was interrupted, else None."""
        path = self.path / "summary.json"
        content = read_json(path)
        try:
            return None if content is None else check_summary(content)
        except OlderFormatError as error:
            raise older(path, error) from error
        except ValueError as error:
            raise damaged(path, error) from error

    def completed(self, rounds: int) -> dict[str, Any] | None:
        """Return the summary if nothing is left to run for `rounds` rounds, else None.

        The files of a run that has ended are held against their checksums, also if it is to go on:
        what has changed must not become part of a longer run. What a process that was killed while
        finishing left behind is removed, if that is possible.
        """
        self.verify()
        summary = self.summary()
        if not covers(summary, rounds):
            return None
        if is_final(summary) and self._leftovers():
            with suppress(RunFolderError), self.claim():  # claiming tidies; the result is whole
                pass
        return summary

    def verify(self) -> None:
        """Hold the files of a run that has ended against the checksums in its summary.

        Raises RunFolderError naming, in one line, all that are missing or have changed.
        """
        summary = self.summary()
        if not is_final(summary):
            return
        assert summary is not None
        try:
            checksums = dict(summary["files"])
        except (KeyError, TypeError, ValueError) as error:
            raise damaged(self.path / "summary.json", "no checksums") from error
        found = {name: self._state_of(name, checksum) for name, checksum in checksums.items()}
        wrong = [f"{name} {state}" for name, state in found.items() if state is not None]
        if wrong:
            raise damaged(self.path, ", ".join(wrong))

    def _state_of(self, name: str, checksum: str) -> str | None:
        """Say what is wrong with a file; None if nothing is."""
        path = self.path / name
        if not path.exists():
            return "is missing"
        return None if sha256_of(path) == checksum else "is not as it was when the run ended"

    @contextmanager
    def claim(self) -> Iterator[RunWriter]:
        """Hold the folder for writing, creating it if need be, while the block runs.

        Raises RunFolderError at once, naming the process, if another one holds it.
        """
        with exclusive(self.path):
            with writing(self.path):
                remove_partials(self.path)
            writer = RunWriter(self.path)
            if is_final(summary := self.summary()):
                writer.remove_leftovers()
                if summary is not None and summary["status"] == "diverged":
                    writer.remove_checkpoint()
            yield writer

    def config(self) -> dict[str, Any]:
        """Return the run's configuration, with lists and numbers as YAML has them."""
        path = self.path / "config.yaml"
        try:
            content = yaml.safe_load(path.read_bytes())
        except OSError as error:
            raise unreadable(path, error) from error
        except yaml.YAMLError as error:
            raise damaged(path, error) from error
        if not isinstance(content, dict):
            raise damaged(path, f"a {type(content).__name__} where a mapping belongs")
        return content

    def rounds_on_disk(self) -> int:
        """Return the number of rounds that `rounds` has, from the files' footers."""
        return sum(count_rows(path) for path in self._parts())

    def provenance(self) -> dict[str, Any] | None:
        """Return what the first start wrote, those that went on from it under "resumed"."""
        return read_json(self.path / "provenance.json")

    def rounds(self) -> pd.DataFrame:
        """Return one row a round with the columns of SCHEMA, as far as they are on the disk."""
        failure = None
        try:
            table = self._read_parts()
        except RunFolderError as error:
            failure = error
        if is_final(self.summary()):  # asked last: only then does a finishing run remove parts
            table = read_rows(self.path / "rounds.parquet")
        elif failure is not None:
            raise failure
        frame: pd.DataFrame = table.to_pandas()
        return frame

    def evaluations(self) -> pd.DataFrame:
        """Return one row an evaluation with the columns of EvaluationRecord."""
        path = self.path / "evaluations.csv"
        try:
            table = pd.read_csv(path, dtype=CURVE_DTYPES)
        except OSError as error:
            raise unreadable(path, error) from error
        except ValueError as error:
            raise damaged(path, error) from error
        if tuple(table.columns) != CURVE_COLUMNS:
            raise damaged(path, f"columns {list(table.columns)}")
        return table

    def _parts(self) -> list[Path]:
        parts = find_parts(self.path / "rounds")
        merged = self.path / "rounds.parquet"
        if merged.exists() and not any(first_round(part) == 0 for part in parts):
            parts = [merged, *parts]  # killed at the moment when it began to be extended
        return parts

    def _read_parts(self) -> pa.Table:
        tables = [read_rows(part) for part in self._parts()]
        return pa.concat_tables([SCHEMA.empty_table(), *tables])

    def _leftovers(self) -> bool:
        return any((self.path / name).exists() for name in ("rounds", ".lock"))
