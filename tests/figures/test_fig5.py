"""Figure 5 and its tables, from measurements written down by hand."""

import json
import math

import pytest
from PIL import Image

from handmade import FACTORS, variance, write_variance
from titan_repro.analysis.variance import load_variance
from titan_repro.cli.report import main
from titan_repro.figures import fig5
from titan_repro.figures.figure import draw_to
from titan_repro.figures.pictures import pyplot


@pytest.fixture
def drawn():
    """Return a function: the axes that measurements below a folder give."""

    def draw(runs):
        data = fig5.load(runs, None)
        figure, axes = fig5.panels(data)
        fig5.draw(data, axes)
        pyplot().close(figure)
        return axes

    return draw


def lines(axes):
    return {line.get_label(): list(line.get_ydata()) for line in axes.lines}


def test_errors_are_those_of_the_last_state_over_rs(drawn, tmp_path):
    first, sizes, _, _ = drawn(write_variance(tmp_path, variance("alexnet")))
    found = lines(sizes)
    assert "after 0 rounds" in first.get_title()
    assert first.get_ylim() == sizes.get_ylim()
    for name, label in (("is", "is"), ("cis", "cis"), ("titan", "titan")):
        assert found[label] == pytest.approx([FACTORS[name]] * 2)
    assert found["cis, unbiased weights"] == pytest.approx([0.25] * 2)
    assert found["picked knowing the mean"] == pytest.approx([0.1] * 2)
    assert found["Lemma 2's least"] == pytest.approx([0.25] * 2)
    assert found["cis in the paper"] == [0.07, 0.17, 0.335, 0.266, 0.586]
    assert "after 500 rounds" in sizes.get_title()
    assert "cis in the paper" not in lines(drawn(write_variance(tmp_path, variance("mlp")))[5])


def test_bars_are_variance_and_squared_bias(drawn, tmp_path):
    _, _, ways, _ = drawn(write_variance(tmp_path, variance("alexnet")))
    *_, plain, bias, _ = ([bar.get_height() for bar in bars] for bars in ways.containers)
    assert plain == pytest.approx([1.0, 0.825, 1.875, 2.25, 1.5])
    assert bias == pytest.approx([0.0, 0.275, 0.625, 0.75, 0.5])
    unbiased = ways.lines[1].get_ydata()  # after those of the first state
    assert list(unbiased) == pytest.approx([math.nan, math.nan, 0.6, 0.3, 0.25], nan_ok=True)
    assert lines(ways)["paper"] == [1.0, 0.96, 0.59, 0.28, 0.26]


def test_correlations_by_lag(drawn, tmp_path):
    *_, lags = drawn(write_variance(tmp_path, variance("alexnet")))
    pearson, ranks = lags.lines[:2]
    assert list(pearson.get_xdata()) == [1, 2]
    assert list(pearson.get_ydata()) == [0.9, 0.8]
    assert list(ranks.get_ydata()) == [0.5, 0.5]
    assert lines(lags)["paper"] == [0.98]


def test_the_tables_hold_the_same_numbers(tmp_path):
    by_state, by_size, ways, lags = fig5.tables(
        fig5.load(write_variance(tmp_path, variance("alexnet")), None)
    )
    assert by_state.title.endswith("cifar10, alexnet, trained by rs, seed 0")
    rows = {row[0]: row[1:] for row in by_state.rows}
    assert rows["titan"] == ["3.00 ±0.03", "3.00 ±0.03"]
    assert rows["is, closed form (Lemma 1)"] == ["0.75", "0.75"]
    assert rows["least by Lemma 2"] == ["0.25", "0.25"]
    rows = {tuple(row[:2]): row[2:] for row in by_size.rows}
    assert rows["cis, unbiased weights", "500"] == ["0.25 ±0.0025", "0.25 ±0.0025"]
    assert rows["cis, paper", "not told"] == ["0.07", "0.17"]
    rows = {row[0]: row[1:] for row in ways.rows}
    assert rows["C-IS"] == ["2.00 ±0.02"] * 2 + ["0.25 ±0.0025"] * 2 + ["0.26"]
    assert rows["Coarse+Random"] == ["1.10 ±0.011"] * 2 + ["", "", "0.96"]
    training = "cifar10, alexnet, trained by rs, seed 0"
    assert lags.rows == [[training, "500", "0.90 (0.50)", "0.80 (0.50)"]]


def test_seeds_are_averaged_and_told_apart_in_the_details(tmp_path):
    errors = [
        {**row, "mean_squared": 2 * row["mean_squared"]} if row["selector"] == "cis" else row
        for row in variance("mlp")["errors"]
    ]
    write_variance(tmp_path, variance("mlp"), variance("mlp", id="b", seed=1, errors=errors))
    (mean,) = data = fig5.load(tmp_path, None)
    assert mean.title == "cifar10, mlp, trained by rs, mean of seeds 0, 1"
    assert mean.over_rs(500, 10, "cis") == pytest.approx(3.0)
    assert mean.uncertainty(500, 10, "cis") == pytest.approx(1.0)  # of 2 and 4
    assert mean.uncertainty(500, 10, "is") == pytest.approx(0.0)
    assert mean.stability(500) == {1: (0.9, 0.5), 2: (0.8, 0.5)}
    (table,) = fig5.details(data)
    found = [row for row in table.rows if row[3:8] == ["1", "500", "last_layer", "10", "cis"]]
    assert [row[8:] for row in found] == [["4", "1.5", "0.5", "0.02"]]
    assert len(table.rows) == 2 * 2 * 2 * len(FACTORS)


def test_what_was_not_measured_is_none(tmp_path):
    (record,) = load_variance(write_variance(tmp_path, variance("mlp")))
    assert math.isnan(record.over_rs(500, 80, "rs"))
    assert math.isnan(record.over_rs(500, 10, "ocs"))
    assert math.isnan(record.over_rs(500, 10, "rs", "full"))
    assert math.isnan(record.least(4000, 10))
    whole = variance("mlp")["decomposition"]
    small = variance("mlp", id="b", decomposition=[{**row, "samples": 10} for row in whole])
    (few,) = load_variance(write_variance(tmp_path / "few", small))
    assert math.isnan(few.least(500, 10))  # the batch is the round: rs has no variance


def test_models_come_in_the_papers_order_and_a_copy_counts_once(tmp_path):
    write_variance(tmp_path / "one", *(variance(name) for name in ("mlp", "squeezenet", "alexnet")))
    write_variance(tmp_path / "two", variance("mlp"))
    assert [each.model for each in load_variance(tmp_path)] == ["alexnet", "squeezenet", "mlp"]


def test_a_picture_is_written(tmp_path):
    data = fig5.load(write_variance(tmp_path, variance("mlp"), variance("alexnet")), None)
    draw_to(fig5, data, tmp_path / "new" / "fig5.png")
    with Image.open(tmp_path / "new" / "fig5.png") as image:
        assert min(image.size) > 1000


def without(content, *path):
    """Return the content as JSON without the entry at `path`."""
    node = content
    for name in path[:-1]:
        node = node[name]
    del node[path[-1]]
    return json.dumps(content)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (json.dumps(variance("mlp"))[:-5], "variance.json: damaged ("),
        (without(variance("mlp"), "errors", 3, "variance"), "(no errors[3].variance)"),
        (without(variance("mlp"), "decomposition"), "(no decomposition)"),
        (without(variance("mlp"), "seed"), "(no seed)"),
        (json.dumps(variance("mlp", errors=3)), "(not the form of a measurement: "),
        (json.dumps(variance("mlp", stability=[{"state": "x"}])), "variance.json: damaged ("),
        (json.dumps(variance("mlp", errors=[])), "no measurements of several batch sizes"),
    ],
    ids=["cut", "row", "table", "fact", "number", "words", "one size"],
)
def test_damage_is_one_line_that_names_the_file(tmp_path, capsys, text, says):
    runs = write_variance(tmp_path / "runs", variance("mlp"))
    (path,) = runs.rglob("variance.json")
    path.write_text(text)
    with pytest.raises(SystemExit) as end:
        main(["figure", "fig5", str(runs), "--figure", str(tmp_path / "fig5.png")])
    out, err = capsys.readouterr()
    assert (end.value.code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"titan-report: {runs}")
    assert says in err
    assert not (tmp_path / "fig5.png").exists()


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()])
def test_nothing_to_draw_is_one_line(tmp_path, capsys, make):
    make(tmp_path / "runs")
    with pytest.raises(SystemExit):
        main(["figure", "fig5", str(tmp_path / "runs")])
    assert capsys.readouterr().err.count("\n") == 1
