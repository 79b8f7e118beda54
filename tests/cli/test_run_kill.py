"""Killed at any moment and started again, a run ends bit-identical to one that nothing stopped."""

import itertools
import os
import random
import signal
from pathlib import Path

import pytest
import yaml
from commands import call, finish, forked, result, run_folders, start, wait_until
from omegaconf import DictConfig, OmegaConf

from forking import end_of_fork
from titan_repro.records import checkpoint
from titan_repro.runs.run import run

REMEMBERING = ("selector=titan", "model.norm=batch", "class_importance=ema")
"""Everything that a run can carry from round to round: statistics, memory, a batch in flight."""

LONGER = ("rounds=200", "evaluate_every=30", "evaluation_samples=50", *REMEMBERING)
"""Lasts a second or more: long enough to be met on the way."""


class Killer:
    """A callback that ends its process by kill -9, in which no handler or `finally` can run."""

    def __init__(self, after_rounds: int) -> None:
        self.left = after_rounds

    def begin(self, folder, start, rounds):
        self._kill_if_due()

    def round(self, result):
        self.left -= 1
        self._kill_if_due()

    def evaluation(self, rounds_done, evaluation):
        pass

    def end(self):
        pass

    def _kill_if_due(self):
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def run_and_die(config: DictConfig, after_rounds: int) -> None:
    """What a child process does."""
    run(config, ["titan-run"], [Killer(after_rounds)])


def saved_rounds(folder: Path) -> int:
    saved = checkpoint.load(folder / "checkpoint.pt")
    return 0 if saved is None else saved.next_round


@pytest.mark.slow
def test_ten_kills_in_a_row_leave_no_trace_in_the_result(configure, tmp_path):
    sizes = ("rounds=60", "evaluate_every=7", "evaluation_samples=50")
    config = configure(*sizes, *REMEMBERING)
    rounds = random.Random(4)
    saved = [0]
    for kill, after in enumerate(rounds.randint(0, 8) for _ in range(10)):
        config.checkpoint_seconds = 1000 if kill % 3 == 2 else 0  # then its rounds are all lost
        assert end_of_fork(lambda after=after: run_and_die(config, after)) == -signal.SIGKILL
        [folder] = run_folders(tmp_path / "runs")
        saved.append(saved_rounds(folder))
    assert saved[-1] >= 20
    assert any(now == before for before, now in itertools.pairwise(saved))
    assert any(now > before for before, now in itertools.pairwise(saved))
    outcome = run(config)

    undisturbed = run(OmegaConf.merge(config, {"paths": {"runs": str(tmp_path / "undisturbed")}}))
    assert result(outcome.folder) == result(undisturbed.folder)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Result of the run that the tests below disturb."""
    runs = tmp_path_factory.mktemp("undisturbed")
    assert call(*LONGER, f"paths.runs={runs}").status == 0
    return result(run_folders(runs)[0])


def begin(folder: Path):
    """Start a process and return it with its run folder once it has saved some new rounds."""
    process = forked(*LONGER, "checkpoint_seconds=0.05", folder=folder)
    runs = folder / "runs"
    before = {path.name for path in runs.rglob("rounds/*.parquet")}
    wait_until(
        lambda: len({path.name for path in runs.rglob("rounds/*.parquet")} - before) >= 2, process
    )
    [run_folder] = run_folders(runs)
    return process, run_folder


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGINT, 130),
        # Another process of its own; test_run and test_signals have SIGTERM in this one.
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow),
    ],
)
def test_a_signal_saves_the_run_and_the_same_command_goes_on(tmp_path, undisturbed, number, status):
    process, folder = begin(tmp_path)
    process.send_signal(number)
    answer = finish(process)
    assert answer.status == status
    assert answer.err == ""
    assert ": interrupted, " in answer.out
    assert "The same command goes on from here." in answer.out
    assert str(folder.relative_to(tmp_path)) in answer.out
    summary = yaml.safe_load((folder / "summary.json").read_text())
    assert summary["status"] == "interrupted"
    assert 0 < summary["rounds_done"] == saved_rounds(folder) < 200

    assert call(*LONGER, f"paths.runs={tmp_path / 'runs'}").status == 0
    assert result(folder) == undisturbed


def test_kill_9_of_the_command_and_a_second_one_meanwhile(tmp_path, undisturbed):
    process, folder = begin(tmp_path)
    process.send_signal(signal.SIGSTOP)  # it must not be done before the second one has started
    second = call(*LONGER, f"paths.runs={tmp_path / 'runs'}")
    process.kill()
    assert finish(process).status == -signal.SIGKILL
    assert second.status == 2
    assert second.out == ""
    assert second.err.count("\n") == 1
    assert second.err.startswith(f"titan-run: {folder}: in use by process {process.pid} on ")

    assert not (folder / "summary.json").exists()
    assert call(*LONGER, f"paths.runs={tmp_path / 'runs'}").status == 0
    assert result(folder) == undisturbed


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_before_the_first_round_needs_no_traceback(tmp_path, number, status):
    process = start(*LONGER, folder=tmp_path)
    wait_until(lambda: "libtorch" in Path(f"/proc/{process.pid}/maps").read_text(), process)
    process.send_signal(number)
    answer = finish(process)
    assert answer.status == status
    assert "Traceback" not in answer.err
    assert answer.err.count("\n") <= 1
