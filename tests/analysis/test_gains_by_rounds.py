"""Gains at every milestone, checked by hand."""

import math

import pytest

from handmade import run, runs_of
from titan_repro.analysis.paired import gains_by_rounds


def made(selector, seed, **accuracies):
    milestones = [{"rounds": int(at[1:]), "accuracy": value} for at, value in accuracies.items()]
    return run(selector, seed, (0, 0.1, 0.0), milestones=milestones)


def test_pairs_are_of_one_seed_and_one_milestone():
    runs = runs_of(
        made("rs", 0, r10=0.2, r20=0.3),
        made("rs", 1, r10=0.2, r20=0.5),
        made("titan", 0, r10=0.3, r20=0.5),
        made("titan", 1, r10=0.1),
        made("titan", 2, r10=0.9),
        made("ll", 0, r10=0.9),
    ).summaries
    found = gains_by_rounds(runs, "titan", "rs")
    assert list(found) == [10, 20]
    assert (found[10].estimate, found[10].number) == (pytest.approx(0.0), 2)
    assert found[10].high == pytest.approx(12.706 * math.sqrt(200) / math.sqrt(2), rel=1e-3)
    assert (found[20].estimate, found[20].number) == (pytest.approx(20.0), 1)
    assert gains_by_rounds(runs, "cis", "rs") == {}
