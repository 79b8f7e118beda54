"""titan-run from the person's side: what it prints, what it leaves, what it does not do again."""

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading

import pytest
import yaml
from commands import TINY, TITAN_RUN, call, result, run_folders
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from titan_repro.cli import run_summary
from titan_repro.cli.progress import ProgressBar
from titan_repro.records.folder import RunFolder
from titan_repro.runs import job


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Every test has an empty current directory of its own."""
    monkeypatch.chdir(tmp_path)


def summary_of(folder):
    return yaml.safe_load((folder / "summary.json").read_text())


def test_a_run_prints_a_summary_and_makes_one_folder(tmp_path):
    answer = call("selector=rs", *TINY)
    assert (answer.status, answer.err) == (0, "")
    [folder] = run_folders(tmp_path)
    assert folder.relative_to(tmp_path).parts[:-1] == ("runs", "digits", "small_cnn", "rs")
    assert re.fullmatch("[0-9a-f]{12}", folder.name)
    head, accuracy, data, cost, path = answer.out.splitlines()
    assert head == "digits small_cnn rs seed 0: finished, 12 of 12 rounds"
    final = 100 * summary_of(folder)["final_accuracy"]
    assert accuracy.strip() == f"accuracy {final:.2f} % on 359 test samples"
    assert data == "  data: digits (bundled)"
    measured = r"[\d.]+ ms a round, [\d.]+ s of processor time, peak memory \d+ MB, "
    assert re.match(f"  measured on this machine: {measured}", cost)
    assert path.strip() == str(folder.relative_to(tmp_path))
    assert {item.name for item in tmp_path.iterdir()} == {"runs"}
    assert {item.name for item in folder.iterdir()} == {
        "checkpoint.pt",
        "config.yaml",
        "evaluations.csv",
        "provenance.json",
        "rounds.parquet",
        "summary.json",
    }


def test_the_summary_holds_what_others_rely_on(tmp_path):
    call("selector=titan", "seed=3", *TINY)
    [folder] = run_folders(tmp_path)
    summary = summary_of(folder)
    expected = {
        "status": "finished",
        "run_id": folder.name,
        "task": "digits",
        "data_source": "digits (bundled)",
        "model": "small_cnn",
        "selector": "titan",
        "seed": 3,
        "rounds": 12,
    }
    assert {key: summary[key] for key in expected} == expected
    assert len(summary["weights_sha256"]) == 64
    assert 0 < summary["seconds_per_round"] < 10
    assert 50 < summary["peak_memory_mb"] < 100_000
    assert 0 < summary["final_accuracy"] < 1
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", summary["finished_at"])
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert (config["seed"], config["rounds"], config["filter"]["budget"]) == (3, 12, 30)


def test_a_finished_run_is_said_to_be_finished_and_left_alone(tmp_path, monkeypatch):
    first = call("selector=rs", *TINY)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    monkeypatch.setattr(job, "load_task", None)  # not even the data are loaded
    second = call("selector=rs", *TINY)
    assert (second.status, second.err) == (0, "")
    assert second.out == first.out.replace("finished,", "finished before, not run again,")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_the_summary_says_which_clock_each_number_is_of(tmp_path):
    answer = call("selector=titan", "device=jetson_nano", *TINY)
    assert (answer.status, answer.err) == (0, "")
    measured, modelled = re.findall(r"^  (measured .*|modelled .*)$", answer.out, re.MULTILINE)
    summary = summary_of(*run_folders(tmp_path))
    assert measured.startswith("measured on this machine: ")
    milliseconds = 1000 * summary["modelled_seconds_per_round"]
    said = f"modelled on jetson_nano, pipelined: {milliseconds:.4g} ms a round, "
    assert modelled.startswith(said)
    assert f"{summary['modelled_joules_per_round']:.3g} J a round" in modelled


def test_a_run_that_was_made_on_another_clock_says_how_to_get_the_one_asked_for():
    call("selector=rs", *TINY)
    again = call("selector=rs", "device=jetson_nano", *TINY)
    assert "modelled on" not in again.out
    assert again.out.splitlines()[-1] == (
        "  made with device=host; titan-report replay runs device=jetson_nano gives its clock there"
    )


@pytest.mark.parametrize(
    ("joules", "said"),
    [
        ("not measured", ", energy not measured"),
        ({"jtop board input": 12.4, "NVML GPU 0": "not measured"}, ", 12 J (jtop board input), "),
    ],
    ids=["no sensor", "two sensors"],
)
def test_energy_is_said_sensor_by_sensor(joules, said):
    summary = {"seconds_per_round": 0.1, "peak_memory_mb": 300.0, "measured_joules": joules}
    assert said in run_summary._measured(summary)


def test_a_sweep_makes_a_folder_for_every_run_and_nothing_else(tmp_path):
    answer = call("-m", "selector=rs,titan", "seed=0,1", *TINY)
    assert (answer.status, answer.err) == (0, "")
    assert answer.out.count(": finished, 12 of 12 rounds") == 4
    found = {(s["selector"], s["seed"]) for s in map(summary_of, run_folders(tmp_path))}
    assert found == {("rs", 0), ("rs", 1), ("titan", 0), ("titan", 1)}
    assert {item.name for item in tmp_path.iterdir()} == {"runs"}
    assert {item.name for item in (tmp_path / "runs").iterdir()} == {"digits", ".sweeps"}


def test_a_run_of_a_sweep_is_the_run_of_its_own_command(tmp_path):
    call("-m", "selector=rs,titan", *TINY, "paths.runs=sweep")
    call("selector=titan", *TINY, "paths.runs=alone")
    [alone] = run_folders(tmp_path / "alone")
    assert result(tmp_path / "sweep" / alone.relative_to(tmp_path / "alone")) == result(alone)


def test_a_refused_job_does_not_end_a_sweep(tmp_path):
    answer = call("-m", "selector=titan,rs", "batch_size=31", *TINY)
    assert answer.status == 2
    assert answer.err.startswith("titan-run: batch_size: found 31; allowed: at most the 30 ")
    assert "(job 0 of the sweep: selector=titan batch_size=31 " in answer.err
    assert answer.err.count("\n") == 1
    assert [summary_of(folder)["selector"] for folder in run_folders(tmp_path)] == ["rs"]


def test_divergence_is_a_result_and_a_sweep_goes_on(tmp_path):
    answer = call("-m", "learning_rate=1e6,0.1", "selector=rs", *TINY)
    assert (answer.status, answer.err) == (0, "")
    assert "digits small_cnn rs seed 0: diverged, " in answer.out
    assert "finished, 12 of 12 rounds" in answer.out
    summaries = {s["status"]: s for s in map(summary_of, run_folders(tmp_path))}
    assert summaries["diverged"]["final_accuracy"] is None
    assert summaries["diverged"]["rounds_done"] < 12
    assert summaries["finished"]["final_accuracy"] > 0
    again = call("learning_rate=1e6", "selector=rs", *TINY)
    assert again.status == 0
    assert "diverged before, not run again" in again.out


def test_folders_with_blanks_and_outside_the_current_directory(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    answer = call("selector=rs", *TINY, f"paths.runs='{tmp_path}/my runs = all'")
    assert (answer.status, answer.err) == (0, "")
    [folder] = run_folders(tmp_path / "my runs = all")
    assert str(folder) in answer.out
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.parametrize("mode", [(), ("-m",)], ids=["run", "sweep"])
def test_a_file_where_the_runs_should_go_is_named(tmp_path, mode):
    (tmp_path / "runs").write_text("in the way")
    answer = call(*mode, "selector=rs", *TINY)
    assert answer.status == 2
    assert answer.out == ""
    assert answer.err.startswith("titan-run: ")
    assert "runs" in answer.err
    assert "Not a directory" in answer.err or "File exists" in answer.err
    assert answer.err.count("\n") == 1
    assert (tmp_path / "runs").read_text() == "in the way"


def test_a_damaged_run_folder_is_named(tmp_path):
    call("selector=rs", *TINY)
    [folder] = run_folders(tmp_path)
    (folder / "summary.json").write_text("{")
    answer = call("selector=rs", *TINY)
    assert answer.status == 2
    assert answer.err.startswith(
        f"titan-run: {folder.relative_to(tmp_path)}/summary.json: damaged ("
    )
    assert answer.err.count("\n") == 1


class Terminal:
    """A pseudo-terminal as standard error, read by a thread, as its buffer is small."""

    def __init__(self, columns):
        self.columns = columns

    def __enter__(self):
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, self.columns, 0, 0))
        self.theirs = os.fdopen(theirs, "w", buffering=1)
        self.seen = b""
        self.reader = threading.Thread(target=self._read)
        self.reader.start()
        return self

    def _read(self):
        with contextlib.suppress(OSError):  # the other side is closed
            while chunk := os.read(self.ours, 4096):
                self.seen += chunk

    def __exit__(self, *_):
        self.theirs.close()
        self.reader.join(timeout=10)
        os.close(self.ours)

    @property
    def lines(self):
        return [line.strip() for line in re.split("[\r\n]+", self.seen.decode()) if line.strip()]


def watch(monkeypatch, columns, *arguments):
    """Run titan-run with a terminal of so many columns; return its answer and what one saw."""
    with Terminal(columns) as terminal:
        # `call` redirects sys.stderr; the bar asks for it when it is drawn
        monkeypatch.setattr("titan_repro.cli.progress.sys.stderr", terminal.theirs)
        with monkeypatch.context() as patch:
            patch.setattr("commands.redirect_stderr", lambda _: contextlib.nullcontext())
            answer = call(*arguments)
    return answer, terminal.lines


def test_a_terminal_shows_round_loss_accuracy_rate_and_time_left(monkeypatch):
    answer, lines = watch(monkeypatch, 80, "selector=rs", "rounds=200", *TINY[1:])
    assert answer.status == 0
    bars = [line for line in lines if "loss" in line]
    assert bars
    for bar in bars:
        facts = r"\d+/200, loss \d\.\d{3}, accuracy \d+\.\d %, +[\d.]+ rounds/s, \d\d:\d\d left  d"
        assert re.match(facts, bar)
        assert len(bar) <= 80
    widest = watch(monkeypatch, 150, "selector=rs", "rounds=300", *TINY[1:])[1]
    assert any(
        re.search(r" left  digits small_cnn rs seed 0 \|[ ▏▎▍▌▋▊▉█]+\|", bar) for bar in widest
    )


def test_a_narrow_terminal_gets_a_short_bar(monkeypatch):
    answer, lines = watch(monkeypatch, 20, "selector=rs", "rounds=100", *TINY[1:])
    assert answer.status == 0
    assert lines
    assert max(map(len, lines)) <= 20


@pytest.mark.slow
def test_a_sweep_goes_on_when_nobody_listens_any_more(tmp_path):
    command = f"{TITAN_RUN} -m selector=rs seed=0,1 {' '.join(TINY)} 2>&- | true; exit $PIPESTATUS"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, check=False, timeout=120)
    assert done.returncode == 0
    assert [summary_of(folder)["status"] for folder in run_folders(tmp_path)] == ["finished"] * 2


def test_without_a_terminal_nothing_is_drawn(tmp_path):
    assert not sys.stderr.isatty()
    answer = call("selector=rs", "rounds=60", *TINY[1:])
    assert answer.err == ""
    assert "\r" not in answer.out


def test_tensorboard_can_read_every_round_once_though_some_were_run_again(tmp_path, monkeypatch):
    command = ("selector=rs", "learning_rate=0.1", *TINY, "tensorboard=true")
    with monkeypatch.context() as patch:
        patch.setattr(ProgressBar, "round", interrupt_at_once_after(7))
        answer = call(*command)
        assert answer.status == 130
        assert answer.err == "titan-run: interrupted; the same command goes on from what is saved\n"
    assert call(*command).status == 0
    [folder] = run_folders(tmp_path)
    log = EventAccumulator(str(folder / "tensorboard")).Reload()
    losses = log.Scalars("train/loss")
    assert [event.step for event in losses] == list(range(12))
    recorded = RunFolder(folder).rounds()["loss"].tolist()
    assert [event.value for event in losses] == pytest.approx(recorded)
    assert {round(event.value, 6) for event in log.Scalars("train/learning_rate")} == {0.1}
    accuracies = log.Scalars("test/accuracy")
    assert [event.step for event in accuracies] == [0, 5, 10, 12]
    curve = RunFolder(folder).evaluations()
    assert [event.value for event in accuracies] == pytest.approx(curve["accuracy"].tolist())
    assert [event.step for event in log.Scalars("test/loss")] == [0, 5, 10, 12]


def interrupt_at_once_after(rounds):
    """What a second Ctrl-C does: the run stops without saving itself."""

    def round(self, result):
        if result.round + 1 == rounds:
            raise KeyboardInterrupt

    return round


def test_tensorboard_without_its_package_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    answer = call("selector=rs", *TINY, "tensorboard=true")
    assert answer.status == 2
    assert answer.err.startswith("titan-run: tensorboard: found true, but the package is not ")
    assert "pip install 'titan-repro[tensorboard]'" in answer.err
    assert answer.err.count("\n") == 1
    assert run_folders(tmp_path) == []
