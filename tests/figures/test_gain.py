"""Gains over random selection and over a stratified batch: by hand, as table and as picture."""

import numpy as np
import pytest

from handmade import run, runs_of
from titan_repro.analysis.paired import gains
from titan_repro.analysis.statistics import mean_interval
from titan_repro.figures import gain
from titan_repro.figures.figure import draw_to, find, names

RUNS = runs_of(
    run("rs", 0, (0, 0.1, 0.0), (100, 0.50, 1.0)),
    run("rs", 1, (0, 0.1, 0.0), (100, 0.52, 1.0)),
    run("rs", 2, (0, 0.1, 0.0), (100, 0.40, 1.0)),
    run("titan", 0, (0, 0.1, 0.0), (100, 0.53, 1.0)),
    run("titan", 1, (0, 0.1, 0.0), (100, 0.53, 1.0)),
    run("titan", 7, (0, 0.1, 0.0), (100, 0.99, 1.0)),
    run("stratified", 0, (0, 0.1, 0.0), (100, 0.52, 1.0)),
    run("ll", 0, (0, 0.1, 0.0), (100, 0.15, 1.0)),
    run("ll", 1, (0, 0.1, 0.0), (100, 0.10, 1.0), status="diverged"),
)


def test_only_seeds_that_both_have_are_paired():
    found = {each.label: each for each in gains(RUNS.summaries, "rs")}
    assert list(found) == ["stratified", "ll", "titan"]
    assert found["titan"].deltas == pytest.approx([3, 1])
    assert found["titan"].interval == mean_interval([3, 1])
    assert found["ll"].deltas == pytest.approx([-35])
    assert np.isnan([found["titan"].p, found["ll"].p]).all()  # too few to test anything


def test_over_another_control():
    found = {each.label: each for each in gains(RUNS.summaries, "stratified")}
    assert found["titan"].deltas == pytest.approx([1])
    assert found["rs"].deltas == pytest.approx([-2])


def test_without_a_common_seed_there_is_no_pair():
    runs = runs_of(
        run("rs", 0, (0, 0.1, 0.0), (100, 0.5, 1.0)), run("titan", 1, (0, 0.1, 0.0), (9, 0.5, 1.0))
    )
    [titan] = gains(runs.summaries, "rs")
    assert len(titan.deltas) == 0
    assert np.isnan(titan.interval.estimate)
    [table] = gain.tables(gain.of_runs(runs))
    assert table.rows[0][:3] == ["titan", "0", "no pair"]


def test_the_table_has_both_controls_and_says_what_is_left_out():
    alone = runs_of(run("titan", 0, (0, 0.1, 0.0), (100, 0.5, 1.0)))
    assert gain.tables(gain.of_runs(alone)) == []
    [table] = gain.tables(gain.of_runs(RUNS))
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["titan"][:2] == ["2", "+2.00 [-10.71, +14.71]"]
    assert rows["titan"][3] == "+1.00"
    assert rows["stratified"][3:] == ["", ""]


def test_only_the_tests_of_a_column_are_adjusted_for():
    """Random selection over the stratified batch is told in the other column, once.

    What has too few seeds to pass is not tested, and costs the others nothing.
    """
    ends = {"rs": 0.50, "stratified": 0.51, "titan": 0.52}
    runs = [
        run(name, seed, (0, 0.1, 0.0), (100, end + seed / 100, 1.0))
        for name, end in ends.items()
        for seed in range(7)
    ]
    runs += [run("cis", seed, (0, 0.1, 0.0), (100, 0.6, 1.0)) for seed in range(5)]
    [table] = gain.tables(gain.of_runs(runs_of(*runs)))
    rows = {row[0]: row for row in table.rows}
    assert rows["titan"][3] == "0.031"  # 2 / 2^7, times two selectors
    assert rows["titan"][5] == "0.016"  # alone
    assert (rows["cis"][1], rows["cis"][3], rows["cis"][5]) == ("5", "", "")


def test_it_is_drawn_and_collapses_do_not_hide_the_rest(tmp_path):
    assert "gain" in names()
    draw_to(find("gain"), gain.of_runs(RUNS), tmp_path / "gain.png")
    assert (tmp_path / "gain.png").stat().st_size > 10_000
    data = gain.of_runs(RUNS)
    _, [axes] = gain.panels(data)
    gain.draw(data, [axes])
    assert axes.get_xlim()[0] > -20
    assert [text.get_text() for text in axes.texts] == ["◂ -35"]
    assert axes.get_yticklabels()[0].get_text() == "ll (1)"


def test_a_setting_of_one_seed_is_drawn_only_where_none_has_more():
    """A seed alone has no interval: such a setting is in the table, and the picture names it."""
    alone = [
        run(name, 0, (0, 0.1, 0.0), (100, 0.5, 1.0), model="resnet50") for name in ("rs", "titan")
    ]
    data = gain.of_runs(runs_of(*alone))
    assert titles_of(data) == ["resnet50"]
    several = gain.Data([*data.settings, *gain.of_runs(RUNS).settings], 0)
    assert len(gain.tables(several)) == 2
    assert titles_of(several) == ["small_cnn"]
    assert gain.panels(several)[0].get_supxlabel() == (
        "one seed, in the table alone: resnet50 on digits"
    )


def titles_of(data):
    """Draw; return the models of the panels."""
    _, axes = gain.panels(data)
    gain.draw(data, axes)
    return [panel.get_title().split(", ")[1] for panel in axes]


def test_without_runs_it_is_said():
    data = gain.Data([], 0, ("Not run yet, x.",))
    [table] = gain.tables(data)
    assert (table.title, table.notes) == ("Gain over rs: no runs yet", ("Not run yet, x.",))
    _, [axes] = gain.panels(data)
    gain.draw(data, [axes])
    assert [text.get_text() for text in axes.texts] == ["no runs beside those of rs"]
