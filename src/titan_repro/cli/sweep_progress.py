"""The one progress line of a sweep: rounds of all runs, runs done, time left, who is running."""

import sys
import time
from collections.abc import Mapping, Sequence
from threading import Event, Thread

from tqdm import tqdm

from titan_repro.cli.sweep_folder import JobState, SweepFolder
from titan_repro.cli.sweep_plan import PlannedJob, duration

FORMAT = "{n_fmt}/{total_fmt} rounds, {desc} |{bar}|"
SECONDS_BETWEEN_LOOKS = 0.5


class SweepBar:
    """Draws the line on standard error while the block runs, or nothing where that is no terminal.

    A thread looks into the sweep's folder, so that jobs in this process and in workers are seen
    alike. What they print themselves begins by clearing the line (`titan_repro.cli.say`).
    """

    def __init__(self, jobs: Sequence[PlannedJob], folder: SweepFolder, workers: int) -> None:
        self.jobs = jobs
        self.folder = folder
        self.workers = workers
        self.over = Event()
        self.thread: Thread | None = None

    def __enter__(self) -> None:
        """Begin, if there is a terminal and there are rounds to run."""
        total = sum(job.rounds_left for job in self.jobs)
        if total and sys.stderr is not None and sys.stderr.isatty():
            self.thread = Thread(target=self._draw, args=(total,), daemon=True)
            self.thread.start()

    def __exit__(self, *_: object) -> None:
        """Take the line away."""
        self.over.set()
        if self.thread is not None:
            self.thread.join()

    def _draw(self, total: int) -> None:
        began = time.monotonic()
        with tqdm(total=total, bar_format=FORMAT, dynamic_ncols=True, leave=False) as bar:
            while not self.over.wait(SECONDS_BETWEEN_LOOKS):
                states = {number: self.folder.read(number) for number in range(len(self.jobs))}
                left = rounds_left(self.jobs, states)
                seconds = time_left(self.jobs, left, time.monotonic() - began, self.workers)
                bar.n = total - sum(left)
                bar.set_description_str(line(self.jobs, states, seconds))  # draws, too


def rounds_left(jobs: Sequence[PlannedJob], states: Mapping[int, JobState | None]) -> list[int]:
    """Return how many rounds each job has left; none once it has ended, whatever way."""
    left = []
    for number, job in enumerate(jobs):
        state = states[number]
        if state is None:
            left.append(job.rounds_left)
        else:
            rounds = 0 if state.ended else max(job.rounds - state.rounds_done, 0)
            left.append(min(rounds, job.rounds_left))
    return left


def line(
    jobs: Sequence[PlannedJob], states: Mapping[int, JobState | None], seconds: float | None
) -> str:
    """Say how many jobs have ended, how long the others need, and which are running."""
    ended = sum(state is not None and state.ended for state in states.values())
    running = [
        jobs[number].title
        for number, state in states.items()
        if state is not None and not state.ended
    ]
    left = "time unknown" if seconds is None else f"{duration(seconds)} left"
    return ", ".join((f"{ended} of {len(jobs)} jobs", left, *running))


def time_left(
    jobs: Sequence[PlannedJob], left: Sequence[int], seconds_since: float, workers: int
) -> float | None:
    """Return the seconds that the jobs still need, by what the sweep itself has taken so far.

    left: rounds of each job. seconds_since: the start of the sweep. Expected times say only how
    much longer a round of one run takes than of another; jobs without one count as the average.
    None before the first rounds.
    """
    known = [job.seconds_per_round for job in jobs if job.seconds_per_round is not None]
    usual = sum(known) / len(known) if known else 1.0
    weights = [usual if j.seconds_per_round is None else j.seconds_per_round for j in jobs]
    work = [rounds * weight for rounds, weight in zip(left, weights, strict=True)]
    whole = sum(job.rounds_left * weight for job, weight in zip(jobs, weights, strict=True))
    done = whole - sum(work)
    if done <= 0:
        return None
    return max(sum(work) / workers, max(work)) * workers * seconds_since / done
