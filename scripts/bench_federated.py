"""What a federation costs by its number of devices: seconds a round and peak memory.

    python scripts/bench_federated.py [--devices 50 500 5000 50000] [--rounds 20] [--flower 50]
        [--pfl 50] [OVERRIDE ...]

Ten devices take part in each round, however many there are. Each size is a process of its own, on
SqueezeNet and CIFAR-10 (TITAN_DATA) under rs unless an override says otherwise: model=mobilenet,
selector=titan, federation.workers=2, federation.share=0.001. CIFAR-10 has 50,000 training samples,
so devices hold a single class each: 50,000 of them one sample. Seconds are the median of the
rounds after two that warm up. Sharing out, which is done once, is told apart. Peak memory is the
rounds', of all processes together.
Expected: seconds and memory of all sizes within 20 % of each other. Not with selectors that have a
filter: each device that has taken part keeps its sums, with federation.devices=50 at most 50 times.
--flower: also the same rounds of so many devices in Flower's simulation (extra flower), a process a
core; its memory is not measured.
--pfl: likewise in Apple's pfl (pip install pfl, in an environment of one's own), in one process;
with selector=rs alone.
"""

import argparse
import json
import subprocess
import sys
from contextlib import closing
from importlib import import_module
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from titan_repro.conf_path import conf_dir
from titan_repro.config import register_schema
from titan_repro.devices.meters import MemoryMeter
from titan_repro.errors import ConfigurationError, UserError
from titan_repro.figures.table import Table
from titan_repro.flower.local import run_locally
from titan_repro.runs.job import build
from titan_repro.runs.run import process_ids

PARTICIPANTS = 10
WARMING_UP = 2
PRESET = (
    "task=cifar10",
    "model=squeezenet",
    "selector=rs",
    "federation=fedavg",
    "federation.classes_per_device=1",
)


def composed(devices: int, overrides: list[str]) -> DictConfig:
    """Compose the configuration of one size."""
    register_schema()
    own = [f"federation.devices={devices}", f"federation.share={PARTICIPANTS / devices}"]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose("config", overrides=[*PRESET, *own, *overrides])


def measure(devices: int, rounds: int, overrides: list[str]) -> dict[str, float]:
    """Run rounds in this process; return seconds and MB."""
    job = build(composed(devices, overrides))
    with job.workers as workers:
        task = job.load()
        began = perf_counter()
        with closing(job.executor(workers, task)) as executor:
            sharing_out = perf_counter() - began
            meter = MemoryMeter(process_ids(workers).values, interval=0.1)
            meter.start()
            seconds = []
            for t in range(WARMING_UP + rounds):
                began = perf_counter()
                executor.run(t)
                seconds.append(perf_counter() - began)
            together, *_ = meter.stop()
    memory = together.value if isinstance(together.value, float) else float("nan")
    return {"seconds": median(seconds[WARMING_UP:]), "out": sharing_out, "memory": memory}


def in_flower(devices: int, rounds: int, overrides: list[str]) -> float:
    """Run the same rounds in Flower's simulation; return the seconds of one."""
    own = [f"federation.devices={devices}", f"federation.share={PARTICIPANTS / devices}"]
    length = [f"rounds={WARMING_UP + rounds}", f"evaluate_every={WARMING_UP + rounds}"]
    with TemporaryDirectory() as folder:
        result = Path(folder) / "flower.json"
        found = run_locally("simulation", [*PRESET, *own, *overrides, *length], result)
    return float(median(found["seconds"][WARMING_UP:]))


def in_pfl(devices: int, rounds: int, overrides: list[str]) -> dict[str, float]:
    """Run the same rounds in pfl in this process; return seconds."""
    from pfl_rounds import seconds_of_rounds

    seconds = seconds_of_rounds(composed(devices, overrides), WARMING_UP + rounds)
    return {"seconds": median(seconds[WARMING_UP:])}


def require_pfl() -> None:
    """Raise ConfigurationError unless pfl can be imported."""
    try:
        import_module("pfl.model.pytorch")
    except ImportError as error:
        raise ConfigurationError(
            f"--pfl: found no pfl that can be imported ({error}); allowed: in an environment with "
            "it (pip install pfl)"
        ) from error


MEASURES = {"ours": measure, "pfl": in_pfl}


def in_process(system: str, devices: int, rounds: int, overrides: list[str]) -> dict[str, float]:
    """Measure one size in a fresh process; end this one as that if it fails."""
    options = ["--child", system, "--devices", str(devices), "--rounds", str(rounds)]
    command = [sys.executable, __file__, *options, *overrides]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        line = done.stderr.strip().splitlines()[-1]
        print(f"bench: {devices} devices: {line}", file=sys.stderr)
        sys.exit(done.returncode)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Print a table, a row a number of devices; exit status as titan-run's."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--devices", type=int, nargs="+", default=[50, 500, 5000, 50_000])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--flower", type=int, metavar="DEVICES")
    parser.add_argument("--pfl", type=int, metavar="DEVICES")
    parser.add_argument("--child", choices=MEASURES, help=argparse.SUPPRESS)
    options, overrides = parser.parse_known_args()
    try:
        if options.child is not None:
            (devices,) = options.devices
            print(json.dumps(MEASURES[options.child](devices, options.rounds, overrides)))
        else:
            print(table(options, overrides).markdown())
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)


def table(options: argparse.Namespace, overrides: list[str]) -> Table:
    """Measure all that is asked for; other simulations first, as they refuse some overrides."""
    others = []
    if options.pfl is not None:
        require_pfl()
        seconds = in_process("pfl", options.pfl, options.rounds, overrides)["seconds"]
        others.append((f"{options.pfl:,}, pfl", seconds))
    if options.flower is not None:
        seconds = in_flower(options.flower, options.rounds, overrides)
        others.append((f"{options.flower:,}, Flower", seconds))
    rows, first = [], None
    for devices in options.devices:
        found = in_process("ours", devices, options.rounds, overrides)
        first = first or found
        cells = [
            f"{found[name]:.{digits}f} ({100 * (found[name] / first[name] - 1):+.0f} %)"
            for name, digits in (("seconds", 3), ("memory", 0))
        ]
        rows.append((f"{devices:,}", *cells, f"{found['out']:.2f}"))
    for name, seconds in others:
        beside = f" ({100 * (seconds / first['seconds'] - 1):+.0f} %)" if first else ""
        rows.append((name, f"{seconds:.3f}{beside}", "", ""))
    keys = dict(pair.partition("=")[::2] for pair in (*PRESET, *overrides))
    told = " ".join(f"{key}={value}" for key, value in keys.items())
    title = f"A round of {PARTICIPANTS} participants: {told}"
    header = ("devices", "seconds a round", "peak memory, MB", "sharing out, s, once")
    return Table(title, header, rows, ("In brackets: beside the first row.",))


if __name__ == "__main__":
    main()
