"""Comparison arithmetic on runs written down by hand."""

import math

import pytest

from handmade import run, runs_of
from titan_repro.analysis.clocks import OwnClock, timed
from titan_repro.analysis.comparison import compare, order_labels
from titan_repro.analysis.time_to_accuracy import Outcome


def rows_of(runs):
    curves = timed(runs.summaries, runs.curves, OwnClock()).curves
    return {row.label: row for row in compare(runs.summaries, curves)}


RS_0 = run("rs", 0, (0, 0.1, 0.0), (50, 0.4, 1.0), (100, 0.5, 2.0))
RS_1 = run("rs", 1, (0, 0.1, 0.0), (50, 0.7, 2.0), (100, 0.6, 4.0))  # at its end already at 50


def test_runs_are_paired_by_seed_and_ratios_averaged_geometrically():
    rows = rows_of(
        runs_of(
            RS_0,
            RS_1,
            run("titan", 0, (0, 0.1, 0.0), (50, 0.5, 1.5), (100, 0.9, 3.0)),  # 1/2 and 3/4
            run("titan", 1, (0, 0.1, 0.0), (50, 0.5, 3.0), (100, 0.6, 6.0)),  # 2 and 3
        )
    )
    titan = rows["titan"]
    assert (titan.seeds, titan.compared, titan.arrived) == (2, 2, 2)
    assert titan.outcomes == (Outcome.ARRIVED,)
    assert titan.rounds_ratio == pytest.approx(math.sqrt(0.5 * 2))
    assert titan.time_ratio == pytest.approx(math.sqrt(0.75 * 3))
    assert titan.accuracy == pytest.approx(0.75)
    assert titan.accuracy_spread == pytest.approx(math.sqrt(2 * 0.15**2))
    assert titan.milliseconds == pytest.approx(45)  # of 30 and 60
    rs = rows["rs"]
    assert (rs.rounds_ratio, rs.time_ratio, rs.arrived) == (1, 1, 2)


def test_a_run_that_never_gets_there_is_censored_not_replaced_by_its_length():
    rows = rows_of(
        runs_of(
            RS_0,
            RS_1,
            run("is", 0, (0, 0.1, 0.0), (100, 0.8, 1.0)),
            run("is", 1, (0, 0.1, 0.0), (100, 0.5999, 9.0)),
            run("hl", 0, (0, 0.1, 0.0), (100, 0.2, 1.0)),
            run("hl", 1, (0, 0.1, 0.0), (100, 0.2, 4.0)),
        )
    )
    assert (rows["is"].compared, rows["is"].arrived) == (2, 1)
    assert rows["is"].outcomes == (Outcome.ARRIVED, Outcome.NEVER)
    assert rows["is"].time_ratio == pytest.approx(0.5)  # of the seed that arrived
    assert (rows["hl"].compared, rows["hl"].arrived) == (2, 0)
    assert rows["hl"].time_ratio == pytest.approx(1)  # more than 1/2 and more than 2
    assert rows["hl"].rounds_ratio == pytest.approx(math.sqrt(2))


def test_a_diverged_run_counts_as_a_seed_and_has_no_accuracy():
    diverged = run("ce", 1, (0, 0.1, 0.0), (50, 0.65, 1.0), status="diverged")
    ce = rows_of(runs_of(RS_0, RS_1, run("ce", 0, (0, 0.1, 0), (100, 0.7, 5)), diverged))["ce"]
    assert (ce.seeds, ce.diverged) == (2, 1)
    assert ce.accuracy == pytest.approx(0.7)
    assert math.isnan(ce.accuracy_spread)
    assert ce.arrived == 2  # it was there before it diverged, and that is what is asked


def test_all_seeds_diverged():
    ce = rows_of(runs_of(RS_0, run("ce", 0, (0, 0.1, 0.0), status="diverged")))["ce"]
    assert math.isnan(ce.accuracy)
    assert math.isnan(ce.rounds_ratio)
    assert math.isnan(ce.milliseconds)  # not a round of it was evaluated
    assert ce.outcomes == (Outcome.DIVERGED,)


def test_without_a_target_nothing_is_compared():
    row = rows_of(runs_of(run("titan", 0, (0, 0.1, 0.0), (100, 0.9, 1.0))))["titan"]
    assert (row.seeds, row.compared, row.arrived) == (1, 0, 0)
    assert row.outcomes == (Outcome.NO_RS,)
    assert math.isnan(row.time_ratio)


def test_variants_of_a_selector_stand_apart_in_the_papers_order():
    labels = [
        "titan filter.budget=30",
        "mine",
        "rs",
        "titan",
        "cis",
        "titan filter.budget=20",
        "is",
    ]
    assert order_labels([*labels, "rs"]) == [
        "rs",
        "is",
        "cis",
        "titan",
        "titan filter.budget=20",
        "titan filter.budget=30",
        "mine",
    ]
