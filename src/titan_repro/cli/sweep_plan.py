"""What a sweep is about to do: which runs are done, which remain, how long they should take."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from titan_repro.cli.round_times import seconds_per_round
from titan_repro.config import validate
from titan_repro.costs.measure import is_measurement
from titan_repro.errors import UserError
from titan_repro.records.folder import RunFolder
from titan_repro.records.results import covers
from titan_repro.records.rounds import find_parts, first_round
from titan_repro.runs.naming import find_run


@dataclass(frozen=True)
class PlannedJob:
    """One job of a sweep before it starts.

    overrides: what tells it from the others, as on the command line.
    title: task, model, selector and seed.
    folder: of its run; None for a measurement, and for what will be refused.
    rounds: that were asked for, 0 without a folder; rounds_left: of them, as far as is known.
    seconds_per_round: expected, None if not known.
    """

    overrides: tuple[str, ...]
    title: str
    folder: Path | None = None
    rounds: int = 0
    rounds_left: int = 0
    seconds_per_round: float | None = None

    @property
    def done(self) -> bool:
        """Whether its run has as many rounds as were asked for."""
        return self.folder is not None and self.rounds_left == 0

    @property
    def seconds(self) -> float | None:
        """Expected time, None if not known."""
        if self.done:
            return 0.0
        if self.folder is None or self.seconds_per_round is None:
            return None
        return self.rounds_left * self.seconds_per_round


def plan_job(overrides: Sequence[str], config: DictConfig) -> PlannedJob:
    """Look up what a composed job would find; nothing is written and no data are loaded."""
    names = (config.task.name, config.model.name)
    if is_measurement(config):
        return PlannedJob(tuple(overrides), " ".join((*names, config.experiment.name)))
    title = " ".join((*names, config.selector.name, f"seed {config.seed}"))
    try:
        validate(config)
        folder, elsewhere = find_run(config)
        left = 0 if elsewhere else _rounds_left(folder, config.rounds)
    except (UserError, OmegaConfBaseException):  # the job itself says why
        return PlannedJob(tuple(overrides), title)
    time = seconds_per_round(config)
    return PlannedJob(tuple(overrides), title, folder.path, config.rounds, left, time)


def _rounds_left(folder: RunFolder, rounds: int) -> int:
    """Return how many rounds are to be run; of a killed run, about how many."""
    summary = folder.summary()
    if covers(summary, rounds):
        return 0
    parts = find_parts(folder.path / "rounds")
    saved = first_round(parts[-1]) if parts else 0
    known = saved if summary is None else max(saved, summary["rounds_done"])
    return max(rounds - known, 1)


def in_order(jobs: Sequence[PlannedJob]) -> list[PlannedJob]:
    """Return the jobs, the shortest first, each run once.

    Unknown times come last, in the given order. Jobs that differ only in keys that their selector
    does not use are one run.
    """
    once: dict[object, PlannedJob] = {}
    for position, job in enumerate(jobs):
        once.setdefault(position if job.folder is None else (job.folder, job.rounds), job)
    return sorted(once.values(), key=lambda job: (job.seconds is None, job.seconds or 0.0))


def describe_plan(jobs: Sequence[PlannedJob], workers: int) -> str:
    """Say how many of the jobs are done, how many remain and how long they should take.

    workers: how many run at once.
    """
    runs = [job for job in jobs if job.folder is not None]
    left = [job for job in runs if not job.done]
    others = [job.title for job in jobs if job.folder is None]
    lines = []
    if runs:
        lines.append(f"{_count(len(runs), 'run')}: {len(runs) - len(left)} done, {_remain(left)}")
    if left:
        lines.append(f"  expected time: {_expected(left, workers)}")
    if others:
        lines.append(f"{_count(len(others), 'other job')}: {', '.join(others)}")
    return "\n".join(lines)


def _remain(left: Sequence[PlannedJob]) -> str:
    rounds = sum(job.rounds_left for job in left)
    return f"{len(left)} to run" + (f", {rounds:,} rounds" if left else "")


def _expected(left: Sequence[PlannedJob], workers: int) -> str:
    known = [job.seconds for job in left if job.seconds is not None]
    if not known:
        return "unknown yet"
    total = duration(max(sum(known) / min(workers, len(left)), *known, 0.0))
    at_once = "" if workers == 1 else f", {workers} at once"
    unknown = len(left) - len(known)
    if unknown:
        return f"more than {total}{at_once}; unknown yet for {_count(unknown, 'run')}"
    return f"{total}{at_once}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def duration(seconds: float) -> str:
    """Return a time as a person would say it: 40 s, 12 min, 2 h 5 min."""
    if seconds < 90:
        return f"{math.ceil(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
