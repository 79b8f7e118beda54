"""The tables and the picture of what selectors chose, from statistics written down by hand."""

from pathlib import Path

import numpy as np
import pandas as pd

from titan_repro.analysis.selection_stats import Profile, SelectionStats
from titan_repro.figures import selection
from titan_repro.figures.figure import draw_to, find, names

EXPORT = Path(__file__).parents[2] / "results" / "data"
NAN = float("nan")
RS = Profile("rs", 2, np.array([1.0, 1.0]), 0.004, 0.4, 0.3, 0.95, 0.0)
LL = Profile("ll", 1, np.array([0.0, 2.5]), 0.3, 0.05, 0.8, 0.71, 0.012)
OLDER = Profile("titan", 1, np.array([NAN, NAN]), NAN, NAN, NAN, NAN, NAN)
OVERLAP = np.array([[0.001, -0.004, NAN], [-0.004, NAN, NAN], [NAN, NAN, NAN]])


def stats(*profiles, noisy=0.0, estimated=False, overlap=OVERLAP):
    one = dict.fromkeys(("task", "model", "stream", "detail", "data_source"), "x")
    group = pd.DataFrame([{**one, "rounds": 100}])
    number = len(profiles)
    return SelectionStats(group, noisy, estimated, profiles, overlap[:number, :number])


def test_cells():
    first, second = selection.tables([stats(RS, LL, OLDER)])
    assert first.rows == [
        ["rs", "2", "class 0: x1.00", "class 0: x1.00", "0.4", "30.0", "0.950", "0.00"],
        ["ll", "1", "class 1: x2.50", "class 0: x0.00", "30.0", "80.0", "0.710", "1.20"],
        ["titan", "1", *["not kept"] * 6],
    ]
    assert second.rows[0] == ["rs", "0.00", "0.00", ""]


def test_noise_has_a_column_where_there_is_some():
    [table] = selection.tables([stats(RS, noisy=0.4, estimated=True, overlap=np.array([[NAN]]))])
    assert table.header[5] == "noisy, % (of the stream 40.0)"
    assert table.rows[0][5] == "40.0"
    assert selection.ESTIMATED in table.notes
    assert any(note.startswith("No overlap of x") for note in table.notes)


def test_it_is_drawn_also_of_what_is_not_kept(tmp_path):
    assert "selection" in names()
    data = [stats(RS, LL, OLDER), stats(RS, LL, noisy=0.4), stats(OLDER)]
    draw_to(find("selection"), data, tmp_path / "selection.png")
    assert (tmp_path / "selection.png").stat().st_size > 10_000
    _, axes = selection.panels(data)
    selection.draw(data, axes)
    assert len(axes) == 6  # a setting with one selector has nothing to compare
    assert [tick.get_text() for tick in axes[0].get_yticklabels()] == ["rs", "ll", "titan"]
    assert [text.get_text() for text in axes[0].texts] == ["not kept"]
    assert [text.get_text() for text in axes[4].texts] == [" 40", " 5"]
    low, high = axes[0].get_xlim()
    assert low < selection.LEAST_RATIO < 2.5 < high  # never chosen is drawn at the least ratio


def test_of_an_export_the_campaigns_runs_alone_are_shown(monkeypatch):
    monkeypatch.setattr(selection, "EXPERIMENTS", ("campaign_images",))
    monkeypatch.setattr(selection, "FURTHER", ())
    monkeypatch.setattr(selection, "selection_stats", lambda runs: runs.summaries)
    shown = selection.load(EXPORT, None)
    assert set(shown["label"]) <= {"rs", "stratified", "cis", "titan"}  # no variants of one
    assert set(shown["task"]) == {"cifar10"}
