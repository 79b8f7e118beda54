"""The writing side of a run's folder: what one process may do there while it holds the claim.

Two renames decide everything. Rounds and evaluations count once a checkpoint that was written
after them is in place; what is younger is forgotten on the next start and computed again. The run
has ended once summary.json is in place; before that, finishing again gives the same files. It is
extended by taking that back: summary.json says `interrupted` before any other file changes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from titan_repro.errors import RunFolderError
from titan_repro.files import write_atomically
from titan_repro.records import checkpoint as checkpoints
from titan_repro.records.checkpoint import Checkpoint
from titan_repro.records.results import (
    FINAL,
    EvaluationLog,
    EvaluationRecord,
    check_summary,
    is_final,
)
from titan_repro.records.rounds import RoundParts, RoundRecord
from titan_repro.records.storage import damaged, read_json, sha256_of, write_json, writing

CHECKED = ("config.yaml", "provenance.json", "evaluations.csv", "rounds.parquet")
"""Files that summary.json has checksums of."""


class RunWriter:
    """Writes one run. Comes from `RunFolder.claim`; `start` comes before anything else.

    Every method raises RunFolderError, naming the file, if the disk does not take what it writes;
    the last checkpoint is then as good as before. Memory does not grow with the rounds.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._checkpoint = path / "checkpoint.pt"
        self._summary = path / "summary.json"
        self._rounds = RoundParts(path / "rounds")
        self._evaluations = EvaluationLog(path / "evaluations.csv")

    @property
    def next_round(self) -> int:
        """The round whose record comes next."""
        return self._rounds.next_round

    def start(self, config: str, provenance: Mapping[str, Any]) -> Checkpoint | None:
        """Return the checkpoint to go on from, or None to begin at round 0.

        config: the configuration as YAML. provenance: see `provenance.provenance`.
        Rounds and evaluations after the checkpoint are forgotten. A run that has ended goes on from
        its end: ask `RunFolder.completed` first. Raises RunFolderError if the checkpoint is
        damaged or was pruned, rounds before it are missing or it belongs to other data, and
        RuntimeError if the run has diverged.
        """
        checkpoint = checkpoints.load(self._checkpoint)
        self._reopen(checkpoint)
        if checkpoint is None:
            self._rounds.cut(0)
            self._evaluations.cut(0)
            self._write_text("config.yaml", config)
            write_json(self._path / "provenance.json", {**provenance, "resumed": []})
            return None
        self._note_resumption({**provenance, "next_round": checkpoint.next_round})
        self._write_text("config.yaml", config)
        self._rounds.adopt(self._path / "rounds.parquet")
        self._rounds.cut(checkpoint.next_round)
        self._evaluations.cut(checkpoint.evaluation_bytes)
        return checkpoint

    def append(self, record: RoundRecord) -> None:
        """Take the record of the next round. Raises ValueError for any other round's."""
        self._rounds.append(record)

    def evaluation(self, evaluation: EvaluationRecord) -> None:
        """Add a point to the run's curves."""
        self._evaluations.append(evaluation)

    def flush(self) -> None:
        """Put all rounds on the disk. They count once a checkpoint is written after them."""
        self._rounds.flush()

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Make everything so far permanent; `state` is what the run goes on from.

        state: tensors, numbers and text in dictionaries and lists; TypeError for anything else.
        """
        self._rounds.flush()
        length = self._evaluations.sync()
        checkpoints.save(self._checkpoint, Checkpoint(dict(state), self.next_round, length))

    def interrupt(self, state: Mapping[str, Any], summary: Mapping[str, Any]) -> dict[str, Any]:
        """Save a checkpoint and the summary of a run that goes on later; return the summary."""
        content = check_summary(summary, ("interrupted",))
        self.save_checkpoint(state)
        write_json(self._summary, content)
        return content

    def finish(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """End the run: one file of rounds, and the summary with checksums; return the summary.

        The last checkpoint stays, for the run may be extended, unless the run has diverged.
        Raises ValueError if the summary lacks one of results.KEYS or holds NaN.
        """
        content = check_summary(summary, FINAL)
        self._rounds.flush()
        self._rounds.merge(self._path / "rounds.parquet")
        self._evaluations.sync()
        content["files"] = {name: sha256_of(self._path / name) for name in CHECKED}
        write_json(self._summary, content)
        self.remove_leftovers()
        if content["status"] == "diverged":
            self.remove_checkpoint()
        return content

    def remove_leftovers(self) -> None:
        """Remove the parts of rounds.parquet."""
        self._rounds.remove()

    def remove_checkpoint(self) -> None:
        """Remove what the run would go on from."""
        with writing(self._checkpoint):
            self._checkpoint.unlink(missing_ok=True)

    def _reopen(self, checkpoint: Checkpoint | None) -> None:
        """Take back the end of a run that has ended."""
        summary = read_json(self._summary)
        if not is_final(summary):
            return
        assert summary is not None
        if summary["status"] == "diverged":
            raise RuntimeError(f"{self._path} holds a run that has diverged")
        if checkpoint is None:
            raise RunFolderError(
                f"{self._path}: ended after {summary['rounds_done']} rounds and its last "
                "checkpoint was pruned, so it cannot be extended; allowed: at most so many rounds, "
                "or delete the run folder to start again"
            )
        unended = {key: value for key, value in summary.items() if key != "files"}
        end = dict.fromkeys(("final_accuracy", "final_loss", "final_samples"))
        write_json(self._summary, {**unended, **end, "status": "interrupted"})

    def _note_resumption(self, provenance: Mapping[str, Any]) -> None:
        path = self._path / "provenance.json"
        first = read_json(path) or {}
        now = provenance["data"]["fingerprint"]
        try:
            before, resumed = first["data"]["fingerprint"], first["resumed"]
        except (KeyError, TypeError) as error:
            raise damaged(path, "the run's first start is not in it") from error
        if before != now:
            raise RunFolderError(
                f"{self._path}: belongs to other data (fingerprint {before}, found {now}); "
                "bring back the data it was started with or delete the run folder"
            )
        write_json(path, {**first, "resumed": [*resumed, dict(provenance)]})

    def _write_text(self, name: str, text: str) -> None:
        path = self._path / name
        with writing(path), write_atomically(path) as file:
            file.write(text.encode())
