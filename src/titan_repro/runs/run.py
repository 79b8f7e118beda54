"""One run from configuration to run folder: the main job behind `titan-run`.

Everything that can be refused is refused before data are loaded. The loop below is the only one:
executors differ in how a round is run, not in what is recorded, evaluated or saved.
"""

import math
import os
import resource
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from omegaconf import DictConfig

from titan_repro.devices.usage import UNKNOWN, Usage, UsageMeters
from titan_repro.pipeline.crew import Crew
from titan_repro.pipeline.round import Executor, Round
from titan_repro.records.checkpoint import weights_sha256
from titan_repro.records.folder import RunFolder
from titan_repro.records.identity import run_id
from titan_repro.records.provenance import processors, provenance
from titan_repro.records.results import MILESTONES, Milestone, Summary
from titan_repro.records.results import Evaluation as EvaluationRecord
from titan_repro.records.rounds import RoundRecord
from titan_repro.records.signals import Stop, interruption
from titan_repro.records.writer import RunWriter
from titan_repro.runs.job import Job, build
from titan_repro.tasks.base import Task
from titan_repro.training import Evaluation, evaluate, fixed_subset, is_evaluated


class Observer(Protocol):
    """Someone who looks on: a progress bar, a log. Never changes a run."""

    def begin(self, folder: Path, start: int, rounds: int) -> None:
        """Round `start` is next."""
        ...

    def round(self, result: Round) -> None:
        """A round is done."""
        ...

    def evaluation(self, rounds_done: int, evaluation: Evaluation) -> None:
        """The network has been measured."""
        ...

    def end(self) -> None:
        """No more rounds will come, whatever the reason."""
        ...


@dataclass(frozen=True)
class Outcome:
    """A run's summary, its folder and whether all rounds that were asked for had been run before.

    The summary may be that of a longer run.
    """

    folder: Path
    summary: Mapping[str, Any]
    already_there: bool


class InterruptedRun(Exception):  # noqa: N818 (no error: the run is saved)
    """The run was asked to stop and has saved itself, or was at its end and has finished."""

    def __init__(self, outcome: Outcome, number: signal.Signals) -> None:
        super().__init__(f"asked to stop after {outcome.summary['rounds_done']} rounds")
        self.outcome = outcome
        self.signal = number


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


def run(
    config: DictConfig, command: Sequence[str] = (), observers: Sequence[Observer] = ()
) -> Outcome:
    """Run what `config` describes, or go on with it, or tell its summary if it went so far.

    Raises ConfigurationError, DataError, RunFolderError or PipelineError with one line, and
    InterruptedRun after SIGINT or SIGTERM, when the run has been saved.
    """
    job = build(config)
    folder = job.folder
    summary = folder.completed(job.rounds)
    if summary is not None:
        return Outcome(folder.path, summary, already_there=True)
    with folder.claim() as writer:
        summary = folder.completed(job.rounds)  # another process may have finished it meanwhile
        if summary is not None:
            return Outcome(folder.path, summary, already_there=True)
        with job.workers as crew:
            task = job.load()
            executor = job.executor(crew, task)
            with closing(executor):
                meters = UsageMeters(process_ids(crew))
                loop = _Loop(job, folder, writer, task, executor, observers, meters)
                return loop.run(command)


def process_ids(crew: Crew | None) -> dict[str, int]:
    """Return the ids of the processes of a run, by name."""
    if crew is None:
        return {"the process": os.getpid()}
    return {"process 3 (training)": os.getpid(), **crew.pids}


class _Loop:
    """The loop over the rounds of a claimed run folder."""

    def __init__(
        self,
        job: Job,
        folder: RunFolder,
        writer: RunWriter,
        task: Task,
        executor: Executor,
        observers: Sequence[Observer],
        meters: UsageMeters,
    ) -> None:
        self.job = job
        self.facts = job.facts
        self.folder = folder
        self.writer = writer
        self.task = task
        self.executor = executor
        self.observers = observers
        self.meters = meters
        self.progress = Progress()
        self.used_before: Usage | None = None
        self.part = fixed_subset(task, job.evaluation_samples)

    def run(self, command: Sequence[str]) -> Outcome:
        """Run the rounds that are left and end the run, or save it if asked to stop.

        A run that was killed further on than it is to go now stays as it is: unfinished.
        """
        self._start(command)
        if self.progress.rounds_done > self.job.rounds:
            with self.meters:
                return replace(self._interrupt(), already_there=True)
        with interruption() as stop, self.meters:
            for observer in self.observers:
                observer.begin(self.folder.path, self.progress.rounds_done, self.job.rounds)
            try:
                self._rounds(stop)
                outcome = self._finish() if self._complete() else self._interrupt()
            finally:
                for observer in self.observers:
                    observer.end()
        if stop.requested:  # said also of a run that was just finished: a sweep is to stop, too
            raise InterruptedRun(outcome, stop.signal or signal.SIGINT)
        return outcome

    def _start(self, command: Sequence[str]) -> None:
        """Go on from the checkpoint if there is one."""
        data = {"source": self.task.source, "fingerprint": self.task.fingerprint}
        checkpoint = self.writer.start(self.job.text, provenance(command, data))
        if checkpoint is not None:
            self.executor.load_state_dict(checkpoint.state["executor"])
            self.progress = Progress(**checkpoint.state["progress"])
            usage = self.progress.usage
            self.used_before = UNKNOWN if usage is None else Usage(**usage)

    def _complete(self) -> bool:
        return self.progress.diverged or self.progress.rounds_done >= self.job.rounds

    def _rounds(self, stop: Stop) -> None:
        saved = time.monotonic()
        self._evaluate_if_due()
        while not (self._complete() or stop.requested):
            self._round()
            self._evaluate_if_due()
            if time.monotonic() - saved >= self.job.checkpoint_seconds:
                self.writer.save_checkpoint(self._state())
                saved = time.monotonic()

    def _round(self) -> None:
        progress = self.progress
        began = time.perf_counter()
        result = self.executor.run(progress.rounds_done)
        progress.train_seconds += time.perf_counter() - began
        progress.rounds_done += 1
        progress.random_rounds += result.candidates == 0
        progress.diverged = not math.isfinite(result.loss)
        self.writer.append(_record(result))
        for observer in self.observers:
            observer.round(result)

    def _evaluate_if_due(self) -> None:
        """Evaluate where every run is evaluated: on a part of the test set, and at milestones."""
        if is_evaluated(self.progress.rounds_done, self.job.evaluate_every):
            self._evaluate_part()
        if self.progress.rounds_done in MILESTONES and self._evaluate_all():
            self._interrupt()  # a run under way can be read as of its last milestone

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
        for observer in self.observers:
            observer.evaluation(done, measured)

    def _state(self) -> dict[str, Any]:
        self.progress.peak_memory_mb = self._peak_memory_mb()
        self.progress.usage = self._usage().state()
        return {"executor": dict(self.executor.state_dict()), "progress": vars(self.progress)}

    def _interrupt(self) -> Outcome:
        self.writer.flush()  # the modelled clock is read from the rounds on the disk
        summary = self.writer.interrupt(self._state(), self._summary("interrupted"))
        return Outcome(self.folder.path, summary, already_there=False)

    def _finish(self) -> Outcome:
        """Measure the end and say how the run ended.

        The curve's last point comes after the checkpoint: where a run of more rounds has no point,
        extending this one forgets it.
        """
        self._evaluate_all()
        self.writer.save_checkpoint(self._state())
        self._evaluate_part()
        summary = self._summary("diverged" if self.progress.diverged else "finished")
        return Outcome(self.folder.path, self.writer.finish(summary), already_there=False)

    def _summary(self, status: str) -> dict[str, Any]:
        progress = self.progress
        final = progress.milestones[-1] if status == "finished" else {}
        return Summary(
            status=status,
            run_id=run_id(self.facts),
            setting=run_id(self.facts["setting"]),
            choices=self.facts["choices"],
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
            processors=processors(self.folder.provenance()),
            finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        ).record()

    def _usage(self) -> Usage:
        """Return what this process and the ones that ran before it have used up."""
        now = self.meters.so_far()
        return now if self.used_before is None else now.after(self.used_before)

    def _peak_memory_mb(self) -> float:
        """Peak resident memory of this process so far and of the ones that ran before it, MB."""
        now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return max(self.progress.peak_memory_mb, now)


def _record(result: Round) -> RoundRecord:
    samples, seconds = result.work.samples, result.work.seconds
    return RoundRecord(
        round=result.t,
        loss=result.loss,
        learning_rate=result.learning_rate,
        trained_indices=result.indices,
        trained_labels=result.labels,
        trained_probabilities=result.probabilities,
        trained_weights=result.weights,
        trained_noisy=result.noisy,
        candidates=result.candidates,
        nonfinite=result.nonfinite,
        samples_streamed=samples["streamed"],
        samples_filtered=samples["filtered"],
        samples_scored=samples["scored"],
        samples_trained=samples["trained"],
        seconds_stream=seconds["stream"],
        seconds_filter=seconds["filter"],
        seconds_score=seconds["score"],
        seconds_select=seconds["select"],
        seconds_train=seconds["train"],
        seconds_wait=result.work.wait_seconds,
    )
