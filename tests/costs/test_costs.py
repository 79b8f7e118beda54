"""Costs measured instead of a run: what is kept, what is not measured twice, what is refused."""

import json
import os
from pathlib import Path
from statistics import median

import pandas as pd
import pytest

from titan_repro.analysis.costs import load_costs
from titan_repro.binding import bound
from titan_repro.boards.clock import modelled
from titan_repro.costs import measure as costs
from titan_repro.costs import record as costs_record
from titan_repro.costs import rounds as side_by_side
from titan_repro.costs.measure import is_measurement, measure_costs
from titan_repro.costs.memory import PeakMemory, measure_here, measure_in_fresh_process
from titan_repro.costs.modelled import (
    Counted,
    board_of,
    counted_memory,
    modelled_latencies,
    modelled_memory,
    modelled_power,
    modelled_rounds,
)
from titan_repro.costs.rounds import (
    RoundTimes,
    SideBySide,
    hidden_share,
    run_side_by_side,
)
from titan_repro.errors import ConfigurationError, PipelineError, RunFolderError
from titan_repro.records import measured as measured_folders
from titan_repro.runs.build import (
    build_executor,
    build_loader,
    build_network,
    build_workers,
    load_task,
    with_selector,
)
from titan_repro.tasks.base import locate

TINY = (
    "experiment=fig6",
    "task=digits",
    "model=small_cnn",
    "device.cores=null",
    "experiment.rounds=3",
    "experiment.latency_seconds=0.001",
    "experiment.memory_rounds=2",
)
BASELINES = {"is", "ll", "hl", "ce", "ocs", "camel", "cis"}


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(side_by_side, "WARM_UP", 1)
    monkeypatch.setattr(side_by_side, "MESSAGES", 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("costs") / "runs"


@pytest.fixture
def measured(configure, folder, monkeypatch):
    """One real measurement, made once; its memory in this process, which saves three starts."""
    monkeypatch.setattr(costs_record, "measure_in_fresh_process", measure_here)
    cores = os.sched_getaffinity(0)
    result = measure_costs(configure(*TINY, f"paths.runs={folder}"), ["titan-run", "a=b"])
    assert os.sched_getaffinity(0) == cores
    return result


def test_everything_is_measured_with_its_unit(measured, folder):
    content = json.loads((measured.folder / "costs.json").read_text())
    assert content == measured.content
    assert measured.folder.relative_to(folder).parts[:-1] == ("digits", "small_cnn", "fig6")
    assert {path.name for path in measured.folder.iterdir()} == {
        "config.yaml",
        "costs.json",
        "provenance.json",
    }
    load_costs(folder)  # raises for a missing number
    assert (
        0 < content["rounds"]["quiet"]["rs_ms"] <= content["rounds"]["measured"]["rs_ms"]["median"]
    )
    times = content["rounds"]["measured"]
    for way in ("rs", "titan_sequential", "titan_pipelined", "waiting", "selection", "messages"):
        assert times[f"{way}_ms"]["rounds"] == (2 if way == "messages" else 3)
    for clock in ("measured", "modelled"):
        latency = content["latency"][clock]
        assert set(latency) == BASELINES | {"filter"}  # rs looks at nothing
        times = [way[f"{how}_ms"] for way in latency.values() for how in ("arriving", "bulk")]
        assert min(times) > 0
    by_blocks = content["latency"]["filter_by_blocks"]
    assert list(by_blocks) == ["1", "2", "3"]
    for timed in (*content["latency"]["measured"].values(), *by_blocks.values()):
        assert timed["repetitions"] >= 5
        assert min(timed["arriving_ms"], timed["bulk_ms"]) > 0
    memory = content["memory"]["measured"]
    assert len(memory["titan_pipelined"]["each_mb"]) == 3
    assert len(memory["rs"]["each_mb"]) == len(memory["titan_sequential"]["each_mb"]) == 1
    assert memory["titan_pipelined"]["together_mb"] > memory["rs"]["together_mb"] > 50


@pytest.mark.slow
def test_memory_is_that_of_fresh_processes(configure):
    ballast = bytearray(b"x") * 2**30  # of this process: no part of what is measured
    memory = costs_record._measured_memory(configure(*TINY))
    del ballast
    alone, sequential, pipelined = (
        memory[way] for way in ("rs", "titan_sequential", "titan_pipelined")
    )
    assert [len(way["each_mb"]) for way in (alone, sequential, pipelined)] == [1, 1, 3]
    assert max(size for way in memory.values() for size in way["each_mb"].values()) < 1000
    assert pipelined["together_mb"] > alone["together_mb"] > 50


def test_what_has_been_measured_is_not_measured_again(measured, configure, folder, monkeypatch):
    monkeypatch.setattr(costs, "load_task", None)  # calling it would fail
    again = measure_costs(configure(*TINY, f"paths.runs={folder}"))
    assert again.already_there
    assert again.content == measured.content


def test_damaged_costs_are_named(measured, configure, folder):
    path = measured.folder / "costs.json"
    whole = path.read_text()
    path.write_text(whole[:100])
    with pytest.raises(RunFolderError, match=r"costs\.json: damaged \("):
        measure_costs(configure(*TINY, f"paths.runs={folder}"))
    path.write_text(whole)


def fail(*_):
    raise ZeroDivisionError


@pytest.mark.parametrize(
    "at",
    [
        pytest.param((costs, "run_side_by_side"), marks=pytest.mark.slow),
        (costs_record, "latencies"),
    ],
)
def test_half_a_measurement_is_none_and_cores_are_free_again(configure, tmp_path, monkeypatch, at):
    cores = os.sched_getaffinity(0)
    where = {"train": min(cores), "filter": max(cores), "select": max(cores)}
    bound = [f"device.cores.{stage}=[{core}]" for stage, core in where.items()]
    config = configure(*(x for x in TINY if x != "device.cores=null"), *bound)
    monkeypatch.setattr(*at, fail)
    with pytest.raises(ZeroDivisionError):
        measure_costs(config)
    assert os.sched_getaffinity(0) == cores
    assert list(tmp_path.rglob("costs.json")) == []
    assert list(tmp_path.rglob(".lock")) == []


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["experiment.rounds=1"], "experiment.rounds: found 1; allowed: whole numbers"),
        (["experiment.measurement=all"], "experiment.measurement: found 'all'; allowed: costs"),
        (["executor=inline"], "executor: found inline with experiment.measurement=costs"),
        (["selector=cis", "delay=1"], "selector: found cis, filter.budget=30, with experiment"),
        (["experiment.board.modelled.idle_watts=0"], "experiment.board.modelled.idle_watts: fou"),
        (["filter.blocks=9"], "filter.blocks: found 9; allowed: 1 to 3"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is(
    configure, tmp_path, overrides, says
):
    with pytest.raises(ConfigurationError) as caught:
        measure_costs(configure(*TINY, *overrides))
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_one_core_is_refused(configure, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    with pytest.raises(ConfigurationError, match="found costs on 1 processor core; allowed: on tw"):
        measure_costs(configure(*TINY))


def test_only_experiments_that_say_so_measure(configure):
    assert is_measurement(configure(*TINY))
    assert not is_measurement(configure())
    assert not is_measurement(configure("experiment=table1_images"))


def test_the_name_of_a_measurement(configure, monkeypatch):
    """It is that of another one if another number would come out, but for the machine."""
    names = {}

    def stop(folder):
        names[overrides] = folder.name
        raise ZeroDivisionError

    monkeypatch.setattr(measured_folders, "exclusive", stop)
    same = [(), ("budget=cpu",), ("evaluate_every=7",), ("experiment.name=other",)]
    other = [
        ("experiment.rounds=4",),
        ("experiment.board.modelled.idle_watts=2",),
        ("filter.budget=20",),
        ("stream=label_noise",),
        ("device.cores.train=null",),
        ("model.norm=batch",),
    ]
    for overrides in (*same, *other):
        with pytest.raises(ZeroDivisionError):
            measure_costs(configure(*(x for x in TINY if x != "device.cores=null"), *overrides))
    assert len({names[overrides] for overrides in same}) == 1
    assert len(set(names.values())) == 1 + len(other)


def test_a_fresh_process_that_fails_is_one_line(configure):
    config = configure(*TINY)
    config.model.network["_target_"] = "titan_repro.models.nowhere.net"
    with pytest.raises(PipelineError) as caught:
        measure_in_fresh_process(config, 1)
    said = "measuring memory in a fresh process failed: model.network._target_"
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_memory_that_cannot_be_told_is_not_measured(configure, monkeypatch):
    nothing = PeakMemory(None, {"the process": 300.0})
    monkeypatch.setattr(costs_record, "measure_in_fresh_process", lambda config, rounds: nothing)
    found = costs_record._measured_memory(configure(*TINY))
    assert found["rs"] == {"together_mb": "not measured", "each_mb": {"the process": 300.0}}


@pytest.mark.parametrize(
    ("alone", "sequential", "pipelined", "hidden"),
    [(10, 30, 12, 0.9), (10, 30, 10, 1.0), (10, 20, 25, -0.5), (10, 10, 10, None)],
)
def test_the_hidden_share(alone, sequential, pipelined, hidden):
    assert hidden_share(alone, sequential, pipelined) == pytest.approx(hidden)


def test_quiet_rounds_are_the_tenth_percentile_of_each_way():
    whole = [float(n) for n in range(101)]
    times = SideBySide(whole, [3 * n for n in whole], [2 * n for n in whole], [], [], [])
    assert times.quiet() == RoundTimes(10, 30, 20)
    assert times.typical() == RoundTimes(50, 150, 100)
    assert (times.quiet().ratio, times.quiet().hidden) == (2, 0.5)
    assert times.quiet().record() == {
        "rs_ms": 10,
        "titan_sequential_ms": 30,
        "titan_pipelined_ms": 20,
        "hidden_percent": 50,
    }


def test_the_three_ways_train_one_network(configure, monkeypatch):
    built, trained = [], []

    def count_network(config):
        built.append(build_network(config))
        return built[-1]

    def count_executor(config, workers, network, selector, task):
        trained.append(network)
        return build_executor(config, workers, network, selector, task)

    monkeypatch.setattr(side_by_side, "build_network", count_network)
    monkeypatch.setattr(side_by_side, "build_executor", count_executor)
    config = configure(*TINY)
    loader = build_loader(config)
    with build_workers(config) as workers:
        task = load_task(config, loader, locate(loader, Path()))
        run_side_by_side(config, workers, task, 2)
    assert len(built) == 2  # one of them for the messages alone
    assert trained[0] is built[0]
    assert all(network is built[1] for network in trained[1:])
    assert len(trained) == 4


def test_the_modelled_board_says_what_a_replay_of_rounds_would(configure):
    config = configure(*TINY)
    board, work = board_of(config), Counted.of(config)
    titan, random = (100, 30, 30, 10), (0, 0, 100, 10)
    columns = ["samples_filtered", "samples_scored", "candidates", "samples_trained"]
    piped = modelled(board, work.titan, pd.DataFrame([titan], columns=columns), 1)
    plain = modelled(board, work.others["rs"], pd.DataFrame([random], columns=columns), 0)
    rounds = modelled_rounds(board, work)
    assert rounds["rs_ms"] == 1e3 * plain.inline_seconds
    assert rounds["titan_sequential_ms"] == 1e3 * piped.inline_seconds
    assert rounds["titan_pipelined_ms"] == 1e3 * piped.pipelined_seconds
    power = modelled_power(board, work)
    assert power["titan_pipelined"]["joules_per_round"] == piped.joules[-1]
    assert power["rs"]["watts"] == pytest.approx(plain.joules[-1] / plain.seconds[-1])
    memory = modelled_memory(board, work)
    assert memory["titan_pipelined"]["total_mb"] == piped.memory_bytes / 1e6
    assert memory["rs"]["total_mb"] == plain.memory_bytes / 1e6


def test_memory_on_this_machine_by_hand(configure):
    plain = counted_memory(Counted.of(configure(*TINY)))
    assert plain["titan_pipelined"]["copies_mb"] == plain["rs"]["filter_mb"] == 0
    assert plain["rs"]["scoring_mb"] == 0
    feature, second_block = 4 * 32 * 4 * 4, 4 * 64 * 4 * 4
    pooled = (4 + 8) * 64 * 2 * 2  # with its indices
    scoring = 30 * (feature + 8 + second_block + pooled)  # with a label each
    assert plain["titan_pipelined"]["scoring_mb"] == pytest.approx(1e-6 * scoring)
    normed = counted_memory(Counted.of(configure(*TINY, "model.norm=batch")))["titan_pipelined"]
    whole = 320 + 18_496 + 36_928  # weights and biases of the convolutions
    assert normed["copies_mb"] == pytest.approx(4e-6 * whole)
    parts = [value for name, value in normed.items() if name != "total_mb"]
    assert normed["total_mb"] == pytest.approx(sum(parts))
    batch = Counted.of(configure(*TINY, "model.norm=batch", "scoring_norm=batch"))
    assert counted_memory(batch)["titan_pipelined"]["copies_mb"] == 0


def test_modelled_latencies_by_hand(configure):
    config = configure(*TINY)
    board, work = board_of(config), Counted.of(config)
    seconds = board.processors["gpu"].seconds
    found = modelled_latencies(board, work)
    assert found["filter"]["arriving_ms"] == 1e3 * seconds(work.titan.filter(1, 1))
    cis = work.others["cis"]
    expected = seconds(cis.score(1)) + seconds(cis.select(100, 10)) / 100
    assert found["cis"]["arriving_ms"] == pytest.approx(1e3 * expected)
    expected = (seconds(cis.score(100)) + seconds(cis.select(100, 10))) / 100
    assert found["cis"]["bulk_ms"] == pytest.approx(1e3 * expected)
    camel = found["camel"]  # looks at inputs alone, so both ways are its choice
    assert camel["arriving_ms"] == camel["bulk_ms"]


def test_another_selector_takes_its_own_delay_and_the_same_keys(configure):
    config = configure(*TINY, "gradient=logits")
    other = with_selector(config, "is")
    gradient = bound(other, "selector.policy")["gradient"]
    assert (other.selector.name, other.delay, gradient) == ("is", 0, "logits")
    assert (config.selector.name, config.delay) == ("titan", 1)


def test_the_spread_of_times():
    times = [4.0, 1.0, 2.0, 3.0, 100.0]
    spread = costs_record._spread(times)
    assert spread["median"] == median(times) == 3.0
    assert (spread["mean"], spread["rounds"]) == (22.0, 5)
    assert spread["lower_quartile"] < 3 < spread["upper_quartile"]
