"""Findings to verdicts: each verdict by each kind of comparison."""

from dataclasses import replace

import pytest

from claims.made_up import asked, proof
from titan_repro.analysis.statistics import Interval
from titan_repro.claims.comparisons import Verdict, verdict
from titan_repro.claims.finding import ClaimFinding, gap, joined, lean_of, range_of
from titan_repro.claims.rules import all_claims, question
from titan_repro.claims.verdicts import count, judgement

HOLDS, DIRECTION, FAILS, AGAINST, UNDECIDED, NOT_TESTED = Verdict

GAIN = "fig7.accuracy.alexnet"  # reach, 5.8 points above 0
RATIO = "table1.time.mobilenet.titan"  # reach, 0.57 below 1
ACCURACY = "table1.accuracy.mobilenet.titan"  # match, 75.4 within 2
ORDER = "fig2b.heuristics_below_rs"  # below 0
DROP = "fig8.accuracy_drop"  # at most 0.9
STABLE = "fig5c.stable_importance"  # at least 0.9
ARRIVAL = "table1.time.mobilenet.ll"  # fewer than half get there, 3.45 within 35 %


def found(claim, low, high, *, seeds=3, paper=True, **more):
    """Return a finding with an interval, held against the paper's own number."""
    own = asked(claim)
    sign = {"at_most": -1}.get(own.rule.comparison, own.sign)
    against = own.number() if paper else None
    lean = more.pop("lean", lean_of((low, high), own.rule.threshold, sign))
    return ClaimFinding(
        value=(low + high) / 2,
        interval=(low, high),
        seeds=seeds,
        against=against,
        lean=lean,
        **more,
    )


@pytest.mark.parametrize(
    ("claim", "low", "high", "expected"),
    [
        (GAIN, 4, 7, HOLDS),  # includes 5.8
        (GAIN, 6, 7, HOLDS),  # passes it
        (GAIN, 1, 3, DIRECTION),
        (GAIN, -1, 3, FAILS),  # neither a direction nor 5.8
        (GAIN, -1, 7, UNDECIDED),
        (GAIN, -3, -1, FAILS),
        (RATIO, 0.5, 0.7, HOLDS),
        (RATIO, 0.3, 0.4, HOLDS),
        (RATIO, 0.6, 0.9, DIRECTION),
        (RATIO, 0.6, 1.1, FAILS),
        (RATIO, 0.5, 1.1, UNDECIDED),
        (RATIO, 1.1, 1.2, FAILS),
        (ORDER, -2, -1, HOLDS),
        (ORDER, -2, 1, UNDECIDED),
        (ORDER, 1, 2, FAILS),
        (DROP, -1, 0.8, HOLDS),
        (DROP, 0.5, 1.5, UNDECIDED),
        (DROP, 1.0, 1.5, FAILS),
        (STABLE, 0.95, 0.99, HOLDS),
        (STABLE, 0.85, 0.99, UNDECIDED),
        (STABLE, 0.5, 0.8, FAILS),
    ],
)
def test_an_interval_decides(claim, low, high, expected):
    assert verdict(asked(claim), found(claim, low, high)) is expected


@pytest.mark.parametrize(
    ("low", "high", "lean", "expected"),
    [
        (74, 76, (0.5, 3), HOLDS),
        (74, 76, (-3, -1), HOLDS),  # the number decides
        (70, 72, (0.5, 3), DIRECTION),
        (70, 72, (-1, 3), FAILS),
        (70, 74, (-1, 3), UNDECIDED),  # across the edge at 73.4
        (70, 74, (-3, -1), UNDECIDED),
        (70, 74, (1, 3), DIRECTION),
        (70, 72, (-3, -1), FAILS),
    ],
)
def test_a_number_is_met_within_its_tolerance(low, high, lean, expected):
    assert verdict(asked(ACCURACY), found(ACCURACY, low, high, lean=lean)) is expected


@pytest.mark.parametrize(
    ("value", "lean", "expected"),
    [
        (3.45 * 1.3, (0.1, 0.5), HOLDS),
        (3.45 * 1.4, (0.1, 0.5), DIRECTION),
        (3.45, (-0.2, 0.5), UNDECIDED),
        (3.45, (-0.5, -0.1), FAILS),
    ],
)
def test_a_whole_time_needs_runs_that_do_not_get_there(value, lean, expected):
    own = asked(ARRIVAL)
    assert verdict(own, ClaimFinding(value=value, seeds=6, against=3.45, lean=lean)) is expected


@pytest.mark.parametrize("claim", [GAIN, RATIO, ACCURACY, ORDER, DROP, STABLE, ARRIVAL])
def test_nothing_is_decided_with_two_seeds(claim):
    own = asked(claim)
    assert verdict(own, replace(proof(own), seeds=3)) is HOLDS
    assert verdict(own, replace(proof(own), seeds=2)) is UNDECIDED


@pytest.mark.parametrize("claim", [GAIN, RATIO, ACCURACY, ORDER, DROP, STABLE, ARRIVAL])
def test_a_limit_leaves_the_direction(claim):
    own = asked(claim)
    assert verdict(own, replace(proof(own), limit="another machine")) is DIRECTION
    against = replace(proof(own), limit="another machine", lean=(-1, -0.5))
    assert verdict(own, against) is AGAINST
    assert verdict(own, replace(against, lean=(-1, 1))) is UNDECIDED


@pytest.mark.parametrize("claim", [GAIN, RATIO, ACCURACY, ORDER, DROP, STABLE, ARRIVAL])
def test_what_only_speaks_against_a_claim_may_refute_it(claim):
    own = asked(claim)
    assert verdict(own, replace(proof(own), one_sided="a seed diverged")) is DIRECTION
    against = replace(proof(own), one_sided="a seed diverged", lean=(-1, -0.5))
    assert verdict(own, against) is FAILS
    assert verdict(own, replace(against, limit="another machine")) is AGAINST


@pytest.mark.parametrize("claim", [GAIN, RATIO, ACCURACY])
def test_without_a_number_of_the_papers_there_is_only_a_direction(claim):
    own = asked(claim)
    assert verdict(own, replace(proof(own), against=None)) is DIRECTION
    assert verdict(own, replace(proof(own), against=None, lean=(-1, 1))) is UNDECIDED
    assert verdict(own, replace(proof(own), against=None, lean=(-2, -1))) is FAILS


def test_what_is_not_there_is_not_tested():
    assert verdict(asked(GAIN), gap("no runs", "titan-run")) is NOT_TESTED


def test_arithmetic_needs_no_seeds():
    own = asked("contradiction.table1.squeezenet")
    exact = ClaimFinding(value=3.96, exact=True, against=own.number())
    assert verdict(own, exact) is HOLDS
    assert verdict(own, replace(exact, value=5.1)) is FAILS


def test_a_paper_whose_claims_all_hold_has_150_that_hold():
    judged = [
        judgement(own, [proof(own, part) for part in tuple(own.rule.paper) or ("",)])
        for own in map(question, all_claims())
    ]
    numbers = count([each for each in judged if not each.is_contradiction])
    assert numbers == {**dict.fromkeys(Verdict, 0), HOLDS: 150}
    assert count([each for each in judged if each.is_contradiction])[HOLDS] == len(judged) - 150


# --- several parts


def part(name, low, high):
    return found("fig8.accuracy_drop", low, high).of(name)


def test_the_weakest_part_decides_and_is_named():
    own = asked("fig8.accuracy_drop")
    judged = judgement(own, [part("alexnet", -1, 0), part("mobilenet", 2, 3)])
    assert (judged.verdict, judged.value, judged.note) == (FAILS, 2.5, "mobilenet")
    judged = judgement(own, [part("alexnet", -1, 0), part("mobilenet", 0, 3)])
    assert (judged.verdict, judged.interval) == (UNDECIDED, (0, 3))


def test_of_parts_with_one_verdict_the_least_convincing_is_shown():
    parts = [part("alexnet", -3, -2), part("mobilenet", -1, 0), part("squeezenet", -2, -1)]
    judged = judgement(asked("fig8.accuracy_drop"), parts)
    assert (judged.value, judged.note) == (-0.5, "mobilenet")


def test_a_part_without_runs_leaves_the_direction():
    own = asked("fig8.accuracy_drop")
    judged = judgement(own, [part("alexnet", -1, 0), gap("none", "x", "mobilenet")])
    assert (judged.verdict, judged.note) == (DIRECTION, "alexnet; not tested: mobilenet")
    none = judgement(own, [gap("none", "x", "alexnet"), gap("none", "x", "mobilenet")])
    assert (none.verdict, none.value, none.note) == (NOT_TESTED, None, "none")


# --- helpers


def test_a_lean_is_turned_to_the_papers_side():
    assert lean_of((0.5, 0.9), 1, -1) == pytest.approx((0.1, 0.5))
    assert lean_of((0.5, 0.9), 0, 1) == (0.5, 0.9)
    assert lean_of(None, 0, 1) is None
    assert range_of(Interval(1.0, float("-inf"), float("inf"), 1)) is None
    assert range_of(Interval(1.0, 0.0, 2.0, 2)) == (0.0, 2.0)


def test_a_note_says_each_thing_once():
    assert joined("a; b", "", "b", "c") == "a; b; c"
