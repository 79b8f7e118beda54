"""The figure of federated learning is drawn from its data: ours, and the paper's below."""

from itertools import pairwise

import pytest

from handmade import run, runs_of
from titan_repro.analysis.clocks import OwnClock
from titan_repro.figures import fig10
from titan_repro.figures.end_labels import SIZE
from titan_repro.figures.figure import draw_to
from titan_repro.figures.style import PAPER_COLOUR

SPREAD = {"mean": 0.5, "deviation": 0.1, "lowest": 0.2, "tenth": 0.3, "highest": 0.7}


def federation(devices=50, rounds=200):
    return {
        "devices": devices,
        "participants": devices // 5,
        "bytes_down": 1e6,
        "bytes_up": 2e6,
        "devices_at_milestones": [{"rounds": rounds, **SPREAD}],
    }


def federated(selector, seed, accuracy, **more):
    curve = [(0, 0.1, 0.0), (100, accuracy - 0.1, 1.0), (200, accuracy, 2.0)]
    own = {"task": "cifar10", "rounds": 200, "federation": federation(), **more}
    return run(selector, seed, *curve, **own)


RUNS = runs_of(
    *(federated("rs", seed, 0.3 + seed / 50) for seed in range(3)),
    *(federated("titan", seed, 0.5 + seed / 50) for seed in range(3)),
    federated("is", 0, 0.51),
    federated("rs", 0, 0.3, setting="s2", federation=federation(devices=10)),
)


def data(runs=RUNS):
    return fig10.Data(runs, lambda group: OwnClock())


def test_lines_are_ours_and_the_papers_of_its_own_setting(tmp_path):
    _, axes = fig10.panels(data())
    fig10.draw(data(), axes)
    first, second = axes
    assert first.get_xlabel() == "communication rounds"
    names = [line.get_label() for line in first.lines]
    papers = ["is, paper's figure 10", "titan, paper's figure 10"]  # it draws no rs
    assert names == [*papers, "rs", "is", "titan"]
    assert {line.get_color() for line in first.lines[:2]} == {PAPER_COLOUR}
    assert list(first.lines[-1].get_ydata()) == pytest.approx([10, 42, 52])
    assert [line.get_label() for line in second.lines] == ["rs"]
    assert first.lines[0].get_xdata().max() <= 200
    draw_to(fig10, data(), tmp_path / "fig10.png")
    assert (tmp_path / "fig10.png").stat().st_size > 0


def test_lines_of_many_evaluations_are_moving_means():
    """Who takes part moves the accuracy from one evaluation to the next."""
    every = [(20 * i, 0.3 + 0.1 * (i % 2), 1.0) for i in range(40)]
    own = {"task": "cifar10", "rounds": 780, "federation": federation(rounds=780)}
    noisy = data(runs_of(run("rs", 0, *every, **own)))
    _, [axes] = fig10.panels(noisy)
    fig10.draw(noisy, [axes])
    assert "moving mean of 5 evaluations" in axes.get_ylabel()
    drawn = axes.lines[-1].get_ydata()
    assert list(drawn[2:5]) == pytest.approx([34, 36, 34])
    assert len(drawn) == 40


def test_names_at_the_ends_do_not_cover_each_other():
    _, axes = fig10.panels(data())
    fig10.draw(data(), axes)
    places = sorted(text.xyann[1] for text in axes[0].texts)  # shares of the axes' height
    height = 72 * axes[0].get_window_extent().height / axes[0].figure.dpi
    assert len(places) == 5
    assert min(b - a for a, b in pairwise(places)) >= 0.99 * SIZE / height


def test_tables_tell_devices_bytes_and_the_paper():
    tables = fig10.tables(data())
    assert len(tables) == 4
    devices = tables[1]
    assert "federation of 50 devices" in devices.title
    [titan] = [row for row in devices.rows if row[0] == "titan"]
    assert titan[:7] == ("titan", "3", "50.0", "10.0", "20.0", "30.0", "70.0")
    assert titan[7] == "0.60"
    assert float(titan[8]) > 10
    [rs] = [row for row in devices.rows if row[0] == "rs"]
    assert rs[8] == "-"
    assert all("paper" not in name for name in tables[3].header)  # ten devices are not its setting
    assert len(tables[3].rows[0]) == len(tables[3].header)


def test_without_a_federation_the_papers_curves_stand_alone(monkeypatch, tmp_path):
    alone = runs_of(run("rs", 0, (0, 0.1, 0.0), (100, 0.2, 1.0)))
    monkeypatch.setattr(fig10, "load_runs", lambda source: alone)
    found = fig10.load(tmp_path, lambda device: None)
    assert found.runs is None
    [table] = fig10.tables(found)
    assert "Figure 10" in table.title
    _, [axes] = fig10.panels(found)
    fig10.draw(found, [axes])
    assert {line.get_color() for line in axes.lines} == {PAPER_COLOUR}
    assert len(axes.lines) == 6
    assert any("no runs" in text.get_text() for text in axes.texts)
    draw_to(fig10, found, tmp_path / "fig10.png")
