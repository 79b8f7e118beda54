"""Time, power and energy on numbers that can be worked out by hand."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from titan_repro.boards.cost_model import (
    Board,
    Processor,
    inline_cost,
    joules,
    pipelined_cost,
    synchronisation_work,
)
from titan_repro.boards.round_work import RoundWork
from titan_repro.boards.work import NO_WORK, Work

CPU = Processor(
    forward_rate=100.0, backward_rate=50.0, bandwidth=10.0, launch_seconds=0.5, watts=3.0
)
GPU = Processor(
    forward_rate=1000.0, backward_rate=1000.0, bandwidth=40.0, launch_seconds=1.0, watts=4.0
)
BOARD = Board(
    processors={"cpu": CPU, "gpu": GPU},
    train="cpu",
    select="gpu",
    idle_watts=2.0,
    filter_at_once=1,
    score_at_once=1,
)
ROUND = RoundWork(
    filter=Work(flops=1000.0, launches=1.0),  # 10.5 s on the CPU, 2 s on the GPU
    score=Work(flops=2000.0, bytes=80.0),  # 20 s on the CPU, 2 s on the GPU
    select=Work(launches=2.0),  # 1 s on the CPU, 2 s on the GPU
    train=Work(flops=500.0, backward_flops=500.0, bytes=20.0, launches=10.0),  # 20 s on the CPU
)


def test_arithmetic_bound_memory_bound_and_launches():
    assert CPU.seconds(Work(flops=300.0)) == 3.0
    assert CPU.seconds(Work(flops=300.0, backward_flops=100.0)) == 5.0
    assert CPU.seconds(Work(flops=300.0, bytes=20.0)) == 3.0
    assert CPU.seconds(Work(flops=300.0, bytes=90.0)) == 9.0
    assert CPU.seconds(Work(launches=4.0)) == 2.0
    assert CPU.seconds(Work(flops=300.0, bytes=90.0, launches=4.0)) == 11.0
    assert CPU.seconds(NO_WORK) == 0.0


def test_in_sequence_everything_runs_where_training_does():
    cost = inline_cost(BOARD, ROUND)
    assert cost.selection_seconds == 10.5 + 20.0 + 1.0
    assert cost.train_seconds == 20.0
    assert cost.seconds == 51.5
    assert cost.watts == pytest.approx(2.0 + 3.0)
    assert cost.joules == pytest.approx(5.0 * 51.5)


def test_a_pipeline_takes_the_longer_side_and_the_copying():
    cost = pipelined_cost(BOARD, ROUND, Work(bytes=160.0, launches=1.0))
    assert (cost.train_seconds, cost.selection_seconds) == (20.0, 6.0)
    assert cost.synchronisation_seconds == 5.0
    assert cost.seconds == 25.0
    # The CPU is busy for 20 s of 25, the GPU for 6 in selection and 5 in copying.
    assert cost.joules == pytest.approx(2.0 * 25 + 3.0 * 20 + 4.0 * 11)
    assert cost.watts == pytest.approx(cost.joules / 25)


def test_a_pipeline_may_be_bound_by_selection():
    slow = replace(ROUND, score=Work(flops=50_000.0))
    cost = pipelined_cost(BOARD, slow, NO_WORK)
    assert cost.seconds == 2.0 + 50.0 + 2.0
    assert cost.joules == pytest.approx(2.0 * 54 + 3.0 * 20 + 4.0 * 54)


def test_on_one_processor_the_pipeline_hides_nothing():
    alone = replace(BOARD, select="cpu")
    piped, inline = pipelined_cost(alone, ROUND, NO_WORK), inline_cost(alone, ROUND)
    assert piped.seconds == inline.seconds
    assert piped.joules == inline.joules
    assert synchronisation_work(alone, 4000.0, 7) == NO_WORK


def test_weights_are_read_and_written_a_copy_a_tensor():
    assert synchronisation_work(BOARD, 4000.0, 7) == Work(bytes=8000.0, launches=7.0)


def test_energy_of_an_idle_and_of_a_loaded_board():
    assert joules(BOARD, 10.0, {}) == 20.0
    assert joules(BOARD, 10.0, {"cpu": 10.0, "gpu": 5.0}) == 20.0 + 30.0 + 20.0


amounts = st.floats(0, 1e6)
works = st.builds(Work, amounts, amounts, amounts, amounts)
rounds = st.builds(RoundWork, works, works, works, works)


@settings(max_examples=50, derandomize=True, deadline=None)
@given(rounds, works)
def test_bounds_that_always_hold(work, copying):
    cost = pipelined_cost(BOARD, work, copying)
    stages = cost.train_seconds + cost.selection_seconds + cost.synchronisation_seconds
    longest = max(cost.train_seconds, cost.selection_seconds)
    assert longest <= cost.seconds <= stages * (1 + 1e-12)
    assert 2.0 * cost.seconds <= cost.joules <= (2.0 + 3.0 + 4.0) * cost.seconds * (1 + 1e-12)
    assert inline_cost(BOARD, work).seconds >= CPU.seconds(work.train)


@settings(max_examples=50, derandomize=True, deadline=None)
@given(works, works)
def test_work_done_together_never_takes_longer_than_apart(one, other):
    together = CPU.seconds(one + other)
    apart = CPU.seconds(one) + CPU.seconds(other)
    assert together <= apart * (1 + 1e-12)
