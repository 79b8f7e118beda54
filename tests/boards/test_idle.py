"""Idle traces: by hand, against fine steps, and against each other."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from titan_repro.boards.idle import (
    ALWAYS,
    WALK_STEPS,
    IdleTrace,
    constant,
    random_walk,
    square_wave,
)

WAVE = square_wave(period_seconds=10, high=1.0, low=0.5, duty=0.4)  # 4 s of 1, then 6 s of 0.5


@pytest.mark.parametrize(
    ("start", "seconds", "work"),
    [
        (0, 4, 4),
        (0, 10, 7),
        (0, 20, 14),
        (2, 4, 3),
        (3, 0, 0),
        (4, 6, 3),
        (9, 2, 1.5),
        (25, 100, 70),
    ],
)
def test_work_of_a_square_wave_by_hand(start, seconds, work):
    assert WAVE.available(start, seconds) == pytest.approx(work)


@pytest.mark.parametrize(
    ("start", "work", "seconds"),
    [
        (0, 4, 4),
        (0, 7, 10),
        (0, 14, 20),
        (2, 3, 4),
        (3, 0, 0),
        (4, 1, 2),
        (9, 1.5, 2),
        (5, 70, 100),
    ],
)
def test_time_of_a_square_wave_by_hand(start, work, seconds):
    assert WAVE.duration(start, work) == pytest.approx(seconds)


def test_work_ends_when_it_is_done_and_not_with_the_pause_after_it():
    on_and_off = square_wave(period_seconds=10, high=1.0, low=0.0, duty=0.4)
    assert on_and_off.duration(0, 4) == 4
    assert on_and_off.duration(0, 8) == 14
    assert on_and_off.duration(4, 4) == 10


@pytest.mark.parametrize("share", [1.0, 0.3])
@pytest.mark.parametrize("start", [0.0, 0.1, 1e6 / 3])
def test_a_constant_share_is_exact_wherever_on_the_clock(share, start):
    assert constant(share).available(start, 0.7) == 0.7 * share
    assert constant(share).duration(start, 0.7) == 0.7 / share


def test_nothing_is_ever_done_by_a_processor_that_is_never_idle():
    for trace in (constant(0), square_wave(1, 0, 0, 0.5), IdleTrace((0.0, 1.0), (1.0, 0.0))):
        assert trace.available(3, 10) == 0
        assert trace.duration(3, 1e-9) == math.inf
        assert trace.duration(3, 0) == 0
    assert IdleTrace((0.0, 1.0), (1.0, 0.0)).duration(0.25, 0.5) == 0.5


traces = st.builds(
    lambda lengths, shares, repeats: IdleTrace(
        begins=tuple(itertools.accumulate(lengths[:-1], initial=0.0)),
        shares=tuple(shares[: len(lengths)]),
        repeat_seconds=float(sum(lengths)) if repeats else None,
    ),
    st.lists(st.sampled_from([0.5, 1.0, 2.0, 3.5]), min_size=1, max_size=5),
    st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=5, max_size=5),
    st.booleans(),
)
moments = st.floats(0, 40)


def share_at(trace: IdleTrace, moment: float) -> float:
    phase = moment if trace.repeat_seconds is None else moment % trace.repeat_seconds
    return [s for b, s in zip(trace.begins, trace.shares, strict=True) if b <= phase][-1]


@settings(max_examples=100, derandomize=True, deadline=None)
@given(traces, st.integers(0, 160), st.integers(0, 160))
def test_work_is_the_sum_over_quarters_of_a_second(trace, start, quarters):
    work = sum(0.25 * share_at(trace, (start + i) / 4 + 0.1) for i in range(quarters))
    assert trace.available(start / 4, quarters / 4) == pytest.approx(work)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(traces, moments, st.floats(0.001, 40))
def test_duration_is_the_first_moment_at_which_so_much_is_available(trace, start, work):
    seconds = trace.duration(start, work)
    if math.isinf(seconds):
        assert trace.available(start, 1e6) < work
        return
    assert trace.available(start, seconds) == pytest.approx(work)
    assert trace.available(start, seconds * 0.999) < work


@settings(max_examples=100, derandomize=True, deadline=None)
@given(traces, moments, moments, moments)
def test_time_is_additive(trace, start, first, second):
    together = trace.available(start, first + second)
    assert together == pytest.approx(
        trace.available(start, first) + trace.available(start + first, second), abs=1e-9
    )


def test_a_random_walk_stays_inside_moves_by_at_most_a_step_and_is_the_same_again():
    walk = random_walk(step=0.2, every_seconds=3.0, start=0.9, seed=4)
    assert walk == random_walk(step=0.2, every_seconds=3.0, start=0.9, seed=4)
    assert walk != random_walk(step=0.2, every_seconds=3.0, start=0.9, seed=5)
    assert len(walk.shares) == WALK_STEPS
    assert walk.shares[0] == pytest.approx(0.9)
    assert walk.begins[:3] == (0.0, 3.0, 6.0)
    assert max(abs(b - a) for a, b in itertools.pairwise(walk.shares)) <= 0.2 + 1e-9
    assert min(walk.shares) < 0.02
    assert max(walk.shares) > 0.98
    mean = sum(walk.shares) / WALK_STEPS
    assert mean == pytest.approx(0.5, abs=0.05)  # reflected, so all shares are equally likely
    assert walk.available(0, 3 * WALK_STEPS) == pytest.approx(3 * mean * WALK_STEPS)


@pytest.mark.parametrize(
    "steps",
    [
        ((), ()),
        ((1.0,), (1.0,)),
        ((0.0, 0.0), (1.0, 0.5)),
        ((0.0, 2.0, 1.0), (1.0, 0.5, 1.0)),
        ((0.0, 1.0), (1.0,)),
        ((0.0, math.nan), (1.0, 1.0)),
        ((0.0, math.inf), (1.0, 1.0)),
        ((0.0,), (1.1,)),
        ((0.0,), (math.nan,)),
        ((0.0, 1.0), (1.0, 1.0), 1.0),
        ((0.0,), (1.0,), -1.0),
    ],
)
def test_what_is_no_trace_is_refused(steps):
    with pytest.raises(ValueError, match=r"^idle: "):
        IdleTrace(*steps)


@pytest.mark.parametrize("duty", [0, 1, 2])
def test_a_wave_without_two_halves_is_refused(duty):
    with pytest.raises(ValueError, match=r"^idle: "):
        square_wave(10, 1, 0, duty)


def test_always_is_all_of_the_processor():
    assert ALWAYS.available(5, 7) == ALWAYS.duration(5, 7) == 7
