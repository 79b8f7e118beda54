"""A sweep from its list of overrides to its exit status: told of, in order, stopped as one.

Hydra asks its sweeper for the jobs (`hydra_plugins.titan_repro_sweeper`, the extension point that
Hydra documents) and keeps everything else: what `-m`, `hydra.mode` and `hydra.sweeper.params` mean,
how a job is composed, and the launchers, basic or joblib. What is added here lies between the two:

    every job is composed and its run folder looked up (`sweep_plan`): a mistake in any of them is
    refused before the first one starts, the plan is printed, the shortest runs go first;
    jobs report to a folder (`sweep_folder`, `sweep_job`) which the progress line is drawn from
    (`sweep_progress`), and where those that failed are found at the end;
    Ctrl-C and SIGTERM are passed on to the workers, which save their runs.
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from omegaconf import DictConfig

from titan_repro.cli.say import say
from titan_repro.cli.sweep_folder import STOPPED, JobState, SweepFolder
from titan_repro.cli.sweep_plan import PlannedJob, describe_plan, in_order, plan_job
from titan_repro.cli.sweep_progress import SweepBar

SECONDS_TO_SAVE = 1.6
"""Workers that have not saved their run by then are killed: it goes on from its last checkpoint."""

LIVES = 2
"""How often a job is started whose worker dies: which of those at work was to blame is unknown."""


def run_sweep(
    overrides: Sequence[Sequence[str]], loader: Any, config: DictConfig, launcher: Any
) -> None:
    """Run a job for each list of overrides. Ends the command with a status if any of them failed.

    loader: Hydra's, composes a job. launcher: Hydra's, runs a list of them.
    config: the sweep's, of which jobs are variations; hydra.sweep.dir says where they report.
    """
    composed = [(job, loader.load_sweep_config(config, list(job))) for job in overrides]
    jobs = in_order([plan_job(*job) for job in composed])
    path = Path(config.hydra.sweep.dir).absolute()
    path.mkdir(parents=True)
    try:
        folder = SweepFolder(path)
        workers = _workers(config)
        say(describe_plan(jobs, workers))
        _one_job_at_a_time_to_a_worker(launcher)
        try:
            with SweepBar(jobs, folder, workers), _passing_on_signals(folder):
                _launch(jobs, folder, launcher)
        except (KeyboardInterrupt, SystemExit):
            _name(jobs, _failures(jobs, folder))
            raise
        failed = {**_failures(jobs, folder), **_killed(jobs, folder)}
    finally:
        shutil.rmtree(path, ignore_errors=True)
    _name(jobs, failed)
    if failed:
        sys.exit(2 if all(state.status == 2 for state in failed.values()) else 1)


def _workers(config: DictConfig) -> int:
    """Return how many jobs the launcher runs at once."""
    asked = int(config.hydra.launcher.get("n_jobs", 1))
    return asked if asked > 0 else max(len(os.sched_getaffinity(0)) + 1 + asked, 1)


def _one_job_at_a_time_to_a_worker(launcher: Any) -> None:
    """Let joblib hand out jobs one by one.

    By itself it hands out more at once the quicker they end. The first ones, done before, end at
    once, and all of the long ones would land on one worker.
    """
    if getattr(launcher, "joblib", {}).get("batch_size") == "auto":
        launcher.joblib["batch_size"] = 1


def _launch(jobs: Sequence[PlannedJob], folder: SweepFolder, launcher: Any) -> None:
    """Run all jobs; those whose worker died are tried once more."""
    lives = dict.fromkeys(range(len(jobs)), LIVES)
    while left := [number for number, lives_left in lives.items() if lives_left > 0]:
        batch = _apart(left, jobs)
        where = f"hydra.sweep.dir='{folder.path}'"
        arguments = [[*jobs[n].overrides, where, f"hydra.sweep.subdir='{n}'"] for n in batch]
        with suppress(BrokenProcessPool):
            launcher.launch(arguments, initial_job_idx=0)
        states = {number: folder.read(number) for number in batch}
        if not any(states.values()):
            return  # workers die before they begin
        for number, state in states.items():
            if state is not None:
                lives[number] = 0 if state.ended else lives[number] - 1


def _apart(numbers: Sequence[int], jobs: Sequence[PlannedJob]) -> list[int]:
    """Return those that can run at once: of jobs that extend one run, that of fewest rounds."""
    first: dict[object, int] = {}
    for number in sorted(numbers, key=lambda n: jobs[n].rounds):
        first.setdefault(jobs[number].folder or number, number)
    return sorted(first.values())


def _failures(jobs: Sequence[PlannedJob], folder: SweepFolder) -> dict[int, JobState]:
    """Return the end of every job that failed by itself."""
    states = {number: folder.read(number) for number in range(len(jobs))}
    return {
        number: state
        for number, state in states.items()
        if state is not None and state.ended and state.status != 0 and state.reason != STOPPED
    }


def _killed(jobs: Sequence[PlannedJob], folder: SweepFolder) -> dict[int, JobState]:
    """Return a failure for every job that did not come to an end of its own."""
    states = {number: folder.read(number) for number in range(len(jobs))}
    killed = JobState(0, status=1, reason="its process was stopped or killed")
    return {
        number: killed
        for number, state in states.items()
        if state is None or not state.ended or state.reason == STOPPED
    }


def _name(jobs: Sequence[PlannedJob], failed: Mapping[int, JobState]) -> None:
    for number, state in sorted(failed.items()):
        told = f"(job {number} of the sweep: {' '.join(jobs[number].overrides)})"
        print(f"titan-run: {state.reason} {told}", file=sys.stderr)


@contextmanager
def _passing_on_signals(folder: SweepFolder) -> Iterator[None]:
    """Turn SIGINT and SIGTERM into one SIGTERM for every worker, and end when runs are saved.

    A run in this process has handlers of its own during its rounds and ends the sweep itself.
    A signal that is ignored on entry (SIGINT of a job in the background) stays ignored.
    """

    def handle(number: int, _frame: FrameType | None) -> None:
        folder.ask_to_stop()
        for state in folder.running_elsewhere().values():
            _terminate(state.process)
        deadline = time.monotonic() + SECONDS_TO_SAVE
        while folder.running_elsewhere() and time.monotonic() < deadline:
            time.sleep(0.02)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + number)

    before = {
        number: signal.signal(number, handle)
        for number in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _terminate(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGTERM)
