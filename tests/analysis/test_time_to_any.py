"""Rounds to every accuracy, checked by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from titan_repro.analysis.time_to_any import rounds_to, rounds_to_any


def curve(*points):
    return pd.DataFrame(points, columns=["round", "accuracy"])


def test_the_first_round_that_was_measured_at_a_target_counts_even_if_the_curve_falls_again():
    found = rounds_to(curve((0, 0.1), (10, 0.5), (20, 0.3), (30, 0.6)), [0.1, 0.3, 0.55, 0.7])
    assert found.tolist() == [0, 10, 30, math.inf]


def runs(**curves):
    parts = [
        curve(*points).assign(label=name.rstrip("0123456789"), seed=int(name[-1]))
        for name, points in curves.items()
    ]
    return pd.concat(parts)


def test_the_median_over_seeds_of_the_rounds_over_those_of_rs():
    [found] = rounds_to_any(
        runs(
            rs0=[(0, 0.1), (10, 0.2), (20, 0.3)],
            rs1=[(0, 0.1), (10, 0.2), (30, 0.3)],
            rs2=[(0, 0.1), (10, 0.2), (20, 0.3)],
            titan0=[(0, 0.1), (10, 0.3)],
            titan1=[(0, 0.1), (10, 0.2), (60, 0.3)],
            titan2=[(0, 0.1), (10, 0.2)],
        ),
        step=0.1,
        first=1,
    )
    assert (found.label, found.seeds) == ("titan", 3)
    assert found.targets == pytest.approx([0.2, 0.3])
    assert found.ratios == pytest.approx([1.0, 2.0])  # of 0.5, 2 and never


def test_a_line_is_infinite_where_half_of_the_runs_never_get_there():
    [found] = rounds_to_any(
        runs(
            rs0=[(0, 0.1), (10, 0.2)],
            rs1=[(0, 0.1), (10, 0.2)],
            ll0=[(0, 0.1), (10, 0.2)],
            ll1=[(0, 0.1), (10, 0.1)],
        ),
        step=0.1,
        first=1,
    )
    assert np.isinf(found.ratios).all()


def test_targets_lie_above_the_first_evaluations_of_rs():
    points = [(10 * i, 0.1 * i) for i in range(1, 10)]
    [found] = rounds_to_any(runs(rs0=points, titan0=points), step=0.1)
    assert found.targets == pytest.approx([0.6, 0.7, 0.8, 0.9])


def test_without_random_selection_or_its_seed_there_is_nothing():
    assert rounds_to_any(runs(titan0=[(0, 0.1), (10, 0.2)])) == []
    other = runs(rs0=[(0, 0.1), (10, 0.2)], titan1=[(0, 0.1), (10, 0.2)])
    assert rounds_to_any(other, step=0.1, first=1) == []
