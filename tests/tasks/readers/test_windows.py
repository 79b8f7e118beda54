"""Windows, their standardisation and the draw of the test part."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from titan_repro.errors import DataError
from titan_repro.tasks.cache import USER_IDS
from titan_repro.tasks.readers.windows import (
    axis_moments,
    build_window_task,
    check_split,
    cut_windows,
    draw_test_groups,
)


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_feature_of_step_and_axis_is_at_nine_times_step_plus_axis():
    steps = np.arange(250 * 9, dtype=np.float32).reshape(250, 9)
    windows = cut_windows(steps)
    assert windows.shape == (2, 900)
    assert windows[1, 9 * 42 + 5] == steps[142, 5]


def test_leading_dimensions_are_cut_independently():
    steps = np.random.default_rng(0).normal(size=(2, 3, 199, 9))
    windows = cut_windows(steps)
    assert windows.shape == (2, 3, 1, 900)
    assert np.array_equal(windows[1, 2], cut_windows(steps[1, 2]))


def test_less_than_a_window_gives_none():
    assert cut_windows(np.zeros((99, 9))).shape == (0, 900)


def test_moments_are_each_axis_over_windows_and_steps():
    windows = torch.randn(20, 900, generator=draw()) * 3 + 7
    mean, std = axis_moments(windows)
    assert mean.shape == std.shape == (900,)
    for axis in range(9):
        values = windows.reshape(20, 100, 9)[:, :, axis]
        assert mean[axis::9] == pytest.approx(values.mean().item(), rel=1e-5)
        assert std[axis::9] == pytest.approx(values.std(correction=0).item(), rel=1e-5)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=5),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32),
)
def test_every_stratum_gives_its_share_of_whole_groups(sizes, fraction, seed):
    # stratum s has sizes[s] groups; group g has 1 + g % 3 samples, shuffled among all others
    strata = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    repeats = 1 + torch.arange(len(strata)) % 3
    groups = torch.repeat_interleave(torch.arange(len(strata)), repeats)
    strata = torch.repeat_interleave(strata, repeats)
    order = torch.randperm(len(groups), generator=draw(seed))
    groups, strata = groups[order], strata[order]

    test = draw_test_groups(groups, strata, fraction, draw(seed))

    assert not set(groups[test].tolist()) & set(groups[~test].tolist())
    for stratum, size in enumerate(sizes):
        drawn = len(groups[test & (strata == stratum)].unique())
        assert drawn == min(max(round(fraction * size), 1), size - 1)


def test_the_draw_follows_from_the_seed():
    groups, strata = torch.arange(400), torch.arange(400) % 4
    first, again, other = (draw_test_groups(groups, strata, 0.25, draw(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("split", "fraction", "key"),
    [("row", 0.25, "split"), ("window", 0.0, "test_fraction"), ("window", 1.0, "test_fraction")],
)
def test_a_wrong_option_is_named(split, fraction, key):
    with pytest.raises(ValueError, match=f"^{key}: found"):
        check_split(split, ("window", "user"), fraction)


def some_windows(count: int) -> dict[str, torch.Tensor]:
    return {
        "inputs": torch.randn(count, 900, generator=draw()),
        "labels": torch.arange(count) % 2,
        USER_IDS: torch.arange(count),
    }


def test_standardisation_sees_the_training_part_only():
    windows = some_windows(8)
    test = torch.arange(8) >= 6
    task = build_window_task("harbox", "zip", ("a", "b"), windows, test)
    windows["inputs"][test] += 1000.0
    moved = build_window_task("harbox", "zip", ("a", "b"), windows, test)
    assert torch.equal(task.mean, moved.mean)
    assert torch.equal(task.std, moved.std)
    normal = task.normalise(task.train.inputs).reshape(-1, 9)
    assert normal.mean(0) == pytest.approx(torch.zeros(9), abs=1e-5)
    assert normal.std(0, correction=0) == pytest.approx(torch.ones(9), abs=1e-5)


def test_fingerprint_depends_on_contents_and_split():
    windows = some_windows(8)
    test = torch.arange(8) >= 6
    prints = [
        build_window_task("t", "s", ("a", "b"), windows, test).fingerprint,
        build_window_task("t", "s", ("a", "b"), windows, test.flip(0)).fingerprint,
        build_window_task(
            "t", "s", ("a", "b"), windows | {USER_IDS: torch.zeros(8)}, test
        ).fingerprint,
    ]
    assert len(set(prints)) == 3
    assert prints[0] == build_window_task("t", "s", ("a", "b"), windows, test).fingerprint


def test_an_empty_part_is_refused():
    with pytest.raises(DataError, match="4 windows of 4 users cannot be split"):
        build_window_task("t", "s", ("a", "b"), some_windows(4), torch.zeros(4, dtype=torch.bool))
