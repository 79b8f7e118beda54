"""Killed just before any of its changes to the disk and started again, a run ends as undisturbed.

A real run: digits, 5 rounds, a checkpoint after each. The test's process imports everything and
computes nothing; runs, and the processes that they start, are forks of it, so that a run costs a
fraction of a second.
"""

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
import torch

from forking import ForkedPython, end_of_fork
from titan_repro.pipeline import pool
from titan_repro.runs.build import build_loader, load_task
from titan_repro.runs.run import run
from titan_repro.tasks.base import locate

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}
"""Audit events that change the disk, beside `open` for writing."""

TINY = ("rounds=5", "evaluate_every=2", "evaluation_samples=50", "checkpoint_seconds=0")
SAMPLE = 4
"""Moments of each fast test, out of some 150; the slow tests try all."""

INLINE = ("selector=titan", "model.norm=batch", "class_importance=ema")
PROCESSES = (*INLINE, "executor=processes", "device.cores=null")


def in_a_fork(config, last_change=None):
    """Run `config` in a process that is killed just before a change, counted from 0.

    Returns its exit code, as `os.waitstatus_to_exitcode` has it, and how many changes it made.
    """
    seen, tell = os.pipe()
    status = end_of_fork(lambda: _run_watched(config, last_change, tell))
    os.close(tell)
    changes = os.read(seen, 1_000_000).count(b".")
    os.close(seen)
    return status, changes


def _run_watched(config, last_change, tell):
    """Be the fork."""
    me, changes = os.getpid(), itertools.count()

    def watch(event, arguments):
        if event == "open":
            is_change = bool(arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        else:
            is_change = event in CHANGES
        if is_change and os.getpid() == me:
            if next(changes) == last_change:
                os.kill(me, signal.SIGKILL)
            os.write(tell, b".")

    pool.subprocess = SimpleNamespace(**{**vars(subprocess), "Popen": ForkedPython})
    sys.addaudithook(watch)
    run(config, ["titan-run"])


def result(runs: Path):
    """Return all of a finished run's results but for measured times."""
    (folder,) = (path.parent for path in runs.rglob("summary.json"))
    summary = json.loads((folder / "summary.json").read_text())
    rounds = pq.read_table(folder / "rounds.parquet").to_pandas()
    seconds = [name for name in rounds.columns if name.startswith("seconds_")]
    keys = ("status", "run_id", "rounds_done", "weights_sha256", "final_accuracy", "final_loss")
    return {
        "rounds": rounds.drop(columns=seconds).map(str).to_dict("list"),
        "curve": [line.split(",")[:3] for line in (folder / "evaluations.csv").open()],
        "milestones": [{**m, "train_seconds": None} for m in summary["milestones"]],
        "files": sorted(path.name for path in folder.iterdir()),
        **{key: summary[key] for key in keys},
    }


class Case:
    """A command: what it starts from (nothing, or a finished run of 3 rounds), what comes of it.

    changes: to the disk, that an undisturbed run makes.
    """

    def __init__(self, configure, folder, overrides, extending):
        self.configure = configure
        self.folder = folder
        self.overrides = overrides
        self.extending = extending
        self.shorter = folder / "three-rounds"
        if extending:
            assert in_a_fork(self.config(self.shorter, "rounds=3"))[0] == 0
        runs = self.start("undisturbed")
        status, self.changes = in_a_fork(self.config(runs))
        assert status == 0
        self.expected = result(runs)

    def config(self, runs, *more):
        return self.configure(*TINY, *self.overrides, f"paths.runs={runs}", *more)

    def start(self, name):
        """Return the folder of a command that has not begun yet."""
        runs = self.folder / name
        if self.extending:
            shutil.copytree(self.shorter, runs)
        return runs

    def check(self, change):
        """Kill the command before a change, give it once more, and compare."""
        runs = self.start(f"killed-{change}")
        assert in_a_fork(self.config(runs), change) == (-signal.SIGKILL, change)
        assert in_a_fork(self.config(runs))[0] == 0
        assert result(runs) == self.expected, f"killed before change {change}"


@pytest.fixture(scope="module", autouse=True)
def _everything_is_imported():
    """Import what a run imports late, so that not every fork does."""
    import torch._dynamo  # noqa: F401

    import titan_repro.pipeline.stages  # noqa: F401


@pytest.fixture
def case(configure, tmp_path):
    def made(overrides, extending):
        config = configure(*TINY, *overrides)
        loader = build_loader(config)
        load_task(config, loader, locate(loader, Path("unused")))  # forks find it in memory
        return Case(configure, tmp_path, overrides, extending)

    return made


@pytest.mark.parametrize("extending", [False, True], ids=["new", "extending"])
def test_a_run_killed_at_some_of_its_changes_ends_as_undisturbed(case, extending):
    assert torch.get_num_threads() == 1  # no thread of torch is lost in a fork
    tried = case(INLINE, extending)
    changes = tried.changes
    assert changes > SAMPLE
    last = {changes - 1, changes - 2}  # where the run ends
    drawn = random.Random(changes).sample(range(changes - 2), SAMPLE - len(last))
    for change in sorted({*drawn, *last}):
        tried.check(change)


@pytest.mark.slow
@pytest.mark.parametrize("extending", [False, True], ids=["new", "extending"])
@pytest.mark.parametrize("overrides", [INLINE, PROCESSES], ids=["inline", "processes"])
def test_a_run_killed_at_any_of_its_changes_ends_as_undisturbed(case, overrides, extending):
    tried = case(overrides, extending)
    for change in range(tried.changes):
        tried.check(change)
