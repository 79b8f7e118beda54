"""Rounds of random selection, of Titan in sequence and of Titan pipelined, in turns.

Turns, so that all three see the same machine: it is busier in one minute than in the next, and by
more than the differences that are looked for. And one network, which all three train in turn: a
step of AlexNet takes up to 40 % longer where one copy of its weights lies than where another does,
which says nothing of selection. (The running statistics that the pipeline scores with are those of
its own last round, which changes scores and no time.)
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from time import perf_counter

from omegaconf import DictConfig

from titan_repro.models.base import BlockNetwork
from titan_repro.pipeline.round import Executor
from titan_repro.pipeline.workers import WorkerPool
from titan_repro.runs.build import build_executor, build_network, build_selector, with_selector
from titan_repro.tasks.base import Task

TURN, WARM_UP, MESSAGES = 20, 20, 200
"""Rounds of a turn, rounds that are not counted, and empty rounds to time messages with."""

STEP_SECONDS = 5e-4
"""Between empty rounds: more than drawing a round takes."""


@dataclass(frozen=True)
class SideBySide:
    """Milliseconds of each timed round.

    alone: random selection on the training core.
    sequential, pipelined: Titan, all on that core, and with its selection on another one.
    waits: of pipelined rounds, how long training stood still. selection: what went on beside it.
    messages: rounds in which no process has anything to do: messages, and rows passed on.
    """

    alone: Sequence[float]
    sequential: Sequence[float]
    pipelined: Sequence[float]
    waits: Sequence[float]
    selection: Sequence[float]
    messages: Sequence[float]

    def typical(self) -> "RoundTimes":
        """Return the medians."""
        return RoundTimes(*map(median, (self.alone, self.sequential, self.pipelined)))

    def quiet(self) -> "RoundTimes":
        """Return the 10th percentiles, where other work on the machine shows least.

        A round that waits for two processes is disturbed by whatever disturbs either.
        """
        every = self.alone, self.sequential, self.pipelined
        return RoundTimes(*(quantiles(times, n=10, method="inclusive")[0] for times in every))


@dataclass(frozen=True)
class RoundTimes:
    """Milliseconds of a round: random selection, Titan in sequence, Titan pipelined."""

    alone: float
    sequential: float
    pipelined: float

    @property
    def ratio(self) -> float:
        """Pipelined Titan's time over random selection's."""
        return self.pipelined / self.alone

    @property
    def hidden(self) -> float | None:
        """The share of selection's cost that the pipeline hides; None if it costs nothing."""
        return hidden_share(self.alone, self.sequential, self.pipelined)

    def record(self) -> dict[str, float | None]:
        """Return what costs.json says of them."""
        return {
            "rs_ms": self.alone,
            "titan_sequential_ms": self.sequential,
            "titan_pipelined_ms": self.pipelined,
            "hidden_percent": None if self.hidden is None else 100 * self.hidden,
        }


def hidden_share(alone: float, sequential: float, pipelined: float) -> float | None:
    """Return how much of what selection adds in sequence is not added by the pipeline.

    Negative where the pipeline is slower than the sequence; None if selection adds nothing.
    """
    return None if sequential <= alone else 1 - (pipelined - alone) / (sequential - alone)


def run_side_by_side(
    config: DictConfig, workers: WorkerPool, task: Task, rounds: int
) -> SideBySide:
    """Time rounds of each.

    config: of Titan; `experiment.selectors.rs` holds random selection.
    workers: started. From here until it is closed, this process keeps to the training core.
    """
    random = with_selector(config, "rs")
    messages = _messages(random, workers, task)
    network = build_network(config)
    pipelined = _Timed(_executor(config, workers, network, task))  # first: it moves the weights
    alone, titan = (_Timed(_executor(each, None, network, task)) for each in (random, config))
    everyone = (alone, titan, pipelined)
    for timed in everyone:
        timed.run(WARM_UP)
        timed.forget()
    for begun in range(0, rounds, TURN):
        for timed in everyone:
            timed.run(min(TURN, rounds - begun))
    return SideBySide(
        alone=alone.rounds,
        sequential=titan.rounds,
        pipelined=pipelined.rounds,
        waits=pipelined.waits,
        selection=pipelined.selection,
        messages=messages,
    )


@dataclass
class _Timed:
    """An executor and what its rounds took, in milliseconds."""

    executor: Executor
    next_round: int = 0
    rounds: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    selection: list[float] = field(default_factory=list)

    def run(self, rounds: int) -> None:
        """Run and time a turn."""
        for _ in range(rounds):
            began = perf_counter()
            record = self.executor.run(self.next_round)
            self.rounds.append(1e3 * (perf_counter() - began))
            self.waits.append(1e3 * record.seconds_wait)
            selecting = record.seconds_filter + record.seconds_score + record.seconds_select
            self.selection.append(1e3 * selecting)
            self.next_round += 1

    def forget(self) -> None:
        """Drop the times of the warm-up."""
        for times in (self.rounds, self.waits, self.selection):
            times.clear()


def _executor(
    config: DictConfig, workers: WorkerPool | None, network: BlockNetwork, task: Task
) -> Executor:
    return build_executor(config, workers, network, build_selector(config), task)


def _messages(random: DictConfig, workers: WorkerPool, task: Task) -> list[float]:
    """Time rounds of workers that select at random, less what their stages do.

    Between two rounds training would make a step, while the filter process draws the next round.
    """
    _executor(random, workers, build_network(random), task)
    times = []
    for t in range(WARM_UP + MESSAGES):
        step_done = perf_counter() + STEP_SECONDS
        while perf_counter() < step_done:
            pass
        began = perf_counter()
        workers.begin(t)
        _, _, entries = workers.chosen()
        stages = sum(entries[f"seconds_{stage}"] for stage in ("filter", "score", "select"))
        times.append(1e3 * (perf_counter() - began - stages))
    return times[WARM_UP:]
