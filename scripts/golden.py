"""Guard the bits of runs while the code is reorganised: record hashes before, compare after.

    python scripts/golden.py record FILE [--only 'digits/*']
    python scripts/golden.py compare FILE [--only 'digits/*']

Runs a fixed table of small runs through `titan-run`, from the source beside this script, with a
data cache of its own: four minutes on an idle core. Kept of every run: hash of the weights, a
hash of each round's batch, the accuracies. They hold for one kind of processor and one version
of PyTorch. Data sets are looked for in TITAN_DATA; what is not there is left out and said so.
Exit status of compare: 0 all equal, 1 something differs, 2 recorded on another kind of machine.
"""

import argparse
import csv
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from importlib.metadata import version
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any

import pyarrow.parquet as pq
from omegaconf import OmegaConf

ROOT = Path(__file__).resolve().parents[1]
GROUPS = ("task", "model", "selector", "stream", "executor")
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16")
DIGITS = "rounds=60 evaluate_every=20"
SHORT = "rounds=20 evaluate_every=10 evaluation_samples=200"
LONGER = "rounds=200 evaluate_every=100 evaluation_samples=200"

Entry = dict[str, Any]
Command = tuple[dict[str, list[str]], list[str]]
"""One sweep: the values on every axis, all combinations of which are run, and what is fixed."""


def table() -> list[Command]:
    """Return every command; selectors are those of conf/."""
    selectors = sorted(path.stem for path in (ROOT / "conf" / "selector").glob("*.yaml"))
    streams = "clean,feature_noise,label_noise"
    beside = [name for name in selectors if composed(f"selector={name}").delay == 1]
    mlp = composed("task=dsads", "model=mlp")
    inner = OmegaConf.select(mlp, "model.network.widths") is not None
    widths = "model.network.widths" if inner else "model.widths"
    floor = "learning_rate_floor=0" if "learning_rate_floor" in mlp else ""

    def command(axes: str, fixed: str = DIGITS) -> Command:
        start = "task=digits model=small_cnn selector=titan stream=clean executor=inline"
        pairs = (pair.split("=") for pair in f"{start} {axes}".split())
        return {key: values.split(",") for key, values in pairs}, f"{fixed} {floor}".split()

    return [
        command(f"selector={','.join(selectors)} stream={streams}"),
        command(f"selector={','.join(beside)} stream={streams} executor=processes"),
        command("selector=titan,cis model.norm=batch"),
        command("class_importance=ema"),
        # 28 of 30: some are due more than once, else no replacement ends as systematic
        command("sampling=systematic,multinomial,without_replacement batch_size=28"),
        command("weighting=unbiased"),
        command("scoring_norm=batch model.norm=batch"),  # says nothing to a network without norm
        command("gradient=full"),
        command("filter.score=random,rank_mix,rep,div"),
        command("filter.quota=per_class_equal"),
        command("filter.pooling=average"),
        command("task=dsads model=mlp selector=titan,rs,cis", f"{DIGITS} {widths}=[100]"),
        command("task=cifar10 model=squeezenet selector=rs,titan", LONGER),
        command("task=cifar10 model=mobilenet,alexnet selector=rs,titan", SHORT),
    ]


def titan_run(*arguments: str, cache: str = "") -> subprocess.CompletedProcess[str]:
    """Run the console command of the source beside this script."""
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    own = {"OMP_NUM_THREADS": "1", "PYTHONPATH": path.rstrip(os.pathsep), "TITAN_CACHE": cache}
    return subprocess.run(
        [sys.executable, "-m", "titan_repro.cli.run", *arguments],
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=False,
    )


def composed(*overrides: str) -> Any:
    """Return the configuration that overrides lead to."""
    done = titan_run("--cfg", "job", "--resolve", *overrides)
    if done.returncode:
        sys.exit(f"golden: {' '.join(overrides)}: {done.stderr.strip()}")
    return OmegaConf.create(done.stdout)


def name_of(values: Mapping[str, str]) -> str:
    """Return an entry's name: task/model/selector/stream/executor, then other keys."""
    others = [f"{key}={value}" for key, value in values.items() if key not in GROUPS]
    return "/".join([*(values[group] for group in GROUPS), *others])


def members(command: Command) -> dict[str, dict[str, str]]:
    """Return the entries of a command by name: the value on every axis."""
    axes = command[0]
    points = (dict(zip(axes, values, strict=True)) for values in product(*axes.values()))
    return {name_of(point): point for point in points}


def run_all(wanted: set[str], commands: list[Command]) -> dict[str, Entry]:
    """Run the wanted entries, with others where a sweep cannot leave them out."""
    found: dict[str, Entry] = {}
    with tempfile.TemporaryDirectory(prefix="golden-") as scratch:
        for number, command in enumerate(commands):
            points = [point for name, point in members(command).items() if name in wanted]
            if not points:
                continue
            axes = {key: sorted({point[key] for point in points}) for key in command[0]}
            sweep = [f"{key}={','.join(values)}" for key, values in axes.items()] + command[1]
            runs = Path(scratch, str(number))  # executors share run ids, so each has a folder
            began = perf_counter()
            done = titan_run("-m", *sweep, f"paths.runs={runs}", cache=f"{scratch}/cache")
            print(f"{perf_counter() - began:5.1f} s  {' '.join(sweep)}", file=sys.stderr)
            if done.returncode:
                print(f"exit status {done.returncode}: {done.stderr[-2000:]}", file=sys.stderr)
            found |= {name: entry for name, entry in entries(runs, list(axes)) if name in wanted}
    return found


def entries(runs: Path, axes: list[str]) -> Iterator[tuple[str, Entry]]:
    """Read every finished run of a sweep and name it by its configuration."""
    keys = {axis: f"{axis}.name" if axis in GROUPS else axis for axis in axes}
    for summary in sorted(runs.rglob("summary.json")):
        config = OmegaConf.load(summary.with_name("config.yaml"))
        outcome = json.loads(summary.read_text())
        rounds = pq.read_table(summary.with_name("rounds.parquet"), columns=["trained_indices"])
        batches = [digest(row) for row in rounds["trained_indices"].to_pylist()]
        with summary.with_name("evaluations.csv").open(newline="") as file:
            accuracies = {row["round"]: float(row["accuracy"]) for row in csv.DictReader(file)}
        accuracies[f"{len(batches)}, whole test set"] = outcome["final_accuracy"]
        entry = {
            "batches": {str(t): batch for t, batch in enumerate(batches)},
            "accuracies": accuracies,
            "weights": {str(len(batches)): outcome["weights_sha256"]},
        }
        yield name_of({axis: str(OmegaConf.select(config, keys[axis])) for axis in axes}), entry


def digest(row: list[int]) -> str:
    """Return a short hash of a batch."""
    return hashlib.sha256(json.dumps(row).encode()).hexdigest()[:16]


def difference(old: Entry, new: Entry) -> str:
    """Say which parts differ and from which round on, or nothing."""
    says = []
    for part in ("batches", "accuracies", "weights"):
        rounds = {**old[part], **new[part]}
        differing = [t for t in rounds if old[part].get(t) != new[part].get(t)]
        says += [f"{part} from round {differing[0]}"] if differing else []
    return "; ".join(says)


def machine() -> dict[str, Any]:
    """Return what hashes depend on besides the source."""
    text = Path("/proc/cpuinfo").read_text()
    facts = dict(re.findall(r"^(model name|flags)\s*: (.*)$", text, re.MULTILINE))
    flags = [flag for flag in FLAGS if flag in facts.get("flags", "").split()]
    return {"cpu": facts.get("model name", "unknown"), "flags": flags, "torch": version("torch")}


def record(file: Path, chosen: Callable[[str], bool]) -> int:
    commands = table()
    wanted = {name for command in commands for name in members(command) if chosen(name)}
    found = run_all(wanted, commands)
    for name in sorted(wanted - set(found)):
        print(f"{name}: no run, nothing recorded")
    if not wanted or wanted - set(found):
        return 1
    result = {"machine": machine(), "entries": dict(sorted(found.items()))}
    file.write_text(json.dumps(result, indent=1) + "\n")
    print(f"{len(found)} entries recorded")
    return 0


def compare(file: Path, chosen: Callable[[str], bool]) -> int:
    recorded = json.loads(file.read_text())
    there, here = recorded["machine"], machine()
    if there != here:
        print(f"hashes hold for one kind of processor and PyTorch only: {there}, here {here}")
        return 2
    commands = table()
    old = {name: entry for name, entry in recorded["entries"].items() if chosen(name)}
    for name in (name for command in commands for name in members(command) if chosen(name)):
        if name not in old:
            print(f"{name}: new, not compared")
    new = run_all(set(old), commands)
    says = {name: difference(old[name], new[name]) if name in new else "no run" for name in old}
    for name, text in says.items():
        if text:
            print(f"{name}: {text}")
    equal = sum(not text for text in says.values())
    print(f"{equal} of {len(old)} equal")
    return int(equal < len(old) or not old)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=("record", "compare"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--only", default="*", help="entries whose name matches this pattern")
    arguments = parser.parse_args()
    data = Path(os.environ.get("TITAN_DATA") or "data")
    absent = [task for task in ("dsads", "cifar10") if not (data / task).is_dir()]
    for task in absent:
        print(f"{task}: skipped, as it is not in the folder of TITAN_DATA")

    def chosen(name: str) -> bool:
        return fnmatchcase(name, arguments.only) and name.split("/")[0] not in absent

    return (record if arguments.command == "record" else compare)(arguments.file, chosen)


if __name__ == "__main__":
    sys.exit(main())
