"""How many candidates a round gets on a modelled clock: by hand, and against trying them all."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from titan_repro.boards.idle import ALWAYS, IdleTrace, constant, square_wave
from titan_repro.pipeline.budget import FIXED, Measured, Modelled

TRAIN, COPY, LEAST, MOST = 10.0, 0.5, 4, 20


def seconds(number: int) -> float:
    """Filter 2 s, score 0.5 s a sample, select 0.25 s and a little more the more there are."""
    return 2 + 0.5 * number + 0.25 + number / 64


def budget(idle, *, selection=seconds, train=TRAIN, least=LEAST, most=MOST):
    return Modelled(selection, train, COPY, least=least, most=most, idle=idle)


def test_as_many_as_are_filtered_scored_and_selected_from_when_training_is_done():
    modelled = budget(ALWAYS)
    assert seconds(15) <= TRAIN < seconds(16)
    assert [modelled.candidates(t) for t in range(5)] == [15] * 5
    assert [modelled.begins(t) for t in range(4)] == [0, 10.5, 21, 31.5]


def test_exactly_enough_time_is_enough():
    assert budget(ALWAYS, train=seconds(15)).candidates(0) == 15
    assert budget(ALWAYS, train=math.nextafter(seconds(15), 0)).candidates(0) == 14
    late = budget(ALWAYS, train=seconds(15))
    assert {late.candidates(t) for t in range(1000)} == {15}  # no rounding of the clock shows


def test_never_more_than_arrive():
    assert budget(ALWAYS, train=1000.0).candidates(0) == MOST


def test_never_fewer_than_the_batch_and_training_waits():
    modelled = budget(constant(0.25))
    assert [modelled.candidates(t) for t in range(3)] == [LEAST] * 3
    assert modelled.begins(1) == pytest.approx(4 * seconds(LEAST) + COPY)
    assert modelled.begins(1) > TRAIN + COPY


def test_nothing_idle_in_a_whole_training_step_is_random_selection():
    wave = square_wave(period_seconds=42.0, high=1.0, low=0.0, duty=0.5)  # two rounds on, two off
    modelled = budget(wave)
    assert [modelled.candidates(t) for t in range(8)] == [15, 15, 0, 0, 15, 15, 0, 0]
    assert modelled.begins(3) == 3 * (TRAIN + COPY)  # nobody waits for what is not done
    never = budget(constant(0))
    assert {never.candidates(t) for t in range(4)} == {0}


def test_what_would_never_end_is_not_begun():
    ends = IdleTrace((0.0, 11.0), (1.0, 0.0))
    modelled = budget(ends)
    assert [modelled.candidates(t) for t in range(4)] == [15, 0, 0, 0]
    assert modelled.begins(4) == 4 * (TRAIN + COPY)


def test_any_round_may_be_asked_first():
    wave = square_wave(period_seconds=17.0, high=1.0, low=0.1, duty=0.6)
    in_order, at_once = budget(wave), budget(wave)
    last = at_once.candidates(49)
    assert [in_order.candidates(t) for t in range(50)] == [at_once.candidates(t) for t in range(50)]
    assert in_order.candidates(49) == last
    assert in_order.begins(50) == at_once.begins(50)


traces = st.builds(
    lambda lengths, shares, repeats: IdleTrace(
        begins=tuple(itertools.accumulate(lengths[:-1], initial=0.0)),
        shares=tuple(shares[: len(lengths)]),
        repeat_seconds=sum(lengths) if repeats else None,
    ),
    st.lists(st.floats(0.1, 30), min_size=1, max_size=5),
    st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0]), min_size=5, max_size=5),
    st.booleans(),
)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(traces, st.floats(0.5, 30), st.integers(1, 6))
def test_the_number_is_the_one_found_by_trying_all(trace, train, least):
    modelled = budget(trace, train=train, least=least)
    for t in range(12):
        begin, number = modelled.begins(t), modelled.candidates(t)
        work = trace.available(begin, train)
        if number == 0:
            assert work == 0 or math.isinf(trace.duration(begin, seconds(least)))
            assert modelled.begins(t + 1) == begin + (train + COPY)
            continue
        fitting = [n for n in range(least, MOST + 1) if seconds(n) <= work]
        assert number == max(fitting, default=least)
        selecting = trace.duration(begin, seconds(number))
        if fitting:
            assert selecting <= train + 1e-9
        assert modelled.begins(t + 1) == begin + (max(train, selecting) + COPY)


def test_the_others_leave_the_number_to_the_filter_and_to_the_clock():
    assert FIXED.candidates(3) is None
    assert not FIXED.until_trained
    assert Measured().candidates(3) is None
    assert Measured().until_trained
