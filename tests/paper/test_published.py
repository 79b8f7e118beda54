"""The paper's numbers that are shipped, and what is read from them."""

import math

import pytest

from titan_repro.paper.published import (
    FIGURE_OF_STREAM,
    accuracy_at,
    batch_variances,
    claimed_numbers,
    claims,
    curve,
    filter_variances,
    rounds_ratio_at,
    table1_cell,
)

MODELS = ("alexnet", "mobilenet", "squeezenet", "resnet50", "resnet34", "mlp")
SELECTORS = ("rs", "is", "ll", "hl", "ce", "ocs", "camel", "titan")


def test_all_claims_are_there_and_table_1_is_whole():
    assert len(claims()) == 150
    assert claims()["headline.accuracy"].paper_value == "6.2"
    cells = {(m, s): table1_cell(m, s) for m in MODELS for s in SELECTORS}
    assert None not in cells.values()
    assert cells["alexnet", "titan"].time_ratio == 0.7
    assert cells["mlp", "titan"].accuracy == 76.7
    assert (cells["mlp", "rs"].task, cells["resnet34", "rs"].task) == ("harbox", "speech_commands")
    assert table1_cell("alexnet", "cis") is None


def test_numbers_and_ranges_among_the_claims():
    numbers = claimed_numbers()
    assert numbers["table1.time.alexnet.ll"] == 3.98
    assert (numbers["fig6b.latency.low"], numbers["fig6b.latency.high"]) == (4, 13)
    assert "fig6b.latency" not in numbers
    assert "theory.lemma1" not in numbers  # "exact"
    words = [claim.id for claim in claims().values() if not claim.paper_value[0].isdigit()]
    ranges = sum(name.endswith(".low") for name in numbers)
    assert len(numbers) - ranges + len(words) == len(claims())


@pytest.mark.parametrize(
    ("model", "selector", "expected"),
    [
        ("alexnet", "rs", (25.7, 34.2, 43.9, 59.7, 70.9)),
        ("mobilenet", "cis", (30.6, 39.0, 50.7, 67.3, 75.2)),
        ("resnet50", "rs", (33.6, 41.4, 49.8, 66.4, 75.2)),
    ],
)
def test_accuracies_of_figure_7(model, selector, expected):
    found = [accuracy_at(model, selector, n) for n in (1000, 2000, 4000, 10000, 20000)]
    assert found == pytest.approx(expected, abs=0.06)


def test_between_vertices_a_curve_is_straight_and_beyond_its_end_unknown():
    drawn = curve("alexnet", "rs")
    first, second = drawn.iloc[4], drawn.iloc[5]
    middle = int(first["round"] + second["round"]) // 2
    share = (middle - first["round"]) / (second["round"] - first["round"])
    expected = first["accuracy"] + share * (second["accuracy"] - first["accuracy"])
    assert accuracy_at("alexnet", "rs", middle) == pytest.approx(expected)
    assert math.isnan(accuracy_at("alexnet", "rs", 20001))
    assert math.isnan(accuracy_at("alexnet", "titan", 100))
    assert len(curve("alexnet", "titan")) == 0


def test_rounds_to_random_selections_accuracy():
    assert rounds_ratio_at("alexnet", "rs", 20000) == 1
    assert rounds_ratio_at("alexnet", "cis", 20000) == pytest.approx(1 / 1.59, abs=0.03)
    assert math.isinf(rounds_ratio_at("alexnet", "ll", 20000))
    assert math.isnan(rounds_ratio_at("alexnet", "titan", 20000))
    assert math.isnan(rounds_ratio_at("nothing", "rs", 20000))


def test_figures_of_streams_have_curves():
    assert all(len(curve("mobilenet", "rs", figure)) > 100 for figure in FIGURE_OF_STREAM.values())


def test_figure_5_by_model():
    assert batch_variances("alexnet", "cis") == {5: 0.07, 10: 0.17, 20: 0.335, 40: 0.266, 80: 0.586}
    assert batch_variances("mobilenet", "is")[80] == 0.975
    assert batch_variances("squeezenet", "cis") == batch_variances("alexnet", "rs") == {}
    assert filter_variances("alexnet") == {
        "Random+Random": 1.0,
        "Coarse+Random": 0.96,
        "Random+C-IS": 0.59,
        "Coarse+C-IS": 0.28,
        "C-IS": 0.26,
    }
    assert filter_variances("mobilenet")["C-IS"] == 0.51
    assert filter_variances("mlp") == {}
