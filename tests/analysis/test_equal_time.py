"""Gains at equal time: by hand, with rounds that take twice as long, and pairs that are none."""

import math

import pytest

from handmade import run, runs_of
from titan_repro.analysis.equal_time import gains_at_equal_rounds, gains_at_equal_time

RUNS = runs_of(
    run("rs", 0, (0, 0.1, 0.0), (50, 0.40, 1.0), (100, 0.50, 2.0)),
    run("rs", 1, (0, 0.1, 0.0), (50, 0.40, 1.0), (100, 0.48, 2.0)),
    run("cis", 0, (0, 0.1, 0.0), (50, 0.45, 2.0), (100, 0.60, 4.0)),
    run("cis", 1, (0, 0.1, 0.0), (50, 0.47, 2.0), (100, 0.60, 4.0)),
    run("cis", 7, (0, 0.1, 0.0), (50, 0.99, 2.0), (100, 0.99, 4.0)),  # has no rs
    run("ll", 0, (0, 0.1, 0.0), (50, 0.30, 99.0), status="diverged"),
    run("is", 0, (0, 0.1, 0.0), (50, 0.30, 99.0), (100, 0.31, 199.0)),
    run("titan", 1, (0, 0.1, 0.0), (50, 0.44, 0.5), (100, 0.52, 1.0)),  # has time left
)
TIMED = RUNS.curves.assign(seconds=RUNS.curves["train_seconds"])


def test_a_run_counts_as_far_as_it_came_while_rs_trained():
    found = {gain.label: gain for gain in gains_at_equal_time(RUNS.summaries, TIMED)}
    assert list(found) == ["is", "ll", "cis", "titan"]
    assert found["cis"].deltas == pytest.approx([-5, -1])
    assert found["cis"].interval.estimate == pytest.approx(-3)
    assert found["cis"].share == 0.5
    assert found["titan"].deltas == pytest.approx([4])
    assert found["titan"].share == 1.0
    share = 2.0 / 99.0 * 0.5  # of the way to its first evaluation, at half of rs's rounds
    assert found["is"].share == pytest.approx(share)
    assert found["is"].deltas == pytest.approx([100 * (0.1 + 0.2 * 2.0 / 99.0 - 0.5)])
    assert len(found["ll"].deltas) == 0
    assert math.isnan(found["ll"].share)


def test_at_equal_rounds_time_does_not_matter():
    found = {gain.label: gain for gain in gains_at_equal_rounds(RUNS.summaries, RUNS.curves)}
    assert found["cis"].deltas == pytest.approx([10, 12])
    assert {gain.share for gain in found.values() if len(gain.deltas)} == {1.0}


def test_what_has_no_time_has_no_gain():
    untimed = TIMED.assign(seconds=TIMED["seconds"].where(TIMED["label"] != "cis"))
    found = {gain.label: gain for gain in gains_at_equal_time(RUNS.summaries, untimed)}
    assert len(found["cis"].deltas) == 0
    assert len(found["titan"].deltas) == 1
