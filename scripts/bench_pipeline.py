"""What selection costs a round: in sequence with training, and beside it in three processes.

    python scripts/bench_pipeline.py [--models mlp squeezenet ...] [--rounds 200] [OVERRIDE ...]

For each model, in turns of 20 rounds so that all see the same machine: `rs` alone on the training
core; Titan with executor=inline on the same core; Titan with executor=processes, training on that
core, filter and selection on another one. Needs two idle cores and, in TITAN_DATA, CIFAR-10, the
Speech Commands spectrograms and DSADS. All six models take about ten minutes.
Expected: pipelined / rs at most 1.05 for image and audio models and 1.5 for mlp, at least 90 % of
the selection's cost hidden, and less than 0.3 ms a round for talking to one another.
"""

import argparse
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from time import perf_counter

import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from titan_repro.conf_path import conf_dir
from titan_repro.config import register_schema, validate
from titan_repro.devices.profile import configure_process
from titan_repro.errors import UserError
from titan_repro.experiments.build import (
    build_crew,
    build_executor,
    build_loader,
    build_network,
    build_selector,
    load_task,
)
from titan_repro.pipeline.crew import Crew
from titan_repro.pipeline.round import Executor
from titan_repro.tasks.base import Task, locate

TASKS = {
    "alexnet": "cifar10",
    "mobilenet": "cifar10",
    "squeezenet": "cifar10",
    "resnet50": "cifar10",
    "resnet34": "speech_spectrograms",
    "mlp": "dsads",
}
TURN, WARM_UP = 20, 20
PROCESSES = ("executor=processes", "device.cores.train=[0]", "device.cores.filter=[1]")


@dataclass
class Timed:
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
            result = self.executor.run(self.next_round)
            self.rounds.append(1e3 * (perf_counter() - began))
            seconds = result.work.seconds
            self.waits.append(1e3 * result.work.wait_seconds)
            self.selection.append(1e3 * sum(seconds[s] for s in ("filter", "score", "select")))
            self.next_round += 1

    def forget(self) -> None:
        """Drop the times of the warm-up."""
        for times in (self.rounds, self.waits, self.selection):
            times.clear()


def main() -> None:
    """Print a table, a line a model."""
    arguments = parse()
    register_schema()
    try:
        measure_all(arguments)
    except UserError as error:
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(2)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--models", nargs="+", choices=TASKS, default=list(TASKS), metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=200, help="timed rounds of each (200)")
    parser.add_argument("overrides", nargs="*", help="of the configuration, such as stream=drift")
    return parser.parse_args()


def measure_all(arguments: argparse.Namespace) -> None:
    load = os.getloadavg()[0]
    print(f"one thread a process, {arguments.rounds} rounds of each; load before: {load:.1f}")
    print(
        f"{'model':<11}{'rs':>9}{'titan':>9}{'pipelined':>10}   {'/ rs':>6}{'hidden':>8}"
        f"{'waiting':>9}{'selection':>10}{'messages':>9}   (medians, ms)"
    )
    for model in arguments.models:
        config = configuration(model, "selector=titan", *PROCESSES, *arguments.overrides)
        with build_crew(config) as crew:
            if crew is None:
                raise UserError("executor: found inline; allowed here: processes")
            print(line(model, config, crew, arguments), flush=True)


def configuration(model: str, *overrides: str) -> DictConfig:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        task = (f"task={TASKS[model]}", f"model={model}")
        config = compose("config", [*task, "device.cores.select=[1]", *overrides])
    validate(config)
    return config


def line(model: str, config: DictConfig, crew: Crew, arguments: argparse.Namespace) -> str:
    """Measure a model and return its line."""
    configure_process(torch.device("cpu"), 1)
    loader = build_loader(config)
    task = load_task(config, loader, locate(loader, Path(config.paths.data)))
    messages = message_milliseconds(model, crew, task, arguments.overrides)
    pipelined = Timed(build(config, crew, task))  # first: from here on, this process has one core
    titan = Timed(build(config, None, task))
    rs = Timed(build(configuration(model, "selector=rs", *arguments.overrides), None, task))
    all_three = (rs, titan, pipelined)
    for timed in all_three:
        timed.run(WARM_UP)
        timed.forget()
    while len(rs.rounds) < arguments.rounds:
        for timed in all_three:
            timed.run(min(TURN, arguments.rounds - len(timed.rounds)))
    alone, sequential, beside = (median(timed.rounds) for timed in all_three)
    hidden = 1 - (beside - alone) / (sequential - alone)
    return (
        f"{model:<11}{alone:9.3f}{sequential:9.3f}{beside:10.3f}   {beside / alone:6.3f}"
        f"{100 * hidden:7.1f}%{median(pipelined.waits):9.3f}{median(pipelined.selection):10.3f}"
        f"{messages:9.3f}   of the means: {mean(pipelined.rounds) / mean(rs.rounds):.3f}"
    )


def build(config: DictConfig, crew: Crew | None, task: Task) -> Executor:
    return build_executor(config, crew, build_network(config), build_selector(config), task)


def message_milliseconds(model: str, crew: Crew, task: Task, overrides: list[str]) -> float:
    """Return what a round takes if nobody has anything to do: messages, and rows passed on."""
    config = configuration(model, "selector=rs", "delay=1", *PROCESSES, *overrides)
    build(config, crew, task)
    times = []
    for t in range(WARM_UP + 200):
        began = perf_counter()
        crew.begin(t)
        _, facts = crew.chosen()
        stages = sum(facts.seconds[stage] for stage in ("filter", "score", "select"))
        times.append(1e3 * (perf_counter() - began - stages))
    return median(times[WARM_UP:])


if __name__ == "__main__":
    main()
