"""The table of verdicts: what it counts, what fits a screen, what every column has."""

import pytest

from claims.made_up import CLAIMS
from titan_repro.claims.verdicts import Judgement, Verdict
from titan_repro.figures.claims import HEADER, WHOLE_HEADER, count_line, ours_cell, verdict_table


def judged(claim, verdict="holds", **more):
    fields = {
        "value": 2.125,
        "interval": (1.0, 3.5),
        "seeds": 3,
        "rule": "a rule",
        "runs": ("a", "b"),
        "note": "",
        "command": "titan-run -m",
        **more,
    }
    return Judgement(CLAIMS[claim], Verdict(verdict), **fields)


SOME = [
    judged("fig7.accuracy.alexnet"),
    judged("table1.time.alexnet.rs", note="1 by definition"),
    judged("fig6d.power.alexnet", "not tested", value=None, interval=None, seeds=0, note="fitted"),
    judged("theory.lemma1", "direction only", value=1e-12, interval=None, seeds=0, note="if large"),
    judged("contradiction.table1.alexnet", "does not hold", value=5.11, interval=None, seeds=0),
    judged("contradiction.table1.squeezenet", value=3.96, interval=None, seeds=0),
]


def test_the_title_counts_claims_and_contradictions_apart():
    assert verdict_table(SOME, Verdict.FAILS).title == count_line(SOME)
    assert count_line(SOME) == (
        "4 claims: 2 holds (1 by definition), 1 direction only, 0 does not hold, "
        "0 other direction, 0 undecided, 1 not tested. Of 2 pairs of its numbers that should "
        "agree, 1 do not"
    )
    assert "definition" not in count_line(SOME[2:])


def test_a_screen_has_the_numbers_and_marks_what_differs():
    table = verdict_table(SOME)
    assert table.header == HEADER
    assert table.rows[0] == (
        "fig7.accuracy.alexnet", "C-IS final accuracy gain", "5.8 points", "2.12 [1.00, 3.50]", "3",
        "holds",
    )  # fmt: skip
    assert table.rows[2] == (
        "fig6d.power.alexnet", "average power, Titan over RS", "1.68 x", "", "", "not tested †",
    )  # fmt: skip
    assert table.rows[3][3:] == ("", "", "direction only †")
    assert table.notes[0].startswith("† ")


def test_nothing_is_wider_than_its_column():
    table = verdict_table([judged(name) for name in CLAIMS])
    assert max(len(row[1]) for row in table.rows) <= 36
    assert max(len(row[2]) for row in table.rows) <= 20
    assert max(map(len, table.format("markdown").splitlines())) < 160


def test_every_column_is_there_for_programs():
    table = verdict_table(SOME, whole=True)
    assert table.header == WHOLE_HEADER
    assert table.rows[3][-5:] == ("direction only", "if large", "a rule", "a b", "titan-run -m")
    assert len(table.rows) == len(SOME)


@pytest.mark.parametrize("verdict", Verdict)
def test_one_verdict_alone(verdict):
    expected = [each.claim.id for each in SOME if each.verdict is verdict]
    assert [row[0] for row in verdict_table(SOME, verdict).rows] == expected


def test_a_value_without_an_interval_stands_alone():
    assert ours_cell(judged("fig7.accuracy.alexnet", interval=None)) == "2.12"
    assert ours_cell(judged("fig7.accuracy.alexnet", value=float("nan"), interval=None)) == ""
