"""Time to random selection's accuracy on runs written down by hand: every case has a word."""

import math

import pytest

from handmade import run, runs_of
from titan_repro.analysis.clocks import OwnClock, timed
from titan_repro.analysis.time_to_accuracy import COMPARED, Outcome, geometric_mean, time_to_rs


def races(*runs):
    """Return the races of runs by label and seed."""
    made = runs_of(*runs)
    raced = time_to_rs(made.summaries, timed(made.summaries, made.curves, OwnClock()).curves)
    assert list(raced["run_id"]) == list(made.summaries["run_id"])
    return {(race["label"], race["seed"]): race for race in raced.to_dict("records")}


RS = run("rs", 0, (0, 0.1, 0.0), (50, 0.5, 1.0), (80, 0.4, 1.6), (100, 0.5, 2.0))


def test_arrival_is_the_first_evaluation_at_the_target_or_above():
    raced = races(RS, run("titan", 0, (0, 0.1, 0.0), (40, 0.5, 3.0), (100, 0.4, 4.0)))
    titan = raced["titan", 0]
    assert titan["outcome"] == Outcome.ARRIVED
    assert (titan["target"], titan["random_id"]) == (0.5, "run0")
    assert (titan["round"], titan["random_round"], titan["rounds_ratio"]) == (40, 50, 0.8)
    assert (titan["seconds"], titan["random_seconds"], titan["time_ratio"]) == (3, 1, 3)
    assert raced["rs", 0]["rounds_ratio"] == raced["rs", 0]["time_ratio"] == 1


def test_a_run_that_never_arrives_is_censored_where_it_was_last_seen():
    never = races(RS, run("hl", 0, (0, 0.1, 0.0), (100, 0.499, 6.0)))["hl", 0]
    assert never["outcome"] == Outcome.NEVER
    assert (never["round"], never["rounds_ratio"], never["time_ratio"]) == (100, 2, 6)


def test_a_diverged_run_counts_until_then():
    early = run("ce", 0, (0, 0.1, 0.0), (50, 0.2, 1.0), status="diverged")
    assert races(RS, early)["ce", 0]["outcome"] == Outcome.DIVERGED
    late = run("ce", 0, (0, 0.1, 0.0), (50, 0.6, 1.0), status="diverged")
    assert races(RS, late)["ce", 0]["outcome"] == Outcome.ARRIVED


@pytest.mark.parametrize(
    ("rs", "outcome"),
    [
        ([], Outcome.NO_RS),
        ([run("rs", 1, (0, 0.1, 0.0), (100, 0.5, 2.0))], Outcome.NO_RS),
        ([run("rs", 0, (0, 0.1, 0.0), (50, 0.5, 1.0), status="diverged")], Outcome.RS_DIVERGED),
        ([run("rs", 0, (0, 0.3, 0.0), (50, 0.5, 1.0), (100, 0.2, 2.0))], Outcome.NO_GAIN),
        ([run("rs", 0, (0, 0.3, 0.0), (100, 0.3, 2.0))], Outcome.NO_GAIN),
    ],
)
def test_without_a_target_the_reason_is_said_and_nothing_is_compared(rs, outcome):
    race = races(*rs, run("titan", 0, (0, 0.3, 0.0), (100, 0.9, 1.0)))["titan", 0]
    assert race["outcome"] == outcome
    assert outcome not in COMPARED
    assert race["random_id"] == ""
    assert all(math.isnan(race[name]) for name in ("target", "round", "rounds_ratio", "time_ratio"))


def test_of_several_kinds_of_random_selection_the_first_that_ended_sets_the_target():
    late = run("rs", 0, (0, 0.1, 0.0), (100, 0.7, 2.0), label="rs delay=1")
    diverged = run("rs", 0, (0, 0.1, 0.0), label="rs delay=0", status="diverged")
    soon = {**RS, "label": "rs delay=0"}
    titan = run("titan", 0, (0, 0.1, 0.0), (100, 0.7, 1.0))
    assert races(late, soon, titan)["titan", 0]["target"] == 0.5
    assert races(late, diverged, titan)["titan", 0]["target"] == 0.7


def test_geometric_mean():
    made = runs_of(RS).curves["accuracy"]
    assert geometric_mean(made[1:3] * 0 + [0.5, 2.0]) == pytest.approx(1)
    assert math.isnan(geometric_mean(made[:0]))
    assert math.isnan(geometric_mean(made * math.nan))
