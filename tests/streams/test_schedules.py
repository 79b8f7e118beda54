from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from titan_repro.errors import ConfigurationError
from titan_repro.streams.mixture import long_tail, piecewise_linear, rotating_window


def row(*shares: float) -> torch.Tensor:
    return torch.tensor(shares, dtype=torch.float64)


def test_piecewise_interpolates_and_then_stays() -> None:
    schedule = piecewise_linear(2, [(0, [1, 0]), (10, [0.5, 0.5]), (30, [0, 1])], period=None)
    expected = {0: (1, 0), 5: (0.75, 0.25), 10: (0.5, 0.5), 20: (0.25, 0.75), 30: (0, 1)}
    for t, shares in expected.items():
        torch.testing.assert_close(schedule.at(t), row(*shares))
    torch.testing.assert_close(schedule.at(10_000), row(0, 1))


def test_piecewise_starts_again_after_its_period() -> None:
    schedule = piecewise_linear(2, [(0, [1, 0]), (10, [0, 1])], period=20)
    torch.testing.assert_close(schedule.at(15), row(0.5, 0.5))
    for t in (0, 3, 12, 19):
        assert torch.equal(schedule.at(t), schedule.at(t + 40))


def test_one_mix_is_constant() -> None:
    for period in (None, 7):
        schedule = piecewise_linear(3, [(0, [0.2, 0.3, 0.5])], period)
        torch.testing.assert_close(schedule.at(5), row(0.2, 0.3, 0.5))


def test_window_of_two_of_four_classes() -> None:
    schedule = rotating_window(4, period=8, window=0.5)
    torch.testing.assert_close(schedule.at(0), row(0.5, 0.5, 0, 0))
    torch.testing.assert_close(schedule.at(1), row(0.25, 0.5, 0.25, 0))
    torch.testing.assert_close(schedule.at(2), row(0, 0.5, 0.5, 0))
    torch.testing.assert_close(schedule.at(7), row(0.5, 0.25, 0, 0.25))
    torch.testing.assert_close(schedule.at(8), schedule.at(0))


@given(
    classes=st.integers(1, 12),
    window=st.floats(0.01, 1),
    period=st.integers(1, 60),
    t=st.integers(0, 500),
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_windows_are_mixes_and_fair_over_a_period(
    classes: int, window: float, period: int, t: int
) -> None:
    schedule = rotating_window(classes, period, window)
    mix = schedule.at(t)
    assert mix.min() >= 0
    torch.testing.assert_close(mix.sum(), row(1).squeeze())
    whole = rotating_window(classes, period * classes, window)
    mean = torch.stack([whole.at(s) for s in range(period * classes)]).mean(0)
    torch.testing.assert_close(mean, torch.full_like(mean, 1 / classes))


def test_long_tail_falls_by_equal_factors_to_the_ratio() -> None:
    mix = long_tail(5, 16.0, "natural", seed=0).at(3)
    torch.testing.assert_close(mix[:-1] / mix[1:], torch.full((4,), 2.0).double())
    torch.testing.assert_close(mix.sum(), row(1).squeeze())
    torch.testing.assert_close(long_tail(1, 16.0, "natural", seed=0).at(0), row(1))


def test_seeded_order_has_the_same_shares() -> None:
    natural = long_tail(10, 100.0, "natural", seed=0).at(0)
    first, second = (long_tail(10, 100.0, "seeded", seed).at(0) for seed in (0, 1))
    assert torch.equal(first.sort(descending=True).values, natural)
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    ("mixes", "message"),
    [
        (None, r"stream\.mixes: found None; allowed: \[\[round, \[share"),
        ("even", r"allowed: \[\[round"),
        ([], r"allowed: \[\[round"),
        ([0.5, 0.5], r"allowed: \[\[round"),
        ([[0, [1, 0], 5]], r"allowed: \[\[round"),
        ([[1, [0.5, 0.5]]], r"found \[1\]; allowed: round 0"),
        ([[0, [1, 0]], [9, [1, 0]], [5, [1, 0]]], r"found \[0, 9, 5\]; .* rising"),
        ([[0, [1, 0]], [0, [1, 0]]], "rising"),
        ([["first", [1, 0]]], "rising"),
        ([[0, 1.0]], "0 or more"),
        ([[0, ["all", 0]]], "0 or more"),
        ([[0, [1.0]]], "2 shares, one a class"),
        ([[0, [1.5, -0.5]]], "0 or more"),
        ([[0, [float("nan"), 1.0]]], "0 or more"),
        ([[0, [0.5, 0.6]]], "sum to 1"),
    ],
)
def test_impossible_mixes_name_the_key(mixes: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        piecewise_linear(2, mixes, None)


def test_impossible_schedules_name_the_key() -> None:
    with pytest.raises(ConfigurationError, match=r"stream\.period: found 5.*above 5"):
        piecewise_linear(2, [(0, [1, 0]), (5, [0, 1])], 5)
    for period in (None, 0, 2.5):
        with pytest.raises(ConfigurationError, match=r"stream\.period: found"):
            rotating_window(4, period, 0.5)
    for window in (0.0, 1.1, float("nan")):
        with pytest.raises(ConfigurationError, match=r"stream\.window: found"):
            rotating_window(4, 10, window)
    for ratio in (0.5, float("inf"), float("nan")):
        with pytest.raises(ConfigurationError, match=r"stream\.ratio: found"):
            long_tail(4, ratio, "natural", 0)
    with pytest.raises(ConfigurationError, match=r"stream\.order: found 'random'"):
        long_tail(4, 10.0, "random", 0)
