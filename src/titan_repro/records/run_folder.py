"""A run's folder, `<runs>/<task>/<model>/<selector>/<id>/`, as everybody may read it.

    config.yaml        the whole configuration
    provenance.json    commit, versions, machine, data and command of every start
    evaluations.csv    the curves
    rounds.parquet     one row a round             (a finished or diverged run)
    summary.json       the result; its presence ends the run, unless its status is `interrupted`
    rounds/, checkpoint.pt, .lock                  (a run that is not done, or running)

An executor uses it like this; a process that is killed anywhere in here, started again, ends with
the same files (but for measured times):

    folder = RunFolder(runs / "cifar10" / "mobilenet" / "titan" / run_id(identity))
    if summary := folder.completed():          # before any data is loaded
        return summary
    with folder.claim() as run, interruption() as stop:
        if summary := folder.completed():      # another process was faster
            return summary
        data = {"source": task.source, "fingerprint": task.fingerprint}
        checkpoint = run.start(config_yaml, provenance(sys.argv, data))
        if checkpoint:
            restore(checkpoint.state)
        while run.next_round < rounds:
            run.append(RoundRecord(round=run.next_round, ...))
            if due: run.evaluation(Evaluation(round=run.next_round, ...))
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

from titan_repro.errors import RunFolderError
from titan_repro.files import remove_partials
from titan_repro.records import round_parts
from titan_repro.records.evaluations import COLUMNS, DTYPES
from titan_repro.records.lock import exclusive
from titan_repro.records.round_record import SCHEMA
from titan_repro.records.run_writer import RunWriter
from titan_repro.records.storage import damaged, read_json, unreadable, writing
from titan_repro.records.summary import check_summary, is_final


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
        except ValueError as error:
            raise damaged(path, error) from error

    def completed(self) -> dict[str, Any] | None:
        """Return the summary if nothing is left to run, else None.

        What a process that was killed while finishing left behind is removed, if that is possible.
        """
        summary = self.summary()
        if not is_final(summary):
            return None
        if self._leftovers():
            with suppress(RunFolderError), self.claim():  # claiming tidies; the result is whole
                pass
        return summary

    @contextmanager
    def claim(self) -> Iterator[RunWriter]:
        """Hold the folder for writing, creating it if need be, while the block runs.

        Raises RunFolderError at once, naming the process, if another one holds it.
        """
        with exclusive(self.path):
            with writing(self.path):
                remove_partials(self.path)
            writer = RunWriter(self.path)
            if is_final(self.summary()):
                writer.remove_leftovers()
            yield writer

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
            table = round_parts.read_rows(self.path / "rounds.parquet")
        elif failure is not None:
            raise failure
        frame: pd.DataFrame = table.to_pandas()
        return frame

    def evaluations(self) -> pd.DataFrame:
        """Return one row an evaluation with the columns of Evaluation."""
        path = self.path / "evaluations.csv"
        try:
            table = pd.read_csv(path, dtype=DTYPES)
        except OSError as error:
            raise unreadable(path, error) from error
        except ValueError as error:
            raise damaged(path, error) from error
        if tuple(table.columns) != COLUMNS:
            raise damaged(path, f"columns {list(table.columns)}")
        return table

    def _read_parts(self) -> pa.Table:
        parts = round_parts.find_parts(self.path / "rounds")
        tables = [round_parts.read_rows(part) for part in parts]
        return pa.concat_tables([SCHEMA.empty_table(), *tables])

    def _leftovers(self) -> bool:
        return any((self.path / name).exists() for name in ("checkpoint.pt", "rounds", ".lock"))
