"""The loop of a run: what it records and when, how it stops and how it goes on."""

import math
import signal
from dataclasses import replace

import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf

from titan_repro.boards.board import read_board
from titan_repro.boards.clock import modelled
from titan_repro.errors import ConfigurationError, DataError, RunFolderError
from titan_repro.records import checkpoint
from titan_repro.records.folder import RunFolder
from titan_repro.runs import build, job
from titan_repro.runs.counter import build_counter
from titan_repro.runs.run import InterruptedRun, run

TINY = ("rounds=12", "evaluate_every=5", "evaluation_samples=50", "checkpoint_seconds=0")
REMEMBERING = ("selector=titan", "model.norm=batch", "class_importance=ema")
"""Everything that a run can carry from round to round: statistics, memory, a batch in flight."""

STRAIGHT = {}
"""Results of runs that were never stopped, by overrides; they are the same in every test."""


class Watcher:
    """A callback that notes what it is told, and may do something after a round."""

    def __init__(self, after=None, action=None):
        self.told = []
        self.after = after
        self.action = action

    def begin(self, folder, start, rounds):
        self.told.append(("begin", start, rounds))

    def round(self, result):
        self.told.append(("round", result.round))
        if result.round + 1 == self.after:
            self.action()

    def evaluation(self, rounds_done, evaluation):
        self.told.append(("evaluation", rounds_done))

    def end(self):
        self.told.append(("end",))


def ask_to_stop(after, number=signal.SIGINT):
    return Watcher(after, lambda: signal.raise_signal(number))


def result_of(outcome):
    """All of a run's results but for measured times."""
    folder = RunFolder(outcome.folder)
    rounds, curve = folder.rounds(), folder.evaluations()
    seconds = [name for name in rounds.columns if name.startswith("seconds_")]
    keys = ("weights_sha256", "final_accuracy", "final_loss", "rounds_done", "status", "run_id")
    return {
        "rounds": rounds.drop(columns=seconds).map(str).to_dict("list"),
        "curve": curve.drop(columns="train_seconds").to_dict("list"),
        **{key: outcome.summary[key] for key in keys},
    }


@pytest.fixture
def straight(configure, tmp_path):
    """Return a function: the result of a run that nothing stopped."""

    def result(*overrides):
        if overrides not in STRAIGHT:
            config = configure(*TINY, *overrides, f"paths.runs={tmp_path / 'straight'}")
            STRAIGHT[overrides] = result_of(run(config))
        return STRAIGHT[overrides]

    return result


def test_evaluates_before_the_first_round_every_k_rounds_and_after_the_last(configure):
    watcher = Watcher()
    outcome = run(configure(*TINY, "selector=rs"), callbacks=[watcher])
    assert RunFolder(outcome.folder).evaluations()["round"].tolist() == [0, 5, 10, 12]
    assert [fact[1] for fact in watcher.told if fact[0] == "evaluation"] == [0, 5, 10, 12]
    assert RunFolder(outcome.folder).rounds()["round"].tolist() == list(range(12))
    assert watcher.told[0] == ("begin", 0, 12)
    assert watcher.told[-1] == ("end",)


def test_a_last_round_that_is_due_anyway_is_evaluated_once(configure):
    outcome = run(configure(*TINY, "selector=rs", "rounds=10"))
    assert RunFolder(outcome.folder).evaluations()["round"].tolist() == [0, 5, 10]


def test_the_final_accuracy_is_of_the_whole_test_set_and_the_curve_of_a_part(configure):
    outcome = run(configure(*TINY, "selector=rs"))
    assert set(RunFolder(outcome.folder).evaluations()["samples"]) == {50}
    assert outcome.summary["final_samples"] == 359
    assert 0 < outcome.summary["final_accuracy"] < 1


@pytest.mark.parametrize("stops", [(1,), (4, 5, 6), (5, 10), (11,)], ids=str)
@pytest.mark.parametrize("overrides", [("selector=rs",), REMEMBERING], ids=["rs", "titan"])
def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(configure, straight, overrides, stops):
    config = configure(*TINY, *overrides, "checkpoint_seconds=1000")
    for stop in stops:
        with pytest.raises(InterruptedRun) as caught:
            run(config, callbacks=[ask_to_stop(stop)])
        summary = caught.value.outcome.summary
        assert (summary["status"], summary["rounds_done"]) == ("interrupted", stop)
        assert summary["final_accuracy"] is None
    assert result_of(run(config)) == straight(*overrides)


def test_a_run_that_crashed_goes_on_from_its_checkpoint(configure, straight):
    def crash():
        raise ZeroDivisionError

    config = configure(*TINY, *REMEMBERING)
    for after in (3, 7):
        watcher = Watcher(after, crash)
        with pytest.raises(ZeroDivisionError):
            run(config, callbacks=[watcher])
        assert watcher.told[-1] == ("end",)
    last = Watcher()
    outcome = run(config, callbacks=[last])
    assert last.told[0] == ("begin", 6, 12)  # round 6 was computed, but not saved
    assert result_of(outcome) == straight(*REMEMBERING)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_last_round_is_passed_on_though_the_run_finishes(configure, number):
    with pytest.raises(InterruptedRun) as caught:
        run(configure(*TINY, "selector=rs"), callbacks=[ask_to_stop(12, number)])
    assert caught.value.signal is number
    assert caught.value.outcome.summary["status"] == "finished"
    assert RunFolder(caught.value.outcome.folder).completed(12) is not None


def test_a_finished_run_is_not_touched_and_its_data_are_not_loaded(configure, monkeypatch):
    config = configure(*TINY, "selector=rs")
    first = run(config)
    before = {path: path.stat().st_mtime_ns for path in first.folder.parent.rglob("*")}
    monkeypatch.setattr(job, "load_task", None)  # calling it would fail
    again = run(config)
    assert again.already_there
    assert not first.already_there
    assert dict(again.summary) == dict(first.summary)
    assert {path: path.stat().st_mtime_ns for path in first.folder.parent.rglob("*")} == before


def test_other_data_under_the_same_name_are_refused(configure, monkeypatch):
    config = configure(*TINY, "selector=rs")
    with pytest.raises(InterruptedRun) as caught:
        run(config, callbacks=[ask_to_stop(3)])
    folder = caught.value.outcome.folder
    before = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    load = job.load_task
    monkeypatch.setattr(
        job, "load_task", lambda *given: replace(load(*given), fingerprint="f" * 16)
    )
    with pytest.raises(RunFolderError, match=r"belongs to other data \(fingerprint \w+, found f+"):
        run(config)
    assert {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_divergence_ends_a_run_and_is_its_result(configure):
    config = configure(*TINY, "selector=titan", "learning_rate=1e6")
    outcome = run(config)
    summary, folder = outcome.summary, RunFolder(outcome.folder)
    assert summary["status"] == "diverged"
    assert summary["final_accuracy"] is None
    assert summary["final_loss"] is None
    losses = folder.rounds()["loss"]
    assert len(losses) == summary["rounds_done"] < 12
    assert not math.isfinite(losses.iloc[-1])
    assert losses.iloc[:-1].map(math.isfinite).all()
    assert folder.evaluations()["loss"].map(math.isfinite).all()
    assert run(config).already_there


def test_divergence_in_the_last_step_or_seen_by_an_evaluation_first(configure):
    """The loss of a round is from before its step; weights may be lost without its showing it."""
    fatal = ("selector=titan", "learning_rate=1e6")
    after = run(configure(*TINY, *fatal)).summary["rounds_done"] - 1
    last = run(configure(*TINY, *fatal, f"rounds={after}", "evaluate_every=1000"))
    seen = run(configure(*TINY, *fatal, "evaluate_every=1"))
    for outcome in (last, seen):
        folder = RunFolder(outcome.folder)
        assert outcome.summary["status"] == "diverged"
        assert outcome.summary["final_accuracy"] is None
        assert outcome.summary["rounds_done"] == after
        assert folder.rounds()["loss"].map(math.isfinite).all()
        assert folder.evaluations()["loss"].map(math.isfinite).all()


def test_a_refused_configuration_leaves_no_trace(configure, tmp_path):
    with pytest.raises(ConfigurationError):
        run(configure(*TINY, "batch_size=31"))
    assert not (tmp_path / "runs").exists()


def test_a_batch_of_one_is_refused_where_batchnorm_would_have_one_value(configure, tmp_path):
    with pytest.raises(ConfigurationError, match="batch_size: found 1; allowed with model=squee"):
        run(configure(*TINY, "model=squeezenet", "batch_size=1"))
    assert not (tmp_path / "runs").exists()
    single = run(configure(*TINY, "model.norm=batch", "batch_size=1", "selector=rs"))
    assert single.summary["rounds_done"] > 0  # small_cnn has four positions left


def test_the_home_folder_may_be_called_by_its_sign(configure, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    outcome = run(configure(*TINY, "selector=rs", "paths.runs='~/my runs'"))
    assert outcome.folder.is_relative_to(tmp_path / "home" / "my runs")
    assert outcome.folder.is_dir()


def test_a_task_without_test_samples_is_refused(configure):
    with pytest.raises(DataError, match=r"digits \(bundled\): found 0 test samples"):
        run(configure(*TINY, "task.loader.test_fraction=0.0001"))


def test_the_task_is_loaded_once_for_a_sweep_and_again_for_other_data(configure, tmp_path):
    def load(*overrides):
        config = configure(*overrides)
        loader = build.build_loader(config)
        return build.load_task(config, loader, loader.locate(tmp_path))

    first = load("seed=0")
    assert load("seed=1", "selector=rs") is first
    other = load("task.loader.test_fraction=0.5")
    assert len(other.test) > len(first.test)
    again = load("seed=0")
    assert again is not first  # one task at a time is in memory
    assert torch.equal(again.test.inputs, first.test.inputs)


def saved_after(configure, rounds, *overrides):
    """Stop a run after some rounds and return its configuration and the checkpoint's path."""
    config = configure(*TINY, *overrides)
    with pytest.raises(InterruptedRun) as caught:
        run(config, callbacks=[ask_to_stop(rounds)])
    return config, caught.value.outcome.folder / "checkpoint.pt"


def test_what_a_checkpoint_holds(configure):
    _, path = saved_after(configure, 3, *REMEMBERING)
    saved = checkpoint.load(path)
    assert saved.next_round == 3
    assert set(saved.state) == {"executor", "progress"}
    progress = saved.state["progress"]
    assert (progress["rounds_done"], progress["evaluated_at"], progress["diverged"]) == (
        3,
        0,
        False,
    )
    assert progress["train_seconds"] > 0
    executor = saved.state["executor"]
    assert set(executor) == {"network", "optimizer", "selector", "in_flight"}
    assert len(executor["in_flight"]["indices"]) == 10
    assert any("running_mean" in name for name in executor["network"])
    assert executor["selector"]["filter"]
    assert executor["selector"]["policy"]


def test_without_delay_no_batch_is_in_flight(configure):
    _, path = saved_after(configure, 3, "selector=cis")
    assert checkpoint.load(path).state["executor"]["in_flight"] is None


def spoil(node):
    """Change the numbers of a saved state."""
    if isinstance(node, dict):
        return {key: spoil(value) for key, value in node.items()}
    if isinstance(node, torch.Tensor):
        return node.flip(0) + (0 if node.dtype == torch.bool else 1) if node.ndim else node + 1
    return node


PARTS = (
    ("selector", "filter"),
    ("selector", "policy"),
    ("in_flight", "indices"),
    ("network", "blocks.0.1.running_var"),
)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: ".".join(part))
def test_every_part_of_a_checkpoint_has_an_effect(configure, straight, part):
    """So the tests above would notice if one of them were not saved."""
    config, path = saved_after(configure, 3, *REMEMBERING)
    saved = checkpoint.load(path)
    executor = saved.state["executor"]
    group, name = part
    executor[group][name] = spoil(executor[group][name])
    checkpoint.save(path, saved)
    outcome = run(config)
    assert result_of(outcome)["rounds"] != straight(*REMEMBERING)["rounds"]


def test_times_go_on_adding_up(configure):
    config, path = saved_after(configure, 6, "selector=rs")
    before = checkpoint.load(path).state["progress"]["train_seconds"]
    outcome = run(config)
    curve = RunFolder(outcome.folder).evaluations()
    assert curve["train_seconds"].is_monotonic_increasing
    assert curve["train_seconds"].iloc[-1] > before
    total = outcome.summary["seconds_per_round"] * 12
    assert total == pytest.approx(curve["train_seconds"].iloc[-1])
    assert isinstance(curve, pd.DataFrame)


MEASURED = {
    "measured_processor_seconds",
    "measured_memory_mb",
    "measured_memory_each_mb",
    "measured_joules",
}


def test_a_summary_says_what_was_really_used(configure):
    summary = run(configure(*TINY, "selector=rs")).summary
    assert set(summary) >= MEASURED
    assert 0 < summary["measured_processor_seconds"] < 60
    assert 50 < summary["measured_memory_mb"] < 100_000
    assert list(summary["measured_memory_each_mb"]) == ["the process"]
    assert not [key for key in summary if key.startswith("modelled")]


def test_with_three_processes_each_has_its_memory(configure):
    config = configure(*TINY, "executor=processes", "device.cores=null")
    summary = run(config).summary
    each = summary["measured_memory_each_mb"]
    assert list(each) == [
        "training process",
        "filter process",
        "selection process",
    ]
    assert min(each.values()) > 100  # each has imported torch
    # pages shared with other tests that run at the same time count as a part in the sum
    assert 100 < summary["measured_memory_mb"] < 1.05 * sum(each.values())


def test_what_was_used_before_a_stop_is_added(configure):
    config, path = saved_after(configure, 6, "selector=rs")
    saved = checkpoint.load(path)
    usage = saved.state["progress"]["usage"]
    usage |= {
        "processor_seconds": 1000.0,
        "memory_each_mb": {"the process": 1e6},
        "joules": {"jtop board input": 5.0},
    }
    checkpoint.save(path, saved)
    summary = run(config).summary
    assert 1000 < summary["measured_processor_seconds"] < 1060
    assert summary["measured_memory_each_mb"] == {"the process": 1e6}
    assert summary["measured_joules"] == "not measured"  # no such sensor since


def test_a_run_begun_without_meters_is_not_half_measured(configure):
    config, path = saved_after(configure, 6, "selector=rs")
    saved = checkpoint.load(path)
    del saved.state["progress"]["usage"]
    checkpoint.save(path, saved)
    summary = run(config).summary
    assert summary["measured_processor_seconds"] == "not measured"
    assert summary["measured_memory_mb"] == "not measured"


def test_the_modelled_clock_of_a_summary_is_that_of_a_replay(configure):
    config = configure(*TINY, "selector=titan", "device=jetson_nano")
    with pytest.raises(InterruptedRun) as caught:
        run(config, callbacks=[ask_to_stop(5)])
    half, whole = caught.value.outcome.summary, run(config).summary
    board = read_board(OmegaConf.to_container(config.device.modelled))
    rounds = RunFolder(caught.value.outcome.folder).rounds()
    replayed = modelled(board, build_counter(config), rounds, delay=1)
    assert whole["modelled_device"] == "jetson_nano"
    assert whole["modelled_stages"] == "pipelined"
    assert whole["modelled_seconds"] == replayed.seconds[-1]
    assert whole["modelled_joules"] == replayed.joules[-1]
    assert whole["modelled_memory_mb"] == replayed.memory_bytes / 1e6
    assert half["modelled_seconds"] == replayed.seconds[5]
    assert half["modelled_joules_per_round"] == replayed.joules[5] / 5


def test_without_delay_the_modelled_stages_are_in_sequence(configure):
    summary = run(configure(*TINY, "selector=rs", "device=jetson_nano")).summary
    assert summary["modelled_stages"] == "in sequence"


def test_a_board_that_cannot_be_is_refused_before_anything_is_run(configure, tmp_path):
    config = configure(*TINY, "device=jetson_nano", "device.modelled.idle_watts=-1")
    with pytest.raises(ConfigurationError, match=r"device\.modelled\.idle_watts: found -1"):
        run(config)
    assert not (tmp_path / "runs").exists()
