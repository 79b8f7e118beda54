"""Adaptive runs: their names, their clock, their folders, and what stops and continues them."""

import pytest

from runs.test_run import ask_to_stop, result_of
from titan_repro.config import identity
from titan_repro.errors import ConfigurationError, DataError
from titan_repro.pipeline.candidate_budget import FIXED, Measured
from titan_repro.records.identity import run_id
from titan_repro.records.run_folder import RunFolder
from titan_repro.runs.build import build_network, build_selector
from titan_repro.runs.candidate_budget import budget_choices, build_budget
from titan_repro.runs.run import InterruptedRun, run

TINY = ("rounds=12", "evaluate_every=5", "evaluation_samples=50")
NANO = (
    "filter.budget=adaptive",
    "device=jetson_nano",
    "device.modelled.filter_at_once=null",
    "device.modelled.processors.cpu.launch_us=1000",
)
WAVE = ("idle=square_wave", "idle.period_seconds=0.3", "idle.low=0")


def name(config):
    return run_id(identity(config, "bundled", scoring=True, budget=budget_choices(config)))


def test_a_name_holds_what_decides_the_counts(configure, tmp_path):
    trace = tmp_path / "trace.csv"
    trace.write_text("seconds,share\n0,0.5\n")
    csv = ("idle=csv", f"idle.path={trace}")
    names = {
        name(configure(*overrides))
        for overrides in (
            ("filter.budget=30",),
            ("filter.budget=adaptive", "executor=processes"),
            NANO,
            (*NANO, "device=jetson_nano_5w"),
            (*NANO, "device.modelled.processors.gpu.launch_us=80"),
            (*NANO, "idle=constant"),
            (*NANO, "idle=constant", "idle.share=0.4"),
            (*NANO, *WAVE),
            (*NANO, *csv),
            (*NANO, *csv, "idle.repeat_seconds=7"),
        )
    }
    before = name(configure(*NANO, *csv))
    assert before in names
    trace.write_text("seconds,share\n0,0.6\n")
    names.add(name(configure(*NANO, *csv)))
    assert len(names) == 11


def test_a_name_does_not_hold_what_does_not(configure, tmp_path):
    for path in (tmp_path / "one.csv", tmp_path / "two.csv"):
        path.write_text("seconds,share\n0,0.5\n")
    one, two = (
        name(configure(*NANO, "idle=csv", f"idle.path={tmp_path / file}.csv"))
        for file in ("one", "two")
    )
    assert one == two
    assert name(configure(*NANO, "idle=constant", "idle.share=1")) == name(configure(*NANO))
    assert name(configure(*NANO, "executor=processes")) == name(configure(*NANO))
    assert name(configure("device=jetson_nano")) == name(configure())
    assert budget_choices(configure("selector=rs", *NANO, *WAVE)) == {}


def test_only_adaptive_filters_have_another_budget_than_their_own(configure):
    def built(*overrides):
        config = configure(*overrides)
        return build_budget(config, build_network(config), build_selector(config), 100)

    assert built("device=jetson_nano") is FIXED
    assert built("selector=rs", *NANO) is FIXED
    assert isinstance(built("filter.budget=adaptive", "executor=processes"), Measured)
    assert built(*NANO).candidates(0) > 10


@pytest.mark.parametrize(
    ("overrides", "error", "says"),
    [
        (
            ["device.modelled.idle_watts=-1"],
            ConfigurationError,
            "device.modelled.idle_watts: found",
        ),
        (
            ["idle=csv", "idle.path=nowhere.csv"],
            DataError,
            "idle.path: nowhere.csv: cannot be read",
        ),
        (["idle=csv", "idle.path=' '"], ConfigurationError, "idle.path: found ' '"),
        (["idle.trace.share=7"], ConfigurationError, "idle.trace: idle: the shares of a trace"),
        (["idle.trace._target_=os.nothing"], ConfigurationError, "idle.trace: "),
        (["+idle.trace.speed=7"], ConfigurationError, "idle.trace: constant() got an unexpected"),
    ],
)
def test_what_cannot_be_read_is_refused_before_data_are_looked_for(
    configure, overrides, error, says
):
    with pytest.raises(error) as caught:
        run(configure("paths.data=nowhere", "task=cifar10", *NANO, *overrides))
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("second", ["inline", "processes"])
def test_an_adaptive_run_that_was_stopped_ends_as_if_it_had_not_been(configure, tmp_path, second):
    straight = run(configure(*TINY, *NANO, *WAVE, f"paths.runs={tmp_path / 'straight'}"))
    counts = RunFolder(straight.folder).rounds()["candidates"]
    assert counts.nunique() > 2
    assert straight.summary["random_rounds"] == (counts == 0).sum() > 0
    config = configure(*TINY, *NANO, *WAVE, "checkpoint_seconds=1000")
    with pytest.raises(InterruptedRun):
        run(config, observers=[ask_to_stop(7)])
    config.executor = configure(f"executor={second}").executor
    again = run(config)
    assert result_of(again) == result_of(straight)
    assert again.summary["random_rounds"] == straight.summary["random_rounds"]


def test_other_runs_have_no_random_rounds(configure):
    assert run(configure(*TINY, "selector=rs", "rounds=2")).summary["random_rounds"] == 0


def test_a_measured_run_records_what_it_scored(configure):
    processes = ("executor=processes", "device.cores=null")
    outcome = run(configure(*TINY, *processes, "filter.budget=adaptive"))
    rounds = RunFolder(outcome.folder).rounds()
    assert rounds["candidates"].between(10, 100).all()
    assert (rounds["samples_scored"] == rounds["candidates"]).all()
    assert outcome.summary["choices"]["clock"] == "measured"
