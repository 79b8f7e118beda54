"""Time, power and energy on numbers that can be worked out by hand."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from titan_repro.boards.cost_model import (
    Board,
    Handover,
    Processor,
    inline_cost,
    joules,
    pipelined_cost,
)
from titan_repro.boards.layers import ARITHMETIC, Kind
from titan_repro.boards.round_work import RoundWork
from titan_repro.boards.work import NO_WORK, Operation, Work


def rates(dense: float, depthwise: float, linear: float) -> dict[Kind, float]:
    return dict(zip(ARITHMETIC, (dense, depthwise, linear), strict=True))


CPU = Processor(rates(100, 20, 50), rates(50, 10, 25), 10.0, 20.0, 0.5, 0.25, 0.75, watts=3.0)
GPU = Processor(
    rates(1000, 1000, 1000), rates(1000, 1000, 1000), 40.0, 40.0, 1.0, 0.0, 0.0, watts=4.0
)
BOARD = Board(
    processors={"cpu": CPU, "gpu": GPU},
    train="cpu",
    select="gpu",
    idle_watts=2.0,
    awake_watts=1.0,
    byte_joules=0.1,
    handover=Handover(bytes_per_second=40.0, tensor_seconds=0.5),
    filter_at_once=1,
    score_at_once=1,
    stand_ins=None,
)


def one(kind=Kind.DENSE, flops=0.0, moved=0.0, launches=0.0, *, backward=False, channels=0.0):
    return Work((Operation(kind, backward, flops, moved, launches, channels),))


ROUND = RoundWork(
    filter=one(flops=1000.0, launches=1.0),  # 10.5 s on the CPU, 2 s on the GPU
    score=one(flops=2000.0, moved=80.0),  # 20 s on the CPU, 2 s on the GPU
    select=one(launches=2.0),  # 1 s on the CPU, 2 s on the GPU
    train=one(flops=500.0, moved=20.0, launches=10.0)  # 10 s on the CPU
    + one(flops=500.0, backward=True),  # and 10 s
)


def test_every_kind_of_layer_has_its_rate():
    for kind, forward, backward in (
        (Kind.DENSE, 3, 6),
        (Kind.DEPTHWISE, 15, 30),
        (Kind.LINEAR, 6, 12),
    ):
        assert CPU.seconds(one(kind, 300.0)) == forward
        assert CPU.seconds(one(kind, 300.0, backward=True)) == backward


def test_arithmetic_bound_memory_bound_and_launches():
    assert CPU.seconds(one(flops=300.0, moved=20.0)) == 3.0
    assert CPU.seconds(one(flops=300.0, moved=90.0)) == 9.0
    assert CPU.seconds(one(Kind.LINEAR, 50.0, 90.0)) == 4.5  # weights come in one stream
    assert CPU.seconds(one(Kind.NORM, moved=90.0)) == 9.0
    assert CPU.seconds(one(launches=4.0)) == 2.0
    assert CPU.seconds(one(flops=300.0, moved=90.0, launches=4.0) * 2) == 22.0
    assert CPU.seconds(NO_WORK) == 0.0


def test_each_operation_is_bound_by_itself():
    assert CPU.seconds(one(flops=300.0) + one(moved=30.0)) == 6.0


def test_channels_of_depthwise_layers_take_their_time_one_by_one():
    assert CPU.seconds(one(Kind.DEPTHWISE, 20.0, channels=8.0)) == 1.0 + 8 * 0.25
    assert CPU.seconds(one(Kind.DEPTHWISE, 20.0, channels=8.0, backward=True)) == 2.0 + 8 * 0.75
    assert GPU.seconds(one(Kind.DEPTHWISE, 1000.0, channels=8.0)) == 1.0


def test_half_precision_doubles_rates_and_halves_bytes():
    half = CPU.in_half_precision()
    assert half.seconds(one(flops=300.0, launches=2.0)) == 1.5 + 1.0
    assert half.seconds(one(moved=90.0)) == 4.5


def test_in_sequence_everything_runs_where_training_does():
    cost = inline_cost(BOARD, ROUND)
    assert cost.selection_seconds == 10.5 + 20.0 + 1.0
    assert cost.train_seconds == 20.0
    assert cost.seconds == 51.5
    assert cost.joules == pytest.approx(5.0 * 51.5 + 0.1 * 100)  # no other processor is awake
    assert cost.watts == pytest.approx(cost.joules / 51.5)


def test_a_pipeline_takes_the_longer_side_and_the_handover():
    cost = pipelined_cost(BOARD, ROUND, handover_bytes=160, tensors=2)
    assert (cost.train_seconds, cost.selection_seconds) == (20.0, 6.0)
    assert cost.synchronisation_seconds == 160 / 40 + 2 * 0.5
    assert cost.seconds == 25.0
    # Weights are written and read; the training process hands them over.
    moved = 80 + 20 + 2 * 160
    assert cost.joules == pytest.approx((2.0 + 1.0) * 25 + 3.0 * 25 + 4.0 * 6 + 0.1 * moved)


def test_a_pipeline_may_be_bound_by_selection():
    slow = replace(ROUND, score=one(flops=50_000.0))
    cost = pipelined_cost(BOARD, slow, 0, 0)
    assert cost.seconds == 2.0 + 50.0 + 2.0


def test_on_one_processor_the_pipeline_hides_nothing():
    alone = replace(BOARD, select="cpu", handover=None)
    piped, inline = pipelined_cost(alone, ROUND, 160, 2), inline_cost(alone, ROUND)
    assert piped == inline


def test_energy_of_an_idle_and_of_a_loaded_board():
    assert joules(BOARD, 10.0, {}, 0.0) == 20.0
    assert joules(BOARD, 10.0, {"cpu": 10.0, "gpu": 0.0}, 0.0) == 20.0 + 30.0
    assert joules(BOARD, 10.0, {"cpu": 10.0, "gpu": 5.0}, 7.0) == 30.0 + 30.0 + 20.0 + 0.7


amounts = st.floats(0, 1e6)
works = st.lists(
    st.builds(Operation, st.sampled_from(ARITHMETIC), st.booleans(), *[amounts] * 4), max_size=3
).map(lambda operations: Work(tuple(operations)))
rounds = st.builds(RoundWork, works, works, works, works)


@settings(max_examples=50, derandomize=True, deadline=None)
@given(rounds, st.integers(0, 10**6), st.integers(0, 100))
def test_bounds_that_always_hold(work, size, tensors):
    cost = pipelined_cost(BOARD, work, size, tensors)
    stages = cost.train_seconds + cost.selection_seconds + cost.synchronisation_seconds
    longest = max(cost.train_seconds, cost.selection_seconds)
    assert longest <= cost.seconds <= stages * (1 + 1e-12)
    assert 2.0 * cost.seconds <= cost.joules * (1 + 1e-12)
    assert inline_cost(BOARD, work).seconds >= CPU.seconds(work.train)


@settings(max_examples=50, derandomize=True, deadline=None)
@given(works, works)
def test_work_after_work_takes_the_sum_of_their_times(first, second):
    apart = CPU.seconds(first) + CPU.seconds(second)
    assert CPU.seconds(first + second) == pytest.approx(apart)
