"""Gains at equal rounds and at equal time: the table, and the picture."""

import numpy as np
import pytest

from handmade import run, runs_of
from titan_repro.analysis.clocks import NoTimeError, OwnClock
from titan_repro.figures import equal_time
from titan_repro.figures.figure import draw_to, find, names

RUNS = runs_of(
    run("rs", 0, (0, 0.1, 0.0), (50, 0.40, 1.0), (100, 0.50, 2.0)),
    run("rs", 1, (0, 0.1, 0.0), (50, 0.40, 1.0), (100, 0.48, 2.0)),
    run("cis", 0, (0, 0.1, 0.0), (50, 0.45, 2.0), (100, 0.60, 4.0)),
    run("cis", 1, (0, 0.1, 0.0), (50, 0.47, 2.0), (100, 0.60, 4.0)),
    run("ll", 0, (0, 0.1, 0.0), (50, 0.2, 50.0), (100, 0.2, 100.0)),
)


class Untimed(OwnClock):
    """Has a time for rs and cis alone: half of their own, twice for cis."""

    def seconds(self, run, curve) -> np.ndarray:
        if run["selector"] == "ll":
            raise NoTimeError("too low to tell")
        return curve["train_seconds"].to_numpy() * (1 if run["selector"] == "rs" else 0.5)


DATA = equal_time.on_clocks(
    RUNS, {equal_time.BOARD: lambda _: OwnClock(), equal_time.HERE: lambda _: Untimed()}, ("m",)
)


def test_a_row_says_what_is_left_of_a_gain_on_each_clock():
    [table] = equal_time.tables(DATA)
    assert table.header[2::2] == (equal_time.ROUNDS, equal_time.BOARD, equal_time.HERE)
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["cis"][1].startswith("+11.00 [")
    assert rows["cis"][2:4] == ["0.50", "-3.00 [-28.41, +22.41]"]
    assert rows["cis"][4] == "1.00"
    assert rows["cis"][5] == rows["cis"][1]
    assert rows["ll"][-2:] == ["", "none"]
    assert "No equal time, measured: ll (too low to tell)." in table.notes
    assert table.notes[-1] == "m"


def test_it_is_drawn_and_what_loses_most_is_a_number(tmp_path):
    assert "equal_time" in names()
    draw_to(find("equal_time"), DATA, tmp_path / "equal_time.png")
    assert (tmp_path / "equal_time.png").stat().st_size > 10_000
    _, [axes] = equal_time.panels(DATA)
    equal_time.draw(DATA, [axes])
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["ll (1)", "cis (2)"]
    assert [text.get_text() for text in axes.texts] == [
        "\N{BLACK LEFT-POINTING SMALL TRIANGLE} -30",
        "\N{BLACK LEFT-POINTING SMALL TRIANGLE} -40",
    ]
    means = sorted(
        (line.get_xdata()[0], line.get_marker())
        for line in axes.lines
        if line.get_marker() in "oDs" and len(line.get_xdata()) == 1
    )
    assert means == [(pytest.approx(-3), "D"), (pytest.approx(11), "o"), (pytest.approx(11), "s")]


def test_without_runs_it_is_said():
    data = equal_time.Data([], ("Not run yet, x.",))
    [table] = equal_time.tables(data)
    assert (table.title, table.notes) == ("Gain at equal time: no runs yet", ("Not run yet, x.",))
    _, [axes] = equal_time.panels(data)
    equal_time.draw(data, [axes])
    assert [text.get_text() for text in axes.texts] == ["no runs beside those of rs"]
