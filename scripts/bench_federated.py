"""What a federation costs by its number of devices: seconds a round and peak memory.

    python scripts/bench_federated.py [--devices 50 500 5000 50000] [--rounds 20] [--flower 50]
        [OVERRIDE ...]

Ten devices take part in each round, however many there are. Each size is a process of its own, on
SqueezeNet and CIFAR-10 (TITAN_DATA) under rs unless an override says otherwise: model=mobilenet,
selector=titan, federation.workers=2, federation.share=0.001. CIFAR-10 has 50,000 training samples,
so devices hold a single class each: 50,000 of them one sample. Seconds are the median of the
rounds after two that warm up. Sharing out, which is done once, is told apart. Peak memory is the
rounds', of all processes together.
Expected: seconds and memory of all sizes within 20 % of each other. Not with selectors that have a
filter: each device that has taken part keeps its sums, with federation.devices=50 at most 50 times.
--flower: after them the same rounds of so many devices in Flower's simulation (extra flower), a
process a core; its memory is not measured.
"""

import argparse
import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from hydra import compose, initialize_config_dir

from titan_repro.conf_path import conf_dir
from titan_repro.config import register_schema
from titan_repro.devices.meters import MemoryMeter
from titan_repro.errors import UserError
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


def measure(devices: int, rounds: int, overrides: list[str]) -> dict[str, float]:
    """Run rounds in this process; return seconds and MB."""
    register_schema()
    own = [f"federation.devices={devices}", f"federation.share={PARTICIPANTS / devices}"]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = compose("config", overrides=[*PRESET, *own, *overrides])
    job = build(config)
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


def in_process(devices: int, rounds: int, overrides: list[str]) -> dict[str, float]:
    """Measure one size in a fresh process."""
    command = [sys.executable, __file__, "--child", str(devices), "--rounds", str(rounds)]
    done = subprocess.run([*command, *overrides], check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"bench: {devices} devices: {done.stderr.strip().splitlines()[-1]}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Print a table, a row a number of devices."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--devices", type=int, nargs="+", default=[50, 500, 5000, 50_000])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--flower", type=int, metavar="DEVICES")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options, overrides = parser.parse_known_args()
    if options.child is not None:
        try:
            print(json.dumps(measure(options.child, options.rounds, overrides)))
        except UserError as error:
            sys.exit(str(error))
        return
    rows, first = [], None
    for devices in options.devices:
        found = in_process(devices, options.rounds, overrides)
        first = first or found
        cells = [
            f"{found[name]:.{digits}f} ({100 * (found[name] / first[name] - 1):+.0f} %)"
            for name, digits in (("seconds", 3), ("memory", 0))
        ]
        rows.append((f"{devices:,}", *cells, f"{found['out']:.2f}"))
    if options.flower is not None:
        seconds = in_flower(options.flower, options.rounds, overrides)
        beside = f" ({100 * (seconds / first['seconds'] - 1):+.0f} %)" if first else ""
        rows.append((f"{options.flower:,}, Flower", f"{seconds:.3f}{beside}", "", ""))
    keys = dict(pair.partition("=")[::2] for pair in (*PRESET, *overrides))
    told = " ".join(f"{key}={value}" for key, value in keys.items())
    title = f"A round of {PARTICIPANTS} participants: {told}"
    header = ("devices", "seconds a round", "peak memory, MB", "sharing out, s, once")
    print(Table(title, header, rows, ("In brackets: beside the first row.",)).markdown())


if __name__ == "__main__":
    main()
