"""How far a run has come: what it has recorded, evaluated, saved and used up.

The loop in `runs.run` calls these one after the other; nothing here runs a round.
"""

import math
import resource
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from titan_repro.devices.usage import UNKNOWN, Usage, UsageMeters
from titan_repro.federated.executor import FederatedExecutor
from titan_repro.pipeline.round import Executor
from titan_repro.records.checkpoint import weights_sha256
from titan_repro.records.identity import run_id
from titan_repro.records.provenance import processors, provenance
from titan_repro.records.results import MILESTONES, EvaluationRecord, Milestone, Summary
from titan_repro.records.rounds import RoundRecord
from titan_repro.records.writer import RunWriter
from titan_repro.runs.callback import Callback
from titan_repro.runs.job import Job
from titan_repro.tasks.base import Task, counts
from titan_repro.training import evaluate, fixed_subset, is_evaluated

USAGE_AGE = 0.2
"""Seconds for which a reading of the meters, which takes some 10 ms, is good for checkpoints: a
killed run forgets that much of its usage."""


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


class RunState:
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
        data = {
            "source": self.task.source,
            "fingerprint": self.task.fingerprint,
            "class_sizes": counts(self.task)["train"].tolist(),
        }
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
            self.save_unfinished()  # a run under way can be read as of its last milestone

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
        """Return what a checkpoint holds, with the usage of at most `USAGE_AGE` seconds ago."""
        self.progress.peak_memory_mb = self._peak_memory_mb()
        self.progress.usage = self._usage(USAGE_AGE).state()
        return {"executor": dict(self.executor.state_dict()), "progress": vars(self.progress)}

    def save_unfinished(self) -> dict[str, Any]:
        """Save the run as one that goes on later; return its summary."""
        self.writer.flush()  # the modelled clock is read from the rounds on the disk
        summary = self._summary("interrupted")  # before the content, which takes its usage over
        return self.writer.interrupt(self.content(), summary)

    def finish(self) -> dict[str, Any]:
        """Measure the end and return the summary, which says how the run ended.

        The curve's last point comes after the checkpoint: where a run of more rounds has no point,
        extending this one forgets it.
        """
        self._evaluate_all()
        self.writer.save_checkpoint(self.content())
        self._evaluate_part()
        status = "diverged" if self.progress.diverged else "finished"
        return self.writer.finish(self._summary(status))

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
            **self.job.modelled(self.job.folder.rounds),
            federation=self._federation(),
            processors=processors(self.job.folder.provenance()),
            finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        ).record()

    def _federation(self) -> dict[str, Any] | None:
        """Return what the summary says of a federation, None without one."""
        if not isinstance(self.executor, FederatedExecutor):
            return None
        return {**self.executor.facts(), "devices_at_milestones": self.progress.spreads}

    def _usage(self, age: float = 0.0) -> Usage:
        """Return what this process and those before it had used up at most `age` seconds ago."""
        now = self.meters.so_far(age)
        return now if self.used_before is None else now.after(self.used_before)

    def _peak_memory_mb(self) -> float:
        """Peak resident memory of this process so far and of the ones that ran before it, MB."""
        now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return max(self.progress.peak_memory_mb, now)
