"""One run from configuration to run folder: the main job behind `titan-run`.

`run` is the only loop: executors differ in how a round is run, not in what is recorded, evaluated
or saved. The run folder holds configuration, rounds, curve, checkpoint and, in the end, a summary;
a run that was killed goes on from its checkpoint (`records.folder`).
"""

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

from omegaconf import DictConfig

from titan_repro.devices.usage import UsageMeters
from titan_repro.pipeline.pool import ProcessPool
from titan_repro.records.signals import interruption
from titan_repro.runs.callback import Callback, notifying
from titan_repro.runs.job import build
from titan_repro.runs.state import RunState


@dataclass(frozen=True)
class RunOutcome:
    """A run's summary, its folder, and whether nothing was left to run.

    The summary may cover more rounds than were asked for, or fewer, if the run diverged.
    """

    folder: Path
    summary: Mapping[str, Any]
    already_there: bool


class InterruptedRun(Exception):  # noqa: N818 (no error: the run is saved)
    """The run was asked to stop and has saved itself, or was at its end and has finished."""

    def __init__(self, outcome: RunOutcome, number: signal.Signals) -> None:
        super().__init__(f"asked to stop after {outcome.summary['rounds_done']} rounds")
        self.outcome = outcome
        self.signal = number


def run(
    config: DictConfig, command: Sequence[str] = (), callbacks: Sequence[Callback] = ()
) -> RunOutcome:
    """Run what `config` describes, go on with it, or return its summary if that has been run.

    Raises ConfigurationError, DataError, RunFolderError or PipelineError with one line, and
    InterruptedRun after SIGINT or SIGTERM, when the run has been saved.
    """
    job = build(config)  # all that can be refused is refused before data are loaded
    folder = job.folder
    if job.exported is not None:
        return RunOutcome(Path(config.paths.export), job.exported, already_there=True)
    if known := folder.completed(job.rounds):
        return RunOutcome(folder.path, known, already_there=True)
    with ExitStack() as open_now:  # closes in reverse order, also after an error
        writer = open_now.enter_context(folder.claim())
        if known := folder.completed(job.rounds):  # another process was faster
            return RunOutcome(folder.path, known, already_there=True)
        workers = open_now.enter_context(job.workers)  # they start while data are loaded
        task = job.load()
        executor = job.executor(workers, task)
        open_now.callback(executor.close)
        meters = UsageMeters(process_ids(workers))
        state = RunState(job, writer, task, executor, callbacks, meters)

        state.restore(command)  # from the last checkpoint, or round 0
        open_now.enter_context(meters)
        if state.rounds_done > job.rounds:  # killed further on: nothing to run, yet unfinished
            return RunOutcome(folder.path, state.save_unfinished(), already_there=True)
        stop = open_now.enter_context(interruption())
        open_now.enter_context(notifying(callbacks, folder.path, state.rounds_done, job.rounds))

        state.evaluate_if_due()
        saved = monotonic()
        while not (state.complete or stop.requested):  # complete: all rounds, or diverged
            began = perf_counter()
            record = executor.run(state.rounds_done)  # one round of section 3, counted from 0
            state.append(record, seconds=perf_counter() - began)
            state.evaluate_if_due()
            if monotonic() - saved >= job.checkpoint_seconds:
                writer.save_checkpoint(state.content())
                saved = monotonic()
        summary = state.finish() if state.complete else state.save_unfinished()
    outcome = RunOutcome(folder.path, summary, already_there=False)
    if stop.requested:  # said also of a run that was just finished: a sweep is to stop, too
        raise InterruptedRun(outcome, stop.signal or signal.SIGINT)
    return outcome


def process_ids(workers: ProcessPool | None) -> dict[str, int]:
    """Return the ids of the processes of a run, by name."""
    if workers is None:
        return {"the process": os.getpid()}
    return {"training process": os.getpid(), **workers.pids}
