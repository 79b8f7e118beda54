"""What titan-run says unasked, on standard error."""

import os
import subprocess
import sys
import time

import pytest
from commands import TINY, call

from titan_repro.cli import notices
from titan_repro.cli.notices import SlowRounds, warn_of_one_core
from titan_repro.errors import ConfigurationError


def test_slow_rounds_are_told_of_during_the_first_and_after_it(monkeypatch, capsys):
    monkeypatch.setattr(notices, "LONG", 0.2)
    callback = SlowRounds(1_000_000)
    callback.begin(None, 2, 12)
    time.sleep(0.1)
    callback.evaluation(2, None)  # of which the time does not count
    time.sleep(0.15)
    assert capsys.readouterr().err == ""
    time.sleep(0.25)
    said = capsys.readouterr().err
    assert said.startswith("titan-run: warning: the first round takes over 0.2 s (stream.velocity=")
    callback.round(None)
    said = capsys.readouterr().err
    assert said.startswith("titan-run: warning: a round takes 0 s (stream.velocity=1000000 samples")
    assert "10 rounds about 0.0 h" in said
    callback.round(None)
    callback.end()
    assert capsys.readouterr().err == ""


def test_quick_rounds_are_not_told_of(monkeypatch, capsys):
    monkeypatch.setattr(notices, "LONG", 0.2)
    callback = SlowRounds(100)
    callback.begin(None, 0, 12)
    callback.round(None)
    time.sleep(0.3)
    callback.end()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("cores", "overrides", "told"),
    [
        ({3}, ["executor=processes"], True),
        ({3}, ["executor=processes", "device.cores=null"], False),
        ({3}, [], False),
        ({0, 3}, ["executor=processes"], False),
    ],
    ids=str,
)
def test_one_core_for_three_processes_is_told_of(
    configure, monkeypatch, capsys, cores, overrides, told
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: cores)
    warn_of_one_core(configure(*overrides))
    assert ("has one processor core here (3)" in capsys.readouterr().err) == told


def test_three_processes_run_on_one_core(tmp_path):
    here = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(here)})
    try:
        answer = call(*TINY, "executor=processes", f"paths.runs={tmp_path}", "paths.cache=null")
    finally:
        os.sched_setaffinity(0, here)
    assert answer.status == 0, answer.err
    assert answer.err.count("\n") == 1
    assert answer.err.startswith("titan-run: warning: executor=processes has one processor core")


@pytest.mark.parametrize("command", [["run"], ["data", "list"], ["report", "compare", "runs"]])
def test_a_working_folder_that_was_deleted_is_named(tmp_path, command):
    name, *arguments = command
    gone = tmp_path / "gone"
    gone.mkdir()
    script = 'cd "$1" && rmdir "$1" && shift && exec "$@"'
    start = f"import sys; from titan_repro.cli.{name} import main; sys.exit(main())"
    module = [sys.executable, "-c", start, *arguments]
    done = subprocess.run(
        ["sh", "-c", script, "sh", str(gone), *module], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"titan-{name}: working folder: found one that has been deleted; allowed: one that is "
        "there, cd to it\n"
    )


@pytest.mark.parametrize(
    "files", [12, *(pytest.param(n, marks=pytest.mark.slow) for n in range(8, 32, 2))]
)
def test_too_few_open_files_are_one_line(tmp_path, files):
    command = [sys.executable, "-m", "titan_repro.cli.run", *TINY, "executor=processes"]
    command += [f"paths.runs={tmp_path}", "paths.cache=null", "device.cores=null"]
    done = subprocess.run(
        ["sh", "-c", f'ulimit -n {files} && exec "$@"', "sh", *command],
        capture_output=True,
        text=True,
    )
    if done.returncode == 0:
        return  # enough
    assert done.returncode in (2, 3)
    assert done.stderr.startswith("titan-run: ")
    assert done.stderr.count("\n") == 1, done.stderr


def test_a_measurement_says_its_steps_where_there_is_no_terminal(monkeypatch):
    def measure(config, command, tell):
        tell("loading")
        raise ConfigurationError("enough")

    monkeypatch.setattr("titan_repro.costs.measure.measure_costs", measure)
    answer = call("experiment=fig6", "task=digits", "model=small_cnn")
    first, last = answer.err.splitlines()
    assert first == "digits small_cnn: loading ..."
    assert last.startswith("titan-run: enough")  # which job of the sweep follows
