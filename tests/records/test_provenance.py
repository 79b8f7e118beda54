import json
import os
import platform
import subprocess
from datetime import datetime
from pathlib import Path

import pytest
import torch

from titan_repro.records import provenance as module
from titan_repro.records.provenance import provenance

DATA = {"source": "digits (bundled)", "fingerprint": "0123"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "code.py").write_text("1\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    command = ["git", "-C", str(folder), *identity, *arguments]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return answer.stdout.strip()


def test_says_where_a_result_comes_from() -> None:
    told = provenance(["titan-run", "seed=1"], DATA)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["data"] == DATA
    assert told["versions"]["torch"] == torch.__version__
    assert told["versions"]["python"] == platform.python_version()
    assert None not in told["versions"].values()
    assert told["machine"]["cores"] == len(os.sched_getaffinity(0))
    assert told["machine"]["torch_threads"] == torch.get_num_threads()
    assert told["machine"]["cpu"]
    age = datetime.now().astimezone() - datetime.fromisoformat(told["started_at"])
    assert 0 <= age.total_seconds() < 60


def test_names_no_user_and_no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    command = [
        "/home/somebody/venv/bin/titan-run",
        "paths.runs=/home/somebody/runs",
        "paths.data=/home/somebodyelse",
        "paths.cache=/home/somebody",
    ]
    told = provenance(command, DATA)
    assert told["command"] == [
        "titan-run",
        "paths.runs=~/runs",
        "paths.data=/home/somebodyelse",
        "paths.cache=~",
    ]
    assert platform.node() not in json.dumps(told["machine"]).split('"')


def test_knows_the_commit_and_whether_the_code_was_changed(checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    (checkout / "notes.txt").write_text("beside the code")
    assert module.checkout(checkout) == {"commit": commit, "dirty": False}
    (checkout / "src" / "new.py").write_text("2\n")
    assert module.checkout(checkout) == {"commit": commit, "dirty": True}
    (checkout / "src" / "new.py").unlink()
    (checkout / "src" / "code.py").write_text("3\n")
    assert module.checkout(checkout) == {"commit": commit, "dirty": True}


def test_is_not_misled_by_a_surrounding_git_process(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(checkout / "nowhere"))
    assert module.checkout(checkout)["commit"] == git(checkout, "rev-parse", "HEAD")


def test_an_installed_package_has_no_commit_even_inside_anothercheckout(checkout: Path) -> None:
    inside = checkout / "venv" / "lib"
    inside.mkdir(parents=True)
    assert module.checkout(inside) == {"commit": None, "dirty": None}


def test_works_without_git(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert module.checkout(checkout) == {"commit": None, "dirty": None}


def test_a_run_may_be_started_by_no_command():
    assert provenance((), DATA)["command"] == []
