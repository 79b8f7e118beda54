"""Comparison arithmetic on runs written down by hand."""

import math

import pytest

from handmade import run, runs_of
from titan_repro.analysis.comparison import (
    compare,
    comparison_report,
    comparison_table,
    markdown,
    order_labels,
)


def rows_of(runs):
    return {row.label: row for row in compare(runs.summaries, runs.curves)}


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
    assert titan.rounds_ratio == pytest.approx(math.sqrt(0.5 * 2))
    assert titan.time_ratio == pytest.approx(math.sqrt(0.75 * 3))
    assert titan.accuracy == pytest.approx(0.75)
    assert titan.accuracy_spread == pytest.approx(math.sqrt(2 * 0.15**2))
    assert titan.milliseconds == pytest.approx(10)
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
        )
    )
    assert (rows["is"].compared, rows["is"].arrived) == (2, 1)
    assert rows["is"].time_ratio == pytest.approx(0.5)
    assert (rows["hl"].compared, rows["hl"].arrived) == (1, 0)
    assert math.isnan(rows["hl"].time_ratio)
    assert math.isnan(rows["hl"].rounds_ratio)


def test_a_diverged_run_counts_as_a_seed_and_has_no_accuracy():
    diverged = run("ce", 1, (0, 0.1, 0.0), (50, 0.65, 1.0), status="diverged")
    ce = rows_of(runs_of(RS_0, RS_1, run("ce", 0, (0, 0.1, 0), (100, 0.7, 5)), diverged))["ce"]
    assert (ce.seeds, ce.diverged) == (2, 1)
    assert ce.accuracy == pytest.approx(0.7)
    assert math.isnan(ce.accuracy_spread)
    assert ce.arrived == 2  # it was there before it diverged, and that is what is asked


def test_all_seeds_diverged():
    rows = rows_of(runs_of(RS_0, run("ce", 0, (0, 0.1, 0.0), status="diverged")))
    assert math.isnan(rows["ce"].accuracy)
    cells = comparison_table(list(rows.values())).splitlines()[-1].split("|")
    assert [cell.strip() for cell in cells[1:-2]] == [
        "ce",
        "1 (1 diverged)",
        "-",
        "0 of 1",
        "-",
        "-",
    ]


@pytest.mark.parametrize(
    "rs",
    [
        [],
        [run("rs", 1, (0, 0.1, 0.0), (100, 0.5, 2.0))],
        [run("rs", 0, (0, 0.1, 0.0), (50, 0.5, 1.0), status="diverged")],
        [run("rs", 0, (0, 0.3, 0.0), (100, 0.2, 2.0))],
    ],
    ids=["no rs", "rs of another seed", "rs diverged", "rs ended no better than it began"],
)
def test_without_a_target_nothing_is_compared(rs):
    row = rows_of(runs_of(*rs, run("titan", 0, (0, 0.1, 0.0), (100, 0.9, 1.0))))["titan"]
    assert (row.seeds, row.compared, row.arrived) == (1, 0, 0)
    assert math.isnan(row.time_ratio)
    assert "| - " in comparison_table([row]).splitlines()[-1]
    assert "0 of" not in comparison_table([row])


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


def test_the_table_is_aligned_markdown():
    runs = runs_of(
        RS_0, RS_1, run("titan", 0, (0, 0.1, 0.0), (50, 0.5, 1.5), label="titan filter.budget=20")
    )
    lines = comparison_table(compare(runs.summaries, runs.curves)).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert set(lines[1]) == {"|", "-"}
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == [
        "rs",
        "2",
        "55.00 ± 7.07",
        "2 of 2",
        "1.00",
        "1.00",
        "10.00",
    ]
    assert [cell.strip() for cell in lines[3].split("|")[1:-1]] == [
        "titan filter.budget=20",
        "1",
        "50.00",
        "1 of 1",
        "0.50",
        "0.75",
        "10.00",
    ]


def test_markdown_of_a_header_alone():
    assert markdown([["a", "bb"]]) == "| a | bb |\n|---|----|"


def test_settings_are_never_mixed_and_say_what_they_are():
    report = comparison_report(
        runs_of(
            RS_0,
            run("titan", 0, (0, 0.1, 0.0), (100, 0.5, 1.0)),
            run(
                "titan",
                0,
                (0, 0.1, 0.0),
                (200, 0.9, 1.0),
                setting="s2",
                rounds=200,
                detail=", batch_size 5",
            ),
        )
    )
    first, second = report.split("digits, small_cnn, stream clean, ")[1:]
    assert first.startswith("100 rounds; data: digits (bundled)\n\n| selector")
    assert second.startswith("200 rounds, batch_size 5; data: digits (bundled)\n\n| selector")
    assert "| rs " in first
    assert "| rs " not in second
    assert report.count("geometric mean over the seeds that did") == 1
