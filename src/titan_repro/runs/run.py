"""One run from configuration to run folder: the main job behind `titan-run`.

`run` is the only loop: executors differ in how a round is run, not in what is recorded, evaluated
or saved. It does with its folder what the docstring of `records.folder` says.
"""

import math
import os
import resource
import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

from omegaconf import DictConfig

from titan_repro.devices.usage import UNKNOWN, Usage, UsageMeters
from titan_repro.federated.executor import FederatedExecutor
from titan_repro.pipeline.pool import ProcessPool
from titan_repro.pipeline.round import Executor
from titan_repro.records.checkpoint import weights_sha256
from titan_repro.records.folder import RunFolder
from titan_repro.records.identity import run_id
from titan_repro.records.provenance import processors, provenance
from titan_repro.records.results import MILESTONES, EvaluationRecord, Milestone, Summary
from titan_repro.records.rounds import RoundRecord
from titan_repro.records.signals import interruption
from titan_repro.records.writer import RunWriter
from titan_repro.runs.callback import Callback, told
from titan_repro.runs.job import Job, build
from titan_repro.tasks.base import Task
from titan_repro.training import evaluate, fixed_subset, is_evaluated


@dataclass(frozen=True)
class RunOutcome:
    """A run's summary, its folder and whether all rounds that were asked for had been run before.

    The summary may be that of a longer run.
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
    """Run what `config` describes, or go on with it, or tell its summary if it went so far.

    Raises ConfigurationError, DataError, RunFolderError or PipelineError with one line, and
    InterruptedRun after SIGINT or SIGTERM, when the run has been saved.
    """
    job = build(config)  # all that can be refused is refused before data are loaded
    folder = job.folder
    if job.elsewhere is not None:
        return RunOutcome(Path(config.paths.export), job.elsewhere, already_there=True)
    if summary := folder.completed(job.rounds):
        return RunOutcome(folder.path, summary, already_there=True)
    with ExitStack() as open_now:
        writer = open_now.enter_context(folder.claim())
        if summary := folder.completed(job.rounds):  # another process was faster
            return RunOutcome(folder.path, summary, already_there=True)
        workers = open_now.enter_context(job.workers)
        task = job.load()
        executor = job.executor(workers, task)
        open_now.callback(executor.close)
        meters = UsageMeters(process_ids(workers))
        state = _RunState(job, writer, task, executor, callbacks, meters)

        state.restore(command)
        open_now.enter_context(meters)
        if state.rounds_done > job.rounds:  # killed further on: stays as it is, unfinished
            return replace(state.interrupt(), already_there=True)
        stop = open_now.enter_context(interruption())
        open_now.enter_context(told(callbacks, folder.path, state.rounds_done, job.rounds))

        state.evaluate_if_due()
        saved = monotonic()
        while not (state.complete or stop.requested):
            began = perf_counter()
            record = executor.run(state.rounds_done)
            state.append(record, seconds=perf_counter() - began)
            state.evaluate_if_due()
            if monotonic() - saved >= job.checkpoint_seconds:
                writer.save_checkpoint(state.content())
                saved = monotonic()
        outcome = state.finish() if state.complete else state.interrupt()
    if stop.requested:  # said also of a run that was just finished: a sweep is to stop, too
        raise InterruptedRun(outcome, stop.signal or signal.SIGINT)
    return outcome


def process_ids(workers: ProcessPool | None) -> dict[str, int]:
    """Return the ids of the processes of a run, by name."""
    if workers is None:
        return {"the process": os.getpid()}
    return {"training process": os.getpid(), **workers.pids}


@dataclass
class Progress:
    """What a run accumulates besides weights; part of every checkpoint."""

    rounds_done: int = 0
    train_seconds: float = 0.0
    peak_memory_mb: float = 0.0
    diverged: bool = False
    evaluated_at: int = -1
    random_rounds: int = 0
    usage: dict[str, Any] | None = None
    milestones: list[dict[str, Any]] = field(default_factory=list)
    spreads: list[dict[str, Any]] = field(default_factory=list)


class _RunState:
    """How far a run in its claimed folder has come: what it records, evaluates, saves and sums up.

    part: of the test set, on which the curve is measured.
    """

    def __init__(
        self,
        job: Job,
        writer: RunWriter,
        task: Task,
        executor: Executor,
        callbacks: Sequence[Callback],
        meters: UsageMeters,
    ) -> None:
        self.job = job
        self.folder: RunFolder = job.folder
        self.writer = writer
        self.task = task
        self.executor = executor
        self.callbacks = callbacks
        self.meters = meters
        self.progress = Progress()
        self.used_before: Usage | None = None
        self.part = fixed_subset(task, job.evaluation_samples)

    @property
    def rounds_done(self) -> int:
        """How many rounds have been run, which is the number of the next one."""
        return self.progress.rounds_done

    @property
    def complete(self) -> bool:
        """Whether no round is left to run."""
        return self.progress.diverged or self.rounds_done >= self.job.rounds

    def restore(self, command: Sequence[str]) -> None:
        """Note this start, and go on from the checkpoint if there is one."""
        data = {"source": self.task.source, "fingerprint": self.task.fingerprint}
        checkpoint = self.writer.start(self.job.text, provenance(command, data))
        if checkpoint is not None:
            self.executor.load_state_dict(checkpoint.state["executor"])
            self.progress = Progress(**checkpoint.state["progress"])
            usage = self.progress.usage
            self.used_before = UNKNOWN if usage is None else Usage(**usage)

    def append(self, record: RoundRecord, *, seconds: float) -> None:
        """Take the record of the next round, which took so long."""
        progress = self.progress
        progress.train_seconds += seconds
        progress.rounds_done += 1
        progress.random_rounds += record.candidates == 0
        progress.diverged = not math.isfinite(record.loss)
        self.writer.append(record)
        for callback in self.callbacks:
            callback.round(record)

    def evaluate_if_due(self) -> None:
        """Evaluate where every run is evaluated: on a part of the test set, and at milestones."""
        if is_evaluated(self.progress.rounds_done, self.job.evaluate_every):
            self._evaluate_part()
        if self.progress.rounds_done in MILESTONES and self._evaluate_all():
            self.interrupt()  # a run under way can be read as of its last milestone

    def _evaluate_all(self) -> bool:
        """Measure the network on the whole test set, once; return whether it was measured now."""
        progress, done = self.progress, self.progress.rounds_done
        if progress.diverged or any(known["rounds"] == done for known in progress.milestones):
            return False
        measured = evaluate(self.executor.network, self.task.test, self.task.normalise)
        progress.diverged = not math.isfinite(measured.loss)
        if progress.diverged:
            return False
        weights = weights_sha256(self.executor.network.state_dict())
        milestone = Milestone(
            done, **vars(measured), train_seconds=progress.train_seconds, weights_sha256=weights
        )
        progress.milestones.append(asdict(milestone))
        if isinstance(self.executor, FederatedExecutor):
            progress.spreads.append({"rounds": done, **self.executor.spread(self.task)})
        return True

    def _evaluate_part(self) -> None:
        """Add a point to the curve, once."""
        progress, done = self.progress, self.progress.rounds_done
        if progress.diverged or progress.evaluated_at == done:
            return
        measured = evaluate(self.executor.network, self.part, self.task.normalise)
        progress.evaluated_at = done
        progress.diverged = not math.isfinite(measured.loss)
        if progress.diverged:
            return
        self.writer.evaluation(
            EvaluationRecord(
                done,
                measured.accuracy,
                measured.loss,
                progress.train_seconds,
                measured.samples,
            )
        )
        for callback in self.callbacks:
            callback.evaluation(done, measured)

    def content(self) -> dict[str, Any]:
        """Return what a checkpoint holds."""
        self.progress.peak_memory_mb = self._peak_memory_mb()
        self.progress.usage = self._usage().state()
        return {"executor": dict(self.executor.state_dict()), "progress": vars(self.progress)}

    def interrupt(self) -> RunOutcome:
        """Save the run as one that goes on later."""
        self.writer.flush()  # the modelled clock is read from the rounds on the disk
        summary = self.writer.interrupt(self.content(), self._summary("interrupted"))
        return RunOutcome(self.folder.path, summary, already_there=False)

    def finish(self) -> RunOutcome:
        """Measure the end and say how the run ended.

        The curve's last point comes after the checkpoint: where a run of more rounds has no point,
        extending this one forgets it.
        """
        self._evaluate_all()
        self.writer.save_checkpoint(self.content())
        self._evaluate_part()
        summary = self._summary("diverged" if self.progress.diverged else "finished")
        return RunOutcome(self.folder.path, self.writer.finish(summary), already_there=False)

    def _summary(self, status: str) -> dict[str, Any]:
        progress = self.progress
        final = progress.milestones[-1] if status == "finished" else {}
        return Summary(
            status=status,
            run_id=run_id(self.job.facts),
            setting=run_id(self.job.facts["setting"]),
            choices=self.job.facts["choices"],
            **self.job.about,
            data_source=self.task.source,
            data_fingerprint=self.task.fingerprint,
            rounds=self.job.rounds,
            rounds_done=progress.rounds_done,
            random_rounds=progress.random_rounds,
            milestones=progress.milestones,
            final_accuracy=final.get("accuracy"),
            final_loss=final.get("loss"),
            final_samples=final.get("samples"),
            weights_sha256=weights_sha256(self.executor.network.state_dict()),
            seconds_per_round=progress.train_seconds / max(progress.rounds_done, 1),
            peak_memory_mb=self._peak_memory_mb(),
            **self._usage().record(),
            **self.job.modelled(self.folder.rounds),
            federation=self._federation(),
            processors=processors(self.folder.provenance()),
            finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        ).record()

    def _federation(self) -> dict[str, Any] | None:
        """Return what the summary says of a federation, None without one."""
        if not isinstance(self.executor, FederatedExecutor):
            return None
        return {**self.executor.facts(), "devices_at_milestones": self.progress.spreads}

    def _usage(self) -> Usage:
        """Return what this process and the ones that ran before it have used up."""
        now = self.meters.so_far()
        return now if self.used_before is None else now.after(self.used_before)

    def _peak_memory_mb(self) -> float:
        """Peak resident memory of this process so far and of the ones that ran before it, MB."""
        now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return max(self.progress.peak_memory_mb, now)
