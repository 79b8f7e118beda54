"""Statistics on numbers that can be worked out by hand; coverage of intervals by simulation."""

import numpy as np
import pytest

from titan_repro.analysis.statistics import (
    arrived_by,
    holm,
    interquartile_mean,
    mean_interval,
    median_time,
    pooled_improvement,
    probability_of_improvement,
    restricted_mean_time,
    sign_flip_p,
)


def test_the_t_interval_of_two_values_by_hand():
    """Mean 2, standard error 1, t of one degree of freedom 12.706."""
    found = mean_interval([1, 3])
    assert (found.estimate, found.low, found.high) == pytest.approx(
        (2, 2 - 12.7062, 2 + 12.7062), abs=1e-4
    )
    assert found.number == 2
    assert not found.excludes(0)


def test_one_value_says_nothing_and_none_has_no_mean():
    one, none = mean_interval([0.4]), mean_interval([np.nan])
    assert (one.estimate, one.low, one.high, one.number) == (0.4, -np.inf, np.inf, 1)
    assert np.isnan(none.estimate)
    assert none.number == 0


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_the_paired_t_interval_covers_what_it_says(seeds):
    """2,000 draws at 95 %: the observed share has a standard error of 0.5 points."""
    rng = np.random.default_rng(seeds)
    deltas = rng.normal(0.7, 2.0, size=(2000, seeds))
    covered = [not mean_interval(row).excludes(0.7) for row in deltas]
    assert 0.93 <= np.mean(covered) <= 0.97


@pytest.mark.parametrize(
    ("deltas", "p"),
    [
        ([1.0], 1.0),
        ([1, 1], 0.5),
        ([1, 2, 3], 0.25),
        ([1, -1], 1.0),
        ([3, 1, -1], 0.75),
        ([0, 0], 1.0),
    ],
)
def test_sign_flips_by_hand(deltas, p):
    assert sign_flip_p(deltas) == pytest.approx(p)


def test_five_seeds_cannot_pass_and_six_can():
    assert sign_flip_p(range(1, 6)) == pytest.approx(2 / 32)
    assert sign_flip_p(range(1, 7)) == pytest.approx(2 / 64)
    for wrong in ([], range(17)):
        with pytest.raises(ValueError, match="allowed: 1 to 16"):
            sign_flip_p(wrong)


def test_sign_flips_agree_with_scipy():
    from scipy.stats import permutation_test

    deltas = np.random.default_rng(1).normal(0.5, 1.0, size=7)
    theirs = permutation_test(
        (deltas,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=False
    )
    assert sign_flip_p(deltas) == pytest.approx(theirs.pvalue)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert len(holm([])) == 0


def test_the_interquartile_mean_leaves_out_a_quarter_at_each_end():
    assert interquartile_mean([[0, 1], [2, 100]]) == 1.5
    assert interquartile_mean([5]) == 5


def test_probability_of_improvement_counts_ties_half():
    assert probability_of_improvement([2, 3], [1, 2]) == pytest.approx((2 + 1 + 0.5) / 4)


def test_pooled_improvement_weighs_models_equally_and_repeats():
    models = {"sure": ([2, 2, 2], [1, 1, 1]), "even": ([1, 2], [1, 2])}
    found = pooled_improvement(models, draws=200)
    assert found.estimate == pytest.approx((1 + 0.5) / 2)
    assert found.low <= found.estimate <= found.high
    assert found.number == 5
    assert found == pooled_improvement(models, draws=200)
    certain = pooled_improvement({"sure": models["sure"]}, draws=50)
    assert (certain.low, certain.high) == (1, 1)


def test_times_that_are_never_reached_stay_infinite():
    times = [100, np.inf, 300, np.inf]
    assert median_time(times) == np.inf
    assert median_time([100, np.inf, 300]) == 300
    assert restricted_mean_time(times, 400) == pytest.approx((100 + 400 + 300 + 400) / 4)
    assert arrived_by(times, [99, 100, 1000]).tolist() == [0, 0.25, 0.5]
