"""Load time and peak memory of every data set that is found, first and from the cache.

Each load is a process of its own; its time counts from after the imports, its memory is the whole
process's peak. Usage: scripts/bench_loading.py [TASK ...], data from TITAN_DATA or data/.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from titan_repro.cli.catalogue import make_loader, task_names
from titan_repro.config import PathsConfig
from titan_repro.errors import DataError
from titan_repro.figures.table import Table


def load(name: str, cache: Path) -> dict[str, float]:
    """Load one task in this process; return seconds, peak and tensors in MB, and counts."""
    import torch

    torch.set_num_threads(1)
    loader = make_loader(name)
    source = loader.locate(Path(PathsConfig().data))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    task = loader.load(source, cache)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    size = sum(part.inputs.nbytes for part in (task.train, task.test))
    return {
        "seconds": seconds,
        "peak": peak / 1024,
        "imports": before / 1024,
        "size": size / 2**20,
        "train": len(task.train),
        "test": len(task.test),
    }


def in_process(name: str, cache: Path) -> dict[str, float]:
    """Load one task in a fresh process."""
    command = [sys.executable, __file__, "--child", name, str(cache)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Print a table, a row a task."""
    header = ("task", "train / test", "first load, s", "cached, s", "peak first / cached, MB")
    rows = []
    for name in sys.argv[1:] or task_names():
        try:
            make_loader(name).locate(Path(PathsConfig().data))
        except DataError as error:
            print(f"{name} left out: {error}", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory(prefix="titan-bench-") as cache:
            try:
                first, again = in_process(name, Path(cache)), in_process(name, Path(cache))
            except subprocess.CalledProcessError as error:
                print(f"{name} left out: {error.stderr.splitlines()[-1]}", file=sys.stderr)
                continue
        rows.append(
            (
                name,
                f"{first['train']:,} / {first['test']:,}",
                f"{first['seconds']:.1f}",
                f"{again['seconds']:.2f}",
                f"{first['peak']:.0f} / {again['peak']:.0f}",
                f"{first['size']:.0f}",
            )
        )
        imports = first["imports"]
    note = f"Peak memory is the whole process's; {imports:.0f} MB of it are there after imports."
    print(Table("What loading costs", (*header, "inputs, MB"), rows, (note,)).markdown())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(load(sys.argv[2], Path(sys.argv[3]))))
    else:
        main()
