"""Sweeps: told of before they start, in order, on after a failure, stopped and taken up as one."""

import os
import re
import signal
import time
from importlib.util import find_spec
from pathlib import Path
from threading import Thread

import psutil
import pytest
import yaml
from commands import TINY, call, finish, forked, result, run_folders, start, wait_until
from test_run_cli import watch

from titan_repro.cli import sweep_job
from titan_repro.records.storage import write_json
from titan_repro.runs import run as run_module

LONG = ("rounds=100000", "evaluate_every=100000", "evaluation_samples=50")
"""Does not end by itself while a test waits."""

TWO_AT_ONCE = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")

needs_joblib = pytest.mark.skipif(
    find_spec("hydra_plugins.hydra_joblib_launcher") is None, reason="needs the extra [joblib]"
)
launchers = pytest.mark.parametrize(
    "launcher",
    [(), pytest.param(TWO_AT_ONCE, marks=[needs_joblib, pytest.mark.slow])],  # workers start
    ids=["basic", "joblib"],
)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Every test has an empty current directory of its own."""
    monkeypatch.chdir(tmp_path)


def summary_of(folder):
    return yaml.safe_load((folder / "summary.json").read_text())


def results(runs: Path) -> dict[str, object]:
    return {str(folder.relative_to(runs)): result(folder) for folder in run_folders(runs)}


def ended(answer) -> list[str]:
    """The runs of an answer in the order in which they ended."""
    return re.findall(r"^digits small_cnn (\w+ seed \d): finished", answer.out, re.MULTILINE)


def costs_of(rs: float, titan: float) -> dict[str, object]:
    """What is needed of costs.json: times of a round in ms."""
    ways = {"rs_ms": rs, "titan_sequential_ms": titan, "titan_pipelined_ms": titan}
    measured = {way: {"median": time} for way, time in ways.items()}
    return {"rounds": {"measured": measured}}


def test_the_plan_says_what_is_done_what_remains_and_how_long_it_should_take():
    first = call("-m", "selector=rs", "seed=0,1", *TINY)
    assert first.out.startswith(
        "2 runs: 0 done, 2 to run, 24 rounds\n  expected time: unknown yet\n"
    )
    second = call("-m", "selector=rs", "seed=0,1,2", *TINY)
    assert re.match(r"3 runs: 2 done, 1 to run, 12 rounds\n  expected time: \d+ s\n", second.out), (
        second.out
    )
    assert ended(second) == ["rs seed 0", "rs seed 1", "rs seed 2"]
    assert second.out.count("finished before, not run again") == 2
    third = call("-m", "selector=rs", "seed=0,1,2", *TINY)
    assert third.out.startswith("3 runs: 3 done, 0 to run\ndigits")


def own_experiment(folder, *lines):
    """Write an experiment `mine` and return the options that find it."""
    path = folder / "own" / "experiment" / "mine.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(["# @package _global_", *lines]))
    return "--config-dir", str(folder / "own"), "experiment=mine"


def choices_of(runs):
    """Return what each run of titan was given beside its default."""
    found = [summary_of(folder) for folder in run_folders(runs)]
    keys = [(s["seed"], s["choices"]["filter"]["score"], s["choices"]["delay"]) for s in found]
    return sorted(keys)


def test_keys_are_changed_one_alone(tmp_path):
    """Of two keys with two further values there are 1 + 2 + 1 runs and not 3 x 2."""
    lines = (
        "hydra:",
        "  mode: MULTIRUN",
        "  sweeper:",
        "    params: {seed: '1'}",
        "    alone: {filter.score: 'random,div', delay: '0,1', model.widths: null}",
    )
    mine = own_experiment(tmp_path, *lines)
    answer = call(*mine, *TINY)
    assert answer.out.startswith("4 runs: 0 done, 4 to run")  # delay=1 is the default: one run
    alone = [("rep_plus_div", 1), ("rep_plus_div", 0), ("random", 1), ("div", 1)]
    assert choices_of(tmp_path / "runs") == sorted((1, *each) for each in alone)
    given = call(*mine, "filter.score=random", *TINY)  # not changed then
    assert given.out.startswith("2 runs: 1 done, 1 to run")
    assert (1, "random", 0) in choices_of(tmp_path / "runs")


def test_times_of_rounds_come_from_a_measurement_of_costs_first(tmp_path):
    call("selector=rs", *TINY)
    write_json(tmp_path / "runs/digits/small_cnn/fig6/0/costs.json", costs_of(2000, 5000))
    answer = call("-m", "selector=titan,rs,stratified", "seed=1", "rounds=1", *TINY[1:])
    assert answer.out.startswith(
        "3 runs: 0 done, 3 to run, 3 rounds\n"
        "  expected time: more than 7 s; unknown yet for 1 run\n"
    )
    assert ended(answer) == ["rs seed 1", "titan seed 1", "stratified seed 1"]


def test_runs_of_unknown_time_keep_their_order():
    answer = call("-m", "selector=titan,rs", "seed=1,0", *TINY)
    assert ended(answer) == ["titan seed 1", "titan seed 0", "rs seed 1", "rs seed 0"]


def test_a_run_is_run_once_though_several_jobs_are_that_run():
    answer = call("-m", "selector=rs", "filter.blocks=1,2,3", *TINY)
    assert answer.out.startswith("1 run: 0 done, 1 to run, 12 rounds\n")
    assert len(ended(answer)) == 1


@pytest.mark.slow
@needs_joblib
def test_workers_of_a_launcher_run_a_sweep_and_a_refused_job_is_told(tmp_path, capfd):
    runs = f"paths.runs={tmp_path / 'runs'}"  # workers may be an earlier test's, elsewhere
    answer = call("-m", *TWO_AT_ONCE, "selector=titan,rs", "batch_size=31", *TINY, runs)
    assert answer.status == 2
    assert "Traceback" not in answer.err + capfd.readouterr().err  # ours, and that of the workers
    said = [line for line in answer.err.splitlines() if line.startswith("titan-run: ")]
    assert len(said) == 1
    assert "batch_size: found 31; allowed: at most the 30 candidates" in said[0]
    assert [summary_of(folder)["selector"] for folder in run_folders(tmp_path)] == ["rs"]
    assert {item.name for item in tmp_path.iterdir()} == {"runs"}


def test_a_failing_job_is_named_at_the_end_and_the_rest_run(tmp_path, monkeypatch):
    def fails_for_seed_1(config, *arguments):
        if config.seed == 1:
            raise ZeroDivisionError("no rounds\nmore of it")
        return run(config, *arguments)

    run = run_module.run
    monkeypatch.setattr(run_module, "run", fails_for_seed_1)
    answer = call("-m", "selector=rs", "seed=0,1,2", "batch_size=10,1000", *TINY)
    assert answer.status == 1
    told = [line for line in answer.err.splitlines() if line.startswith("titan-run: ")]
    assert len(told) == 4
    [failed] = [line for line in told if "ZeroDivisionError" in line]
    assert failed.startswith("titan-run: ZeroDivisionError: no rounds more of it (at ")
    assert "test_sweep.py:" in failed
    assert "Traceback" not in answer.err
    assert "selector=rs seed=1 batch_size=10 rounds=12" in failed
    assert {summary_of(folder)["seed"] for folder in run_folders(tmp_path)} == {0, 2}


def test_a_mistake_in_any_job_is_refused_before_the_first_one_runs(tmp_path):
    answer = call("-m", "selector=rs,tytan", *TINY)
    assert answer.status == 2
    assert answer.err.startswith("titan-run: selector: found 'tytan'; allowed: camel, ")
    assert answer.out == ""
    assert not (tmp_path / "runs").exists()


@needs_joblib
def test_two_jobs_at_once_give_the_bits_of_one_and_do_not_meet_where_they_extend_a_run(tmp_path):
    sweep = ("-m", "selector=rs,titan", "rounds=20,10", *TINY[1:])
    assert call(*sweep, "paths.runs=alone").status == 0
    # workers that an earlier test left behind have its current directory
    answer = call(*sweep, *TWO_AT_ONCE, f"paths.runs={tmp_path / 'together'}")
    assert (answer.status, answer.err) == (0, "")
    found = results(tmp_path / "together")
    assert found == results(tmp_path / "alone")
    assert len(found) == 2
    for folder in run_folders(tmp_path / "together"):
        assert [known["rounds"] for known in summary_of(folder)["milestones"]] == [10, 20]
    assert list((tmp_path / "together/.sweeps").iterdir()) == []


def summaries(folder: Path) -> list[dict[str, object]]:
    return [summary_of(path) for path in run_folders(folder) if (path / "summary.json").exists()]


def in_rounds(folder: Path) -> int:
    """How many runs have rounds on the disk."""
    return len({path.parent for path in (folder / "runs").rglob("rounds/*.parquet")})


@launchers
@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGINT, 130),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow),
    ],
)
def test_a_signal_stops_the_sweep_within_two_seconds_and_saves(tmp_path, launcher, number, status):
    at_once = 2 if launcher else 1
    process = (start if launcher else forked)(
        "-m",
        *launcher,
        "selector=rs",
        "seed=0,1,2",
        "checkpoint_seconds=0.2",
        *LONG,
        folder=tmp_path,
    )
    wait_until(lambda: in_rounds(tmp_path) == at_once, process)
    workers = psutil.Process(process.pid).children(recursive=True)
    began = time.monotonic()
    process.send_signal(number)
    process.wait(timeout=30)
    seconds = time.monotonic() - began
    answer = finish(process)
    assert answer.status == status
    assert "Traceback" not in answer.err
    assert seconds < 2 * busy()
    ending = [worker for worker in workers if not _is_tracker(worker)]
    _, alive = psutil.wait_procs(ending, timeout=5)  # they end with the command, not before it
    assert not alive
    saved = summaries(tmp_path)
    assert [summary["status"] for summary in saved] == ["interrupted"] * at_once
    done = {summary["seed"]: summary["rounds_done"] for summary in saved}
    assert min(done.values()) > 0
    for seed, rounds in done.items():
        again = call("selector=rs", f"seed={seed}", f"rounds={rounds + 5}", *LONG[1:])
        assert again.status == 0
        assert f": finished, {rounds + 5} of {rounds + 5}" in again.out


def busy() -> float:
    """How many processes share one processor core, at least 1: seconds are as much longer."""
    return max(os.getloadavg()[0] / len(os.sched_getaffinity(0)), 1.0)


def _is_tracker(process: psutil.Process) -> bool:
    """joblib's resource tracker ends by itself a moment after the command."""
    try:
        return "resource_tracker" in " ".join(process.cmdline()) or process.status() == "zombie"
    except psutil.NoSuchProcess:
        return True


@pytest.mark.slow
@needs_joblib
def test_a_killed_sweep_leaves_no_worker_behind(tmp_path):
    process = start(
        "-m",
        *TWO_AT_ONCE,
        "selector=rs",
        "seed=0,1",
        "checkpoint_seconds=0.2",
        *LONG,
        folder=tmp_path,
    )
    wait_until(lambda: in_rounds(tmp_path) == 2, process)
    process.kill()
    process.wait(timeout=30)
    deadline = time.monotonic() + 20
    while len(summaries(tmp_path)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [summary["status"] for summary in summaries(tmp_path)] == ["interrupted"] * 2


@pytest.mark.slow  # joblib starts all workers anew, which import PyTorch, for 1,800 rounds
@needs_joblib
def test_a_worker_that_is_killed_costs_no_other_run(tmp_path):
    killed = []

    def kill_one() -> None:
        while in_rounds(tmp_path) < 2:
            time.sleep(0.005)
        [path, *_] = (tmp_path / "runs").rglob("*/.lock")
        killed.append(int(path.read_text().split()[1]))
        os.kill(killed[0], signal.SIGKILL)

    killer = Thread(target=kill_one, daemon=True)
    killer.start()
    answer = call(
        "-m",
        *TWO_AT_ONCE,
        "selector=rs",
        "seed=0,1,2",
        "checkpoint_seconds=0.05",
        "rounds=600",
        "evaluate_every=500",
        "evaluation_samples=50",
        f"paths.runs={tmp_path / 'runs'}",
    )
    killer.join(timeout=60)
    assert answer.status == 0, answer
    assert killed
    assert not psutil.pid_exists(killed[0])
    assert [summary["status"] for summary in summaries(tmp_path)] == ["finished"] * 3


def killed_and_resumed(tmp_path, sweep, kills):
    """Run a sweep, killing the command whenever one more run has ended; return its runs folder."""
    for kill in range(1, kills + 1):
        process = forked("-m", *sweep, folder=tmp_path)
        wait_until(lambda kill=kill: len(summaries(tmp_path)) >= kill, process)
        process.kill()
        process.wait(timeout=30)
    answer = call("-m", *sweep)
    assert answer.status == 0, answer
    return tmp_path / "runs"


def test_a_killed_sweep_goes_on_to_the_results_of_an_undisturbed_one(tmp_path):
    sweep = ("selector=rs,titan", "seed=0", "rounds=60", "checkpoint_seconds=0.05", *TINY[1:])
    disturbed = killed_and_resumed(tmp_path, sweep, kills=1)
    assert call("-m", *sweep, "paths.runs=undisturbed").status == 0
    assert results(disturbed) == results(tmp_path / "undisturbed")


@pytest.mark.slow
def test_twelve_runs_killed_three_times_end_as_undisturbed_ones(tmp_path):
    sweep = (
        "selector=rs,cis,titan",
        "seed=0,1,2,3",
        "rounds=60",
        "checkpoint_seconds=0.05",
        *TINY[1:],
    )
    disturbed = killed_and_resumed(tmp_path, sweep, kills=3)
    assert call("-m", *sweep, "paths.runs=undisturbed").status == 0
    assert len(run_folders(disturbed)) == 12
    assert results(disturbed) == results(tmp_path / "undisturbed")


def test_a_terminal_shows_one_line_for_the_whole_sweep(monkeypatch):
    monkeypatch.setattr(sweep_job, "SECONDS_BETWEEN_REPORTS", 0.01)
    monkeypatch.setattr("titan_repro.cli.sweep_progress.SECONDS_BETWEEN_LOOKS", 0.02)
    answer, lines = watch(
        monkeypatch, 120, "-m", "selector=rs", "seed=0,1", "rounds=300", *TINY[1:]
    )
    assert answer.status == 0
    bars = [line for line in lines if "of 2 jobs" in line]
    assert any(
        re.match(r"\d+/600 rounds, [01] of 2 jobs, \d+ s left, digits small_cnn rs seed [01] ", bar)
        for bar in bars
    ), bars
    counts = [int(line.partition("/")[0]) for line in bars]
    assert counts == sorted(counts)
    assert not [line for line in lines if "loss" in line]
