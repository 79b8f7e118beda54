"""Peak memory of a few rounds, in a process that does nothing else.

A process's peak never falls, and what one run leaves behind makes the next one's look larger, so
each is measured in a fresh process: this module, started as a program.
"""

import json
import os
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from titan_repro.devices.meters import MemoryMeter
from titan_repro.devices.process import prepare_process
from titan_repro.errors import PipelineError, UserError
from titan_repro.runs.build import (
    build_executor,
    build_loader,
    build_network,
    build_selector,
    build_workers,
    load_task,
)
from titan_repro.runs.run import process_ids
from titan_repro.tasks.base import locate

INTERVAL = 0.2


@dataclass(frozen=True)
class PeakMemory:
    """Megabytes.

    together: of all processes during the rounds, shared pages once; None if it is not told here.
    each: of each process since it began, so with imports and loading of data.
    """

    together: float | None
    each: dict[str, float]


def measure_in_fresh_process(config: DictConfig, rounds: int) -> PeakMemory:
    """Run `rounds` rounds of a configuration in a process of its own and return their peak memory.

    Raises PipelineError if that process fails; it ends with this one.
    """
    done = subprocess.run(
        [sys.executable, "-P", "-m", __name__, str(rounds)],
        input=OmegaConf.to_yaml(config, resolve=True),
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "OMP_NUM_THREADS": str(config.device.threads),
        },
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise PipelineError(f"measuring memory in a fresh process failed: {said[-1]}")
    return PeakMemory(**json.loads(done.stdout))


def measure_here(config: DictConfig, rounds: int) -> PeakMemory:
    """Run `rounds` rounds of a configuration and return their peak memory."""
    prepare_process(config.device.tensors, config.device.threads, config.executor.name)
    network, selector, loader = build_network(config), build_selector(config), build_loader(config)
    with build_workers(config) as workers:
        source = locate(loader, Path(config.paths.data).expanduser())
        task = load_task(config, loader, source)
        processes = process_ids(workers)
        meter = MemoryMeter(processes.values, interval=INTERVAL)
        with closing(build_executor(config, workers, network, selector, task)) as executor:
            meter.start()
            for t in range(rounds):
                executor.run(t)
            together, *each = meter.stop()
    names = {f"process {pid}": name for name, pid in processes.items()}
    return PeakMemory(together.value, {names[r.scope]: r.value for r in each if r.value})


def main() -> None:
    """Read a configuration from standard input and print its peak memory as JSON."""
    config: Any = OmegaConf.create(sys.stdin.read())
    try:
        print(json.dumps(vars(measure_here(config, int(sys.argv[1])))))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
