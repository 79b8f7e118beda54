"""What reports make of a federation's runs: on a board, in an export, among other runs."""

import numpy as np
import pandas as pd
import pytest
from federations import SMALL

from titan_repro.analysis.clocks import CostsClock, NoTimeError
from titan_repro.analysis.load import load_runs
from titan_repro.binding import plain
from titan_repro.boards.board import read_board
from titan_repro.boards.clock import LocalRounds, inline_round, modelled, pipelined_round
from titan_repro.boards.round_work import RoundSize
from titan_repro.cli.run_summary import run_summary
from titan_repro.costs.measure import check_measurable
from titan_repro.errors import ConfigurationError
from titan_repro.figures.titles import setting_title
from titan_repro.records.collect import collect
from titan_repro.records.export import prepare, read_export, write_export
from titan_repro.runs.counter import build_counter
from titan_repro.runs.run import run

PARTICIPANTS, ITERATIONS, BATCH = 4, 3, 10
ONE = RoundSize(100, 30, 30, BATCH)
"""Of one iteration of one device under Titan."""


def recorded(rounds):
    """Return the rows of rounds.parquet of a federation."""
    columns = ("samples_filtered", "samples_scored", "candidates", "samples_trained")
    sizes = (ONE.filtered, ONE.scored, ONE.candidates, ONE.trained)
    sums = (size * PARTICIPANTS * ITERATIONS for size in sizes)
    return pd.DataFrame([dict(zip(columns, sums, strict=True))] * rounds)


@pytest.fixture
def board_and_counter(configure):
    config = configure("selector=titan", "device=jetson_nano")
    return read_board(plain(config.device.modelled)), build_counter(config)


def test_without_delay_a_round_is_the_iterations_of_one_device(board_and_counter):
    board, counter = board_and_counter
    one = inline_round(board, counter, ONE)
    found = modelled(board, counter, recorded(5), 0, local=LocalRounds(ITERATIONS, BATCH))
    assert found.seconds == pytest.approx(np.arange(6) * ITERATIONS * one.seconds)
    assert found.joules == pytest.approx(np.arange(6) * PARTICIPANTS * ITERATIONS * one.joules)
    assert found.pipelined_seconds is None


def test_with_delay_the_first_choice_and_the_last_step_are_alone(board_and_counter):
    board, counter = board_and_counter
    one = pipelined_round(board, counter, ONE)
    select, train, copying = one.selection_seconds, one.train_seconds, one.synchronisation_seconds
    expected = select + (ITERATIONS - 1) * max(select, train) + train + ITERATIONS * copying
    found = modelled(board, counter, recorded(5), 1, local=LocalRounds(ITERATIONS, BATCH))
    assert found.pipelined_seconds == pytest.approx(expected)
    assert found.seconds == pytest.approx(np.arange(6) * expected)
    assert found.joules[1] > PARTICIPANTS * ITERATIONS * one.joules


def test_costs_of_single_devices_are_no_clock_of_a_federation():
    clock = CostsClock(None)
    with pytest.raises(NoTimeError, match="no times of a federation"):
        clock.round_ms({"config.federation.local_iterations": 3.0, "choices": {}})


def test_costs_are_measured_without_a_federation(configure):
    config = configure("experiment=fig6", "federation=fedavg")
    with pytest.raises(ConfigurationError, match=r"^federation: found fedavg with experiment"):
        check_measurable(config)


def test_a_run_tells_its_modelled_time_and_survives_an_export(configure, tmp_path):
    fast = ("rounds=2", "device=jetson_nano")
    outcome = run(configure(*SMALL, "selector=titan", *fast))
    run(configure("selector=titan", *fast, "evaluate_every=4", "evaluation_samples=50"))
    summary = outcome.summary
    assert "4 of 12 devices a round, " in run_summary(summary, outcome.folder)
    assert summary["modelled_seconds"] == pytest.approx(2 * summary["modelled_seconds_per_round"])
    write_export([prepare(each) for each in collect(tmp_path / "runs").runs], tmp_path / "export")
    exported = {each.summary["run_id"]: each for each in read_export(tmp_path / "export")}
    assert exported[summary["run_id"]].summary["federation"] == summary["federation"]
    assert sum("federation" in each.summary for each in exported.values()) == 1

    runs = load_runs(tmp_path / "export").summaries
    titles = [setting_title(group) for _, group in runs.groupby("setting")]
    assert len(titles) == 2
    assert sum("federation of 12 devices" in title for title in titles) == 1
    assert not any("nan" in title for title in titles)
