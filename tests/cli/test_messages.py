"""Whatever is wrong with a command line is said in one line, before anything is written."""

import re
import subprocess
import sys

import pytest
from commands import TITAN_RUN, call


@pytest.mark.parametrize("wanted", [False, True])
def test_a_mistake_in_the_program_is_one_line_and_a_traceback_where_that_is_wanted(
    monkeypatch, tmp_path, wanted
):
    monkeypatch.setattr("titan_repro.runs.job.build_selector", None)  # a NoneType is not callable
    monkeypatch.setenv("TITAN_TRACEBACK", "1" if wanted else "0")
    monkeypatch.chdir(tmp_path)
    answer = call("rounds=1")
    assert (answer.status, answer.out) == (1, "")
    *trace, last = answer.err.splitlines()
    assert re.fullmatch(
        r"titan-run: TypeError: 'NoneType' object is not callable "
        r"\(at titan_repro/runs/job\.py:\d+, in build\); TITAN_TRACEBACK=1 shows the traceback",
        last,
    )
    assert trace[:1] == (["Traceback (most recent call last):"] if wanted else [])


def test_the_command_itself_answers_so_too(tmp_path):
    command = [TITAN_RUN, "rounds=0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "titan-run: rounds: found 0; allowed: whole numbers of at least 1, at most 2147483647\n"
    )


HELP_WITHOUT_TORCH = """
import sys
from titan_repro.cli.run import main
sys.argv = ["titan-run", "--help"]
try:
    main()
except SystemExit as end:
    sys.exit(end.code or ("torch was imported" if "torch" in sys.modules else 0))
"""


def test_help_explains_itself_without_pytorch(tmp_path):
    command = [sys.executable, "-c", HELP_WITHOUT_TORCH]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for word in (
        "titan-run -m task=cifar10 model=mobilenet selector=rs,titan seed=0,1,2",
        "  selector=",
        "paths.runs",
        "filter.score",
        "Exit status: 0 finished or diverged, 2 something to mend",
    ):
        assert word in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 110
    assert list(tmp_path.iterdir()) == []


def test_the_whole_configuration_can_be_printed():
    answer = call("--cfg", "job", "--resolve", "selector=rs", "model=resnet34")
    assert (answer.status, answer.err) == (0, "")
    assert "name: rs" in answer.out
    assert "\nlearning_rate: 0.005\n" in answer.out  # the model's
