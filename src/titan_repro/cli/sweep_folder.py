"""What a sweep and its jobs tell each other: one small file a job, and one that says stop.

Jobs run in this process or in a launcher's workers; files reach both, and a kill -9 of either
leaves nothing that matters: the folder is new for every sweep and removed at its end.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

STOPPED = "stopped"
"""Reason of a job that ended because it was asked to."""


@dataclass(frozen=True)
class JobState:
    """How far a job of a sweep is.

    process: id of the process that runs it.
    rounds_done: rounds of its run, those of earlier commands included.
    ended: whether nothing more will come of it.
    status: once ended, the exit status that a command of its own would have.
    reason: one line, if status is not 0.
    """

    process: int
    rounds_done: int = 0
    ended: bool = False
    status: int = 0
    reason: str = ""


class SweepFolder:
    """The folder `path`, by which a sweep and its jobs tell each other what they do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, job: int, state: JobState) -> None:
        """Replace what is known of `job`."""
        partial = self.path / f"{job}.partial"
        partial.write_text(json.dumps(asdict(state)))
        partial.replace(self._file(job))

    def read(self, job: int) -> JobState | None:
        """Return what is known of `job`, None if it has not begun."""
        try:
            return JobState(**json.loads(self._file(job).read_text()))
        except FileNotFoundError:
            return None

    def running_elsewhere(self) -> dict[int, JobState]:
        """Return the jobs that other processes have begun and not ended."""
        states = {int(file.stem): self.read(int(file.stem)) for file in self.path.glob("*.json")}
        return {
            job: state
            for job, state in states.items()
            if state is not None and not state.ended and state.process != os.getpid()
        }

    def ask_to_stop(self) -> None:
        """Let no job begin any more."""
        (self.path / "stop").touch()

    def stop_requested(self) -> bool:
        """Return whether jobs are not to begin any more."""
        return (self.path / "stop").exists()

    def _file(self, job: int) -> Path:
        return self.path / f"{job}.json"
