"""Run three small cells again: do they still end where results/ says?

python scripts/check_results.py [--results results]

Digits under rs and titan (600 rounds, against results/check) and movement under titan (1,000
rounds, against results/data), seed 0; under a minute. Exit status 1 if an accuracy moved by more
than seeds differ, or weights on the kind of processor that made the recorded ones; 2 if a cell
could not be run or is not recorded.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from titan_repro.analysis.repeat import repeat_of
from titan_repro.errors import UserError
from titan_repro.records.collect import collect

CELLS = {
    "digits rs": ("check", "task=digits model=small_cnn selector=rs rounds=600"),
    "digits titan": ("check", "task=digits model=small_cnn selector=titan rounds=600"),
    "dsads titan": ("data", "task=dsads model=mlp selector=titan rounds=1000"),
}
"""Each the export below results/ that has it, and what titan-run is told beside seed=0."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="FOLDER")
    results = parser.parse_args().results
    moved = False
    try:
        for name, (export, overrides) in CELLS.items():
            with tempfile.TemporaryDirectory() as scratch:
                if message := run_again(overrides.split(), Path(scratch)):
                    print(f"check-results: {name}: {message}", file=sys.stderr)
                    return 2
                [again] = collect(Path(scratch)).runs
                found = repeat_of(again, collect(results / export).runs)
            print(f"{'MOVED' if found.moved else 'holds'}  {found.words()}", flush=True)
            moved |= found.moved
    except UserError as error:
        print(f"check-results: {error}", file=sys.stderr)
        return 2
    return int(moved)


def run_again(overrides: list[str], runs: Path) -> str:
    """Make a run with seed 0; return why it could not be made, else ""."""
    command = [sys.executable, "-m", "titan_repro.cli.run", *overrides, "seed=0"]
    ended = subprocess.run(
        [*command, f"paths.runs={runs}"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if ended.returncode == 0 else ended.stderr.strip() or f"status {ended.returncode}"


if __name__ == "__main__":
    sys.exit(main())
