"""Clocks for runs: from which number of which file a time is, and what has none."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from handmade import costs, run, runs_of, write_costs
from titan_repro.analysis.clocks import (
    BoardClock,
    CostsClock,
    NoTimeError,
    OwnClock,
    choose_clock,
    timed,
)
from titan_repro.analysis.costs import read_costs
from titan_repro.cli.report import replay_on
from titan_repro.errors import ConfigurationError, RunFolderError

FACTS = {"task": "cifar10", "model": "alexnet"}
VELOCITY = {"config.stream.velocity": 100}
TITAN = {"choices": {"delay": 1, "filter": {"budget": 30}, "blocks": 1}}


def path_of(runs, *contents):
    write_costs(runs, *contents)
    return next(runs.rglob("costs.json"))


@pytest.fixture
def clock(tmp_path):
    content = costs("alexnet", filter_budget=30, filter_blocks=1, batch_size=10)
    return CostsClock(read_costs(path_of(tmp_path / "runs", content)))


def ms(clock, selector, **more):
    return clock.round_ms({"selector": selector, "choices": {}, **FACTS, **more})


def test_the_round_of_each_selector(clock):
    assert ms(clock, "rs") == ms(clock, "stratified") == ms(clock, "rs2") == 20
    assert ms(clock, "titan", **TITAN) == 23  # pipelined
    in_sequence = {"choices": {**TITAN["choices"], "delay": 0}}
    assert ms(clock, "titan", **in_sequence) == 50
    assert ms(clock, "cis") == 20 + 100 * 1.0  # 100 samples, 1 ms each in bulk


@pytest.mark.parametrize(
    ("selector", "more", "why"),
    [
        ("ocs", {}, "no latency"),
        ("titan_literal", TITAN, "no latency"),
        ("cis", {"choices": {"policy": {"gradient": "full"}}}, "gradient=full"),
        ("rs", {"model": "mlp"}, "is of model alexnet, not mlp"),
        ("rs", {"task": "dsads"}, "is of task cifar10, not dsads"),
        ("rs", {"config.batch_size": 5}, "batch_size 10, not 5"),
        ("cis", {"config.stream.velocity": 50}, "velocity 100, not 50"),
        ("cis", {**VELOCITY, "config.stream.source.velocity": 50}, "velocity 100, not 50"),
        ("titan", {"choices": {"filter": {"budget": 15}, "blocks": 1}}, "filter_budget 30, not 15"),
        ("titan", {"choices": {"filter": {"budget": 30}, "blocks": 2}}, "filter_blocks 1, not 2"),
    ],
)
def test_what_was_not_measured_has_no_time(clock, selector, more, why):
    with pytest.raises(NoTimeError, match=why):
        ms(clock, selector, **more)


def test_a_pipelined_round_takes_no_less_than_the_training_that_it_has(clock):
    clock.costs.content["rounds"]["measured"]["titan_pipelined_ms"]["median"] = 18.0  # rs: 20
    assert ms(clock, "titan", **TITAN) == 20


def test_keys_that_a_run_does_not_have_are_not_compared(clock):
    assert ms(clock, "rs", **{"config.batch_size": float("nan")}) == 20
    assert ms(clock, "rs", **VELOCITY, **{"config.stream.source.velocity": float("nan")}) == 20


def test_curves_are_timed_and_the_rest_is_named(clock):
    runs = runs_of(
        run("rs", 0, (0, 0.1, 0.0), (50, 0.5, 7.0), **FACTS),
        run("ocs", 0, (0, 0.1, 0.0), (50, 0.5, 7.0), **FACTS),
    )
    own = timed(runs.summaries, runs.curves, clock)
    assert list(own.curves["seconds"])[:2] == [0, 1]  # 50 rounds of 20 ms
    assert np.isnan(own.curves["seconds"][2:]).all()
    assert own.untimed == {"ocs": "costs.json has no latency of it"}


def test_the_caption_names_the_machine(clock):
    runs = runs_of(run("rs", 0, (0, 0.1, 0.0), **FACTS)).summaries
    assert "alexnet0123/costs.json, measured on a machine that is not named" in clock.caption(runs)
    machine = {"machine": {"cpu": "Some CPU", "cores": 2}}
    (clock.costs.path.parent / "provenance.json").write_text(json.dumps(machine))
    assert "measured on Some CPU, 2 cores" in clock.caption(runs)


def test_a_runs_own_clock_names_its_processors():
    runs = runs_of(
        run("rs", 0, (0, 0.1, 0.0), (5, 0.2, 3.0), processors=["A"]),
        run("rs", 1, (0, 0.1, 0.0), (5, 0.2, 3.0), processors=["B", "A"]),
    )
    own = timed(runs.summaries, runs.curves, OwnClock())
    assert own.caption == "measured by each run itself on A, B"
    assert list(own.curves["seconds"]) == [0, 3, 0, 3]


def chosen(wanted, folder, **facts):
    runs = runs_of(run("rs", 0, (0, 0.1, 0.0), **{**FACTS, **facts}))
    return choose_clock(wanted, folder, runs, replay_on)(runs.summaries)


def test_by_default_the_only_measurement_of_the_task_and_model(tmp_path):
    write_costs(tmp_path, costs("alexnet"), costs("mlp", task="dsads"))
    write_costs(tmp_path / "copy", costs("alexnet"))  # the same one twice
    assert chosen(None, tmp_path).costs.model == "alexnet"
    assert isinstance(chosen(None, tmp_path, model="resnet50"), OwnClock)
    assert isinstance(chosen("measured", tmp_path), OwnClock)
    write_costs(tmp_path, costs("alexnet", id="another"))
    assert isinstance(chosen(None, tmp_path), OwnClock)  # two of them: none is chosen


def test_an_export_brings_its_measurements_along(tmp_path):
    write_costs(tmp_path, costs("alexnet"))
    assert chosen(None, tmp_path / "summaries.parquet").costs.model == "alexnet"


def test_a_file_or_a_board_by_name(tmp_path):
    path = path_of(tmp_path / "runs", costs("alexnet"))
    assert chosen(str(path), tmp_path / "elsewhere").costs.path == path
    board = chosen("jetson_nano", tmp_path)
    assert isinstance(board, BoardClock)
    assert "modelled on jetson_nano" in board.caption(None)


def test_a_board_replays_what_is_recorded_of_each_run():
    runs = runs_of(
        run("rs", 0, (0, 0.1, 0.0), (50, 0.5, 7.0)),
        run("titan", 0, (0, 0.1, 0.0), (20, 0.3, 7.0), (50, 0.5, 7.0)),
    )
    recorded = {"run0": 2.0, "run1": 3.0}  # seconds a round

    class Replaying:
        def run(self, seconds, row):
            assert row["selector"] == {2.0: "rs", 3.0: "titan"}[seconds]
            return SimpleNamespace(seconds=seconds * np.arange(51))

        device = SimpleNamespace(name="a board")

    own = timed(runs.summaries, runs.curves, BoardClock(Replaying(), recorded))
    assert list(own.curves["seconds"]) == [0, 100, 0, 60, 150]
    assert own.untimed == {}
    assert own.caption.startswith("modelled on a board, ")


@pytest.mark.parametrize("wanted", ["host", "nano", "none/costs.json"])
def test_another_clock_is_one_line(tmp_path, wanted):
    with pytest.raises(ConfigurationError) as error:
        chosen(wanted, tmp_path)
    says = str(error.value)
    assert says.startswith(f"--clock: found {wanted}")
    assert "allowed: measured, a costs.json of experiment=fig6, a modelled device" in says
    assert "\n" not in says


def test_a_damaged_measurement_is_named(tmp_path):
    path_of(tmp_path, costs("alexnet")).write_text("{")
    with pytest.raises(RunFolderError, match=r"costs\.json"):
        chosen(None, tmp_path)
