"""Whatever ends a process: one clear line, nobody left behind, and the same bits when continued."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
from omegaconf import OmegaConf

from titan_repro.errors import PipelineError
from titan_repro.runs.run import run

RUN = ("executor=processes", "device.cores=null", "checkpoint_seconds=0.02")
MEASURED = ["round", "loss", "trained_indices", "trained_weights", "trained_probabilities"]


def undisturbed(configure, rounds):
    """Return what comes of the run if nothing happens to it, in one process."""
    return result(run(configure(f"rounds={rounds}", "selector.name=undisturbed")).folder)


def result(folder):
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["status"] == "finished"
    rounds = pd.read_parquet(folder / "rounds.parquet", columns=MEASURED)
    return summary["weights_sha256"], rounds.map(str).to_dict("list")


def pipeline_processes(parent=None):
    """Return by stage the worker processes that `parent` (default: this process) started."""
    found = {}
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if "titan_repro.pipeline.worker" in line:
            stage, parent_id = line[line.index("titan_repro.pipeline.worker") + 1 :][:2]
            if int(parent_id) == (parent or os.getpid()):
                found[stage] = process
    return found


def assert_nobody_is_left(parent=None, seconds=2.0):
    deadline = time.monotonic() + seconds
    while left := pipeline_processes(parent):
        assert time.monotonic() < deadline, left
        time.sleep(0.02)


class Killer:
    """Kills a stage's process some time after a round."""

    def __init__(self, stage, after_round, seconds):
        self.stage, self.after_round, self.seconds = stage, after_round, seconds
        self.done_at = None

    def begin(self, folder, start, rounds):
        self.victim = pipeline_processes()[self.stage]
        self.after_round += start
        assert self.after_round < rounds - 3

    def round(self, result):
        if result.round == self.after_round:
            threading.Timer(self.seconds, self.kill).start()

    def kill(self):
        self.done_at = time.monotonic()
        self.victim.kill()

    def evaluation(self, rounds_done, evaluation):
        pass

    def end(self):
        pass


@pytest.mark.parametrize(
    "moments", [1, pytest.param(10, marks=pytest.mark.slow)], ids="{}-moments".format
)
def test_killed_processes_are_named_and_the_run_goes_on_to_the_same_bits(configure, moments):
    draws, rounds = random.Random(moments), 20 * moments
    config = configure(*RUN, f"rounds={rounds}")
    for stage, name in [
        ("filter", "filter process"),
        ("select", "selection process"),
    ] * moments:
        killer = Killer(stage, draws.randrange(1, 4), 0.01 * draws.random())
        with pytest.raises(PipelineError) as raised:
            run(config, callbacks=[killer])
        assert time.monotonic() - killer.done_at < 2  # on a quiet machine half a second
        message = str(raised.value)
        assert message.startswith(f"the {name} was killed by SIGKILL (no memory left?), ")
        assert message.endswith("; the same command goes on from the last checkpoint")
        assert_nobody_is_left(seconds=0)
    config = configure(*RUN, "executor=inline", f"rounds={rounds}")  # the second run went on, too
    assert result(run(config).folder) == undisturbed(configure, rounds)


def faulty(configure, part, fault, *overrides):
    config = configure(*RUN, "rounds=30", *overrides)
    node = OmegaConf.to_container(config.selector[part])
    node |= {"_target_": f"faulty.Faulty{part.capitalize()}", "fault": fault, "at": 3}
    config.selector[part] = node
    return config


@pytest.mark.parametrize(
    ("part", "fault", "message"),
    [
        pytest.param(
            "filter",
            "raise",
            r"the filter process failed: RuntimeError: this was to be exp",
            marks=pytest.mark.slow,
        ),
        (
            "policy",
            "raise",
            r"the selection process failed: RuntimeError: this was to be exp",
        ),
        pytest.param(
            "policy",
            "refuse",
            r"the selection process failed: some\.key: found 1",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "filter", "exit", "the filter process ended with exit status 5", marks=pytest.mark.slow
        ),
        pytest.param(
            "policy",
            "exit",
            "the selection process ended with exit status 5",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_failing_stage_is_named_and_leaves_nobody_behind(
    configure, capfd, monkeypatch, part, fault, message
):
    monkeypatch.setenv("TITAN_TRACEBACK", "1")
    with pytest.raises(PipelineError, match=rf"^{message}.*, in round 3; the same command goes on"):
        run(faulty(configure, part, fault))
    assert_nobody_is_left(seconds=0)
    traced = "to be expected" in capfd.readouterr().err
    assert traced == (fault == "raise")  # a bug shows where it is, a refusal says all


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("policy", "selection process"),
        pytest.param("filter", "filter process", marks=pytest.mark.slow),
    ],
)
def test_a_hanging_process_is_named_after_the_limit(configure, part, name):
    with pytest.raises(PipelineError) as raised:
        run(faulty(configure, part, "hang", "executor.timeout_seconds=1.5"))
    assert str(raised.value).startswith(
        f"the {name} did not answer for 1.5 s (executor.timeout_seconds), in round "
    )
    assert_nobody_is_left(seconds=0)


def test_an_error_of_training_leaves_nobody_behind(configure):
    class Breaks(Killer):
        def round(self, result):
            raise RuntimeError("in the training process")

    with pytest.raises(RuntimeError, match="in the training process"):
        run(configure(*RUN, "rounds=30"), callbacks=[Breaks("filter", 0, 0)])
    assert_nobody_is_left(seconds=0)


COMMANDED = 40
SLOWLY = (
    f"rounds={COMMANDED}",
    "paths.cache=null",
    "selector.policy._target_=faulty.SlowPolicy",
    "+selector.policy.seconds=0.03",
)


class Command:
    """titan-run in a session of its own, with a policy slow enough to be interrupted."""

    def __init__(self, tmp_path, *more):
        self.folder = tmp_path / "commanded"
        overrides = [
            *RUN,
            *SLOWLY,
            f"paths.runs={self.folder}",
            *more,
        ]
        path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "titan_repro.cli.run", *overrides],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": path},
        )

    def wait_for_rounds(self):
        """Wait until this process has saved a checkpoint."""
        begun = time.time()
        while not any(
            file.stat().st_mtime > begun for file in self.folder.glob("*/*/*/*/checkpoint.pt")
        ):
            assert self.process.poll() is None, self.process.communicate()
            assert time.time() < begun + 60
            time.sleep(0.01)

    def end(self):
        """Return exit status, standard output and standard error."""
        output, errors = self.process.communicate(timeout=60)
        return self.process.returncode, output, errors


def interrupt(command):
    os.killpg(command.process.pid, signal.SIGINT)  # as Ctrl-C does: everyone in the group gets it
    status, output, errors = command.end()
    assert (status, "Traceback" in errors) == (130, False)
    assert "interrupted" in output


def terminate(command):
    command.process.terminate()
    status, output, _ = command.end()
    assert status == 143
    assert "interrupted" in output


def kill(command):
    command.process.kill()
    assert command.end()[0] == -signal.SIGKILL


def kill_selection(command):
    pipeline_processes(command.process.pid)["select"].kill()
    status, output, errors = command.end()
    assert (status, output) == (3, "")
    last_line = errors.strip().splitlines()[-1]
    assert last_line.startswith("titan-run: the selection process was killed by SIGKILL")


@pytest.mark.parametrize(
    "stops",
    [
        [interrupt],
        pytest.param([interrupt, kill], marks=pytest.mark.slow),
        pytest.param([terminate, kill_selection, kill], marks=pytest.mark.slow),
    ],
    ids=lambda stops: " ".join(stop.__name__ for stop in stops),
)
def test_a_stopped_command_goes_on_to_the_same_bits(configure, tmp_path, stops):
    for stop in stops:
        command = Command(tmp_path)
        command.wait_for_rounds()
        stop(command)
        assert_nobody_is_left(command.process.pid)
    (folder,) = command.folder.glob("*/*/*/*")
    going_on = configure(*SLOWLY, f"paths.runs={command.folder}")  # in one process, this one
    assert run(going_on).folder == folder
    assert result(folder) == undisturbed(configure, COMMANDED)


@pytest.mark.slow
def test_a_command_that_is_suspended_and_continued_goes_on(tmp_path):
    """As with Ctrl-Z and fg, for longer than any process may be silent."""
    command = Command(tmp_path, "executor.timeout_seconds=1.5")
    command.wait_for_rounds()
    os.killpg(command.process.pid, signal.SIGSTOP)
    time.sleep(2.5)
    os.killpg(command.process.pid, signal.SIGCONT)
    status, output, errors = command.end()
    assert (status, errors) == (0, "")
    assert f"finished, {COMMANDED} of {COMMANDED} rounds" in output
