"""What selection costs a round: in sequence with training, and beside it in three processes.

    python scripts/bench_pipeline.py [--models mlp squeezenet ...] [--rounds 200] [OVERRIDE ...]

For each model, in turns of 20 rounds so that all see the same machine: `rs` alone on the training
core; Titan with executor=inline on the same core; Titan with executor=processes, training on that
core, filter and selection on another one. Needs two idle cores and, in TITAN_DATA, CIFAR-10, the
Speech Commands spectrograms and DSADS. All six models take about ten minutes.
Expected: pipelined / rs at most 1.05 for image and audio models and 1.5 for mlp, at least 90 % of
the selection's cost hidden, and less than 0.3 ms a round for talking to one another.
`titan-run experiment=fig6` measures the same, and more, and keeps it.
"""

import argparse
import os
import sys
from pathlib import Path
from statistics import median

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from titan_repro.conf_path import conf_dir
from titan_repro.config import register_schema
from titan_repro.costs.measure import check_measurable
from titan_repro.costs.rounds import SideBySide, run_side_by_side
from titan_repro.devices.process import prepare_process
from titan_repro.errors import UserError
from titan_repro.runs.build import build_loader, build_workers, load_task
from titan_repro.tasks.base import locate

TASKS = {
    "alexnet": "cifar10",
    "mobilenet": "cifar10",
    "squeezenet": "cifar10",
    "resnet50": "cifar10",
    "resnet34": "speech_spectrograms",
    "mlp": "dsads",
}


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
    print(f"{'medians, ms':<74}    of the 10th percentiles")
    print(
        f"{'model':<11}{'rs':>9}{'titan':>9}{'pipelined':>10}   {'/ rs':>6}{'hidden':>8}"
        f"{'waiting':>9}{'selection':>10}{'messages':>9}   {'/ rs':>6}{'hidden':>8}"
    )
    for model in arguments.models:
        print(line(model, measure(configuration(model, arguments))), flush=True)


def configuration(model: str, arguments: argparse.Namespace) -> DictConfig:
    chosen = (f"task={TASKS[model]}", f"model={model}", f"experiment.rounds={arguments.rounds}")
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = compose("config", ["experiment=fig6", *chosen, *arguments.overrides])
    check_measurable(config)
    return config


def measure(config: DictConfig) -> SideBySide:
    prepare_process(config.device.tensors, config.device.threads, config.executor.name)
    loader = build_loader(config)
    with build_workers(config) as workers:
        assert workers is not None
        task = load_task(config, loader, locate(loader, Path(config.paths.data).expanduser()))
        return run_side_by_side(config, workers, task, config.experiment.rounds)


def line(model: str, times: SideBySide) -> str:
    typical, quiet = times.typical(), times.quiet()
    return (
        f"{model:<11}{typical.alone:9.3f}{typical.sequential:9.3f}{typical.pipelined:10.3f}"
        f"   {typical.ratio:6.3f}{percent(typical.hidden):>8}{median(times.waits):9.3f}"
        f"{median(times.selection):10.3f}{median(times.messages):9.3f}"
        f"   {quiet.ratio:6.3f}{percent(quiet.hidden):>8}"
    )


def percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}%"


if __name__ == "__main__":
    main()
