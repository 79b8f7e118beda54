"""Figures that the campaign has no runs of yet: what they say without, and with made-up ones."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_hex

from handmade import costs, run, runs_of
from titan_repro.analysis.clocks import OwnClock
from titan_repro.analysis.costs import Costs
from titan_repro.figures import fig1, fig2, fig11
from titan_repro.figures.comparison import comparison_tables
from titan_repro.figures.planned import Shown
from titan_repro.figures.style import PAPER_COLOUR
from titan_repro.paper.published import curve, utilisation
from titan_repro.records.collect import Collection


def shown(runs=None, gaps=("sweep: rs seed 0",)):
    return Shown(runs, gaps, 0, Collection(Path("data"), (), (), ()), frozenset())


def drawn(figure, data):
    _, axes = figure.panels(data)
    figure.draw(data, axes)
    return axes


def words(axes):
    return [text.get_text().replace("\n", " ") for text in axes.texts]


def cifar(selector, rounds=1000, model="mobilenet", **more):
    ends = (0, 0.1, 0.0), (rounds, 0.3, 1.0)
    return run(selector, 0, *ends, task="cifar10", model=model, rounds=rounds, **more)


def test_the_papers_figure_1_as_data():
    lines = utilisation()
    assert list(lines) == ["alexnet", "mobilenet", "resnet50"]
    assert list(lines["alexnet"]["share"]) == [10, 20, 40, 80, 100]
    assert tuple(lines["resnet50"].iloc[-1]) == (100, 85.6, 3.23)


class Board:
    """Replays a round of batch b in b milliseconds."""

    device = SimpleNamespace(name="a board")

    def run(self, recorded, row):
        return SimpleNamespace(seconds=np.arange(3) * row["config.batch_size"] / 1000)


def utilised(*batches, **more):
    runs = [
        cifar(
            "rs",
            setting=f"s{batch}",
            final=0.3 + batch / 1000,
            seconds_per_round=batch / 50,
            **{"config.batch_size": batch, "config.stream.velocity": 100, **more},
        )
        for batch in batches
    ]
    made = runs_of(*runs)
    recorded = dict.fromkeys(made.summaries["run_id"])
    return type(made)(made.summaries, made.curves, recorded)


def test_figure_1_has_accuracy_and_time_over_batches_of_ten():
    lines = fig1._lines(utilised(40, 10), Board())
    data = fig1.Data(list(lines.values()), "a board", ("Not run yet, x.",))
    [table] = fig1.tables(data)
    assert [row[0] for row in table.rows] == ["10", "40"]
    accuracy, _, _, paper, measured, modelled, papers = table.rows[1][1:]
    assert (accuracy, paper) == ("34.00", "81.7")
    assert (measured, modelled, papers) == ("4.00", "4.00", "1.17")
    assert table.notes[-1] == "Not run yet, x."
    left, right = drawn(fig1, data)
    assert "mobilenet 34.0 (1)" in words(left)
    assert {"mobilenet 4, measured", "mobilenet 4, modelled"} <= set(words(right))
    assert left.get_title() == "ours after 1,000 rounds, the paper after 20,000"


def test_figure_1_without_the_smallest_batch_has_no_time():
    [line] = fig1._lines(utilised(20, 40), Board()).values()
    assert math.isnan(line.ratio(line.points[1], "measured"))


def test_figure_1_without_runs_has_the_papers_lines_and_a_word():
    data = fig1.Data([fig1.UtilisationLine(model) for model in utilisation()], "a board", ())
    left, right = drawn(fig1, data)
    assert any(text.startswith("no runs of alexnet, mobilenet, resnet50") for text in words(left))
    for axes in (left, right):
        assert {to_hex(line.get_color()) for line in axes.lines} == {PAPER_COLOUR}
        assert axes.get_ylabel()
    assert fig1.tables(data)[0].title == "Figure 1: no runs yet"


COSTS = [
    fig2.Cost("rs", 20.0, 21.0, math.nan),
    fig2.Cost("is", 140.0, 210.0, math.nan),
]


def test_figure_2_without_runs_and_measurements_says_so():
    data = fig2.Data(COSTS, "a board", "", shown(), ())
    costs_table, *rest = fig2.tables(data)
    assert rest == []
    assert costs_table.rows[1] == ["IS", "is", *["140", "7.00", "210", "10.0", "none", "none"]]
    assert costs_table.title.endswith("measured: none")
    bars, ten, more = drawn(fig2, data)
    assert "no measurement" in bars.get_title()
    assert "no runs: titan-run experiment=fig2 batch_size=10" in " ".join(words(ten)).replace(
        "\n", " "
    )
    assert len(ten.lines) == 8  # the paper's of figure 7
    assert words(more)[0].startswith("no runs: titan-run experiment=fig2 batch_size=25; ")
    assert more.get_ylim() == (0, 100)


def test_figure_2_with_runs_draws_its_batch_and_the_papers_curves_only_at_ten():
    of_batch = [
        cifar("rs", setting=f"s{batch}", **{"config.batch_size": batch}) for batch in (10, 25)
    ]
    data = fig2.Data(COSTS, "a board", "", shown(runs_of(*of_batch)), ())
    _, ten, more = drawn(fig2, data)
    assert [line.get_label() for line in ten.lines] == ["rs", "rs, paper's figure 7"]
    assert [line.get_label() for line in more.lines] == ["rs"]


def test_figure_2_is_measured_as_the_clock_of_costs_has_it():
    measured = Costs("mobilenet", costs("mobilenet"), Path("costs.json"))
    assert fig2._measured_seconds(measured, "rs") == pytest.approx(0.020)
    assert math.isnan(fig2._measured_seconds(measured, "is"))
    bulk = {"arriving_ms": 1.0, "bulk_ms": 0.5}
    measured = Costs("m", costs("mobilenet", latency__measured__is=bulk), Path("costs.json"))
    assert fig2._measured_seconds(measured, "is") == pytest.approx(0.020 + 100 * 0.0005)


def test_figure_11_has_a_panel_a_stream_ours_where_there_are_runs():
    runs = runs_of(*(cifar(name, stream="label_noise", rounds=2000) for name in ("rs", "titan")))
    data = fig11.Data(shown(runs), comparison_tables(runs, lambda group: OwnClock()))
    clean, features, labels = drawn(fig11, data)
    assert "no runs: titan-run experiment=fig11 stream=clean" in words(clean)
    assert len(clean.lines) == 8
    assert len(features.lines) == 7
    assert [line.get_label() for line in labels.lines] == [
        "rs",
        "titan",
        "rs, paper's figure 11b",
        "titan, paper's figure 11b",
    ]
    paper = curve("mobilenet", "titan", "11b")
    assert list(labels.lines[-1].get_ydata()) == list(paper["accuracy"][paper["round"] <= 2000])
    assert fig11.tables(data)[-1].notes[-1] == "Not run yet, sweep: rs seed 0."
    [none] = fig11.tables(fig11.Data(shown(), [fig11.no_runs("Figure 11")]))
    assert none.title == "Figure 11: no runs yet"
