"""What the tests of titan-run share: calling it, starting it, and reading what it left."""

import io
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from forking import fork
from titan_repro.cli import run
from titan_repro.records.folder import RunFolder

TITAN_RUN = str(Path(sysconfig.get_path("scripts")) / "titan-run")
TINY = ("rounds=12", "evaluate_every=5", "evaluation_samples=50")


@dataclass
class Answer:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str


def call(*arguments: str) -> Answer:
    """Run titan-run inside this process, which has PyTorch in memory already."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    command = patch.object(sys, "argv", ["titan-run", *arguments])
    with command, redirect_stdout(out), redirect_stderr(err):
        try:
            run.main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return Answer(status, out.getvalue(), err.getvalue())


def start(*arguments: str, folder: Path) -> "subprocess.Popen[str]":
    """Start titan-run as a process of its own with `folder` as its current directory."""
    return subprocess.Popen(
        [TITAN_RUN, *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class Forked:
    """titan-run as a fork of the test's process, which spares it seconds of imports.

    Has what the tests here need of subprocess.Popen.
    """

    returncode: int | None = None

    def __init__(self, arguments: tuple[str, ...], folder: Path) -> None:
        self._said = tempfile.TemporaryDirectory()
        self.pid = fork(lambda: self._be_the_command(arguments, folder))

    def _be_the_command(self, arguments: tuple[str, ...], folder: Path) -> None:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number in (1, 2):
            os.dup2(os.open(self._file(number), os.O_WRONLY | os.O_CREAT), number)
        sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(folder)
        sys.argv = ["titan-run", *arguments]
        run.main()

    def poll(self) -> int | None:
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self.returncode

    def wait(self, timeout: float) -> int:
        deadline = time.monotonic() + timeout
        while (status := self.poll()) is None:
            assert time.monotonic() < deadline, "titan-run does not end"
            time.sleep(0.005)
        return status

    def communicate(self, timeout: float) -> tuple[str, str]:
        self.wait(timeout)
        with self._said:
            return self._file(1).read_text(), self._file(2).read_text()

    def _file(self, number: int) -> Path:
        return Path(self._said.name) / str(number)

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def forked(*arguments: str, folder: Path) -> Forked:
    """Start titan-run as `start` does, sooner; not with joblib, whose workers survive no fork."""
    return Forked(arguments, folder)


def finish(process: "subprocess.Popen[str] | Forked") -> Answer:
    """Wait for a started process and return its answer."""
    out, err = process.communicate(timeout=120)
    return Answer(process.returncode, out, err)


def wait_until(true: Callable[[], bool], process: "subprocess.Popen[str] | Forked") -> None:
    """Wait until `true()`, while the process runs."""
    while not true():
        assert process.poll() is None, finish(process)
        time.sleep(0.005)


def run_folders(runs: Path) -> list[Path]:
    """Return all run folders below `runs`."""
    return sorted(path.parent for path in runs.rglob("config.yaml"))


def result(folder: Path) -> dict[str, object]:
    """Return all of a finished run's results but for measured times."""
    run_folder = RunFolder(folder)
    summary = run_folder.completed(0)
    assert summary is not None
    rounds = run_folder.rounds()
    seconds = [name for name in rounds.columns if name.startswith("seconds_")]
    milestones = [{**m, "train_seconds": None} for m in summary["milestones"]]
    keys = ("status", "run_id", "rounds_done", "weights_sha256", "final_accuracy", "final_loss")
    return {
        "rounds": rounds.drop(columns=seconds).map(str).to_dict("list"),
        "curve": run_folder.evaluations().drop(columns="train_seconds").to_dict("list"),
        "milestones": milestones,
        "files": sorted(path.name for path in folder.iterdir()),
        **{key: summary[key] for key in keys},
    }
