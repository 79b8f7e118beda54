"""One job of a sweep: it goes on record instead of ending the sweep, and stops when that does."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from titan_repro.cli.sweep_folder import STOPPED, JobState, SweepFolder

if TYPE_CHECKING:
    from titan_repro.records.rounds import RoundRecord
    from titan_repro.training import Evaluation

SECONDS_BETWEEN_REPORTS = 0.5


class SweepJob:
    """A callback of the run that is job `number` of the sweep with `folder`."""

    def __init__(self, folder: SweepFolder, number: int) -> None:
        self.folder = folder
        self.number = number
        self.rounds_done = 0
        self.reported = 0.0
        parent = multiprocessing.parent_process()
        self.command = None if parent is None else parent.pid
        """Process of the sweep, if this is a launcher's worker."""

    @classmethod
    def current(cls) -> "SweepJob | None":
        """Return the job that this process is running by Hydra's word, None outside of sweeps."""
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        hydra = HydraConfig.get()
        if hydra.mode is not RunMode.MULTIRUN:
            return None
        return cls(SweepFolder(Path(hydra.sweep.dir)), int(hydra.sweep.subdir))

    def run(self, work: Callable[[], None]) -> None:
        """Call `work` and record how it ends; every Exception is a failure of this job alone.

        A request to stop ends a worker's job but not the worker: its launcher would take that for
        a crash and kill the others, which are still saving their runs. In the sweep's own process
        it goes on to end the sweep.
        """
        self._report()  # before asking: who asks for a stop then finds this job
        status, reason = 128 + signal.SIGTERM, STOPPED
        try:
            if self.folder.stop_requested() or self._is_orphan():
                return
            if self.command is not None:
                _hear_only_the_sweep()
            work()
            status, reason = 0, ""
        except Exception as error:
            status, reason = _failure(error)
        except (SystemExit, KeyboardInterrupt):
            if self.command is None:
                raise
        finally:
            state = JobState(os.getpid(), self.rounds_done, True, status, reason)
            with suppress(OSError):
                self.folder.write(self.number, state)

    def begin(self, folder: Path, start: int, rounds: int) -> None:
        """Report where the run goes on from."""
        self.rounds_done = start
        self._report()

    def round(self, record: "RoundRecord") -> None:
        """Report now and then; a worker whose sweep was killed saves its run and stops."""
        self.rounds_done = record.round + 1
        if time.monotonic() - self.reported >= SECONDS_BETWEEN_REPORTS:
            self._report()
            if self._is_orphan():
                os.kill(os.getpid(), signal.SIGTERM)

    def evaluation(self, rounds_done: int, evaluation: "Evaluation") -> None:
        """Nothing: a sweep's progress is counted in rounds."""

    def end(self) -> None:
        """Nothing: `run` reports the end."""

    def _report(self) -> None:
        """Write how far the run is; a full disk is no reason to end it here."""
        self.reported = time.monotonic()
        with suppress(OSError):
            self.folder.write(self.number, JobState(os.getpid(), self.rounds_done))

    def _is_orphan(self) -> bool:
        return self.command is not None and os.getppid() != self.command


def _failure(error: Exception) -> tuple[int, str]:
    """Return exit status and one line."""
    from omegaconf.errors import OmegaConfBaseException

    from titan_repro.cli.messages import one_line
    from titan_repro.failures import as_user_error

    if isinstance(error, OmegaConfBaseException):
        return 2, one_line(error)
    failure = as_user_error(error)
    return failure.exit_status, one_line(failure)


def _hear_only_the_sweep() -> None:
    """Keep a terminal's Ctrl-C from this worker: the sweep passes on one SIGTERM instead.

    Both would reach it as two requests, the second of which ends a run without saving it.
    """
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, _end_job)


def _end_job(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)
