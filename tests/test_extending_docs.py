"""docs/extending.md: every block is a whole file, every command runs, from an empty folder."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from cli.commands import call, run_folders
from titan_repro.records.folder import RunFolder

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text()
FILES = re.findall(r"^`(my/[\w./]+)`:\n\n```\w+\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return an empty working folder that holds the page's files and nothing else."""
    for name, text in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_has_a_block_for_everything_and_none_is_long():
    assert {name.split("/")[1] for name, _ in FILES if name.endswith(".yaml")} == {
        "selector",
        "model",
        "task",
        "stream",
        "device",
    }
    assert all(len(text.splitlines()) < 40 for _, text in FILES)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_runs(folder, command):
    program, *arguments = shlex.split(command)
    assert program == "titan-run"
    answer = call(*arguments, "evaluation_samples=20")
    assert (answer.status, answer.err) == (0, "")
    assert ": finished, 5 of 5 rounds" in answer.out
    assert len(run_folders(folder)) == 1


@pytest.mark.slow  # joblib starts workers, which import PyTorch; test_sweep has them fast
def test_workers_of_a_launcher_find_the_modules(folder):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)  # workers of a test before know other modules
    launcher = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    answer = call("selector=margin", "seed=0,1", "rounds=3", *launcher, "--config-dir=my", "-m")
    assert answer.status == 0, answer.err
    assert len(run_folders(folder)) == 2


def test_a_module_may_stand_beside_its_file(folder):
    (folder / "my/margin.py").rename(folder / "my/selector/margin_beside.py")
    file = folder / "my/selector/margin.yaml"
    file.write_text(file.read_text().replace("margin.Margin", "margin_beside.Margin"))
    answer = call("--config-dir", "my", "selector=margin", "rounds=2")
    assert (answer.status, answer.err) == (0, "")


@pytest.mark.parametrize("more", [(), ("executor=processes", "device.cores=null", "delay=1")])
def test_what_own_code_raises_is_one_line_and_the_run_can_go_on(folder, more, capfd):
    name = f"faulty_margin{len(more)}"
    good = (folder / "my/margin.py").read_text()
    start, middle, end = good.partition("        shares =")
    fault = "        self.left -= 1\n        if self.left == 0:\n"
    fault += "            raise KeyError('nothing')\n"
    line = f"{start}{fault}".count("\n")
    (folder / f"my/{name}.py").write_text(
        (start + fault + middle + end).replace("needs =", "left = 3; needs =")
    )
    file = folder / "my/selector/margin.yaml"
    file.write_text(file.read_text().replace("margin.Margin", f"{name}.Margin"))
    command = ("--config-dir=my", "selector=margin", "rounds=6", "checkpoint_seconds=0", *more)
    answer = call(*command)
    assert f"KeyError: 'nothing' (at my/{name}.py:{line}, in Margin.select)" in answer.err
    assert answer.err.count("\n") == 1
    assert capfd.readouterr().err == ""
    assert answer.status == (3 if more else 4)
    (folder / f"my/{name}.py").write_text(good)
    sys.modules.pop(name)
    again = call(*command, "executor=inline")  # goes on whatever it began with, and starts sooner
    assert (again.status, again.err) == (0, "")
    [run] = run_folders(folder)
    assert RunFolder(run).rounds()["round"].tolist() == list(range(6))
    assert len(RunFolder(run).provenance()["resumed"]) == 1
