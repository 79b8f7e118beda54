"""What there is to win and what it is worth, from measurements and runs written down by hand."""

import pandas as pd
import pytest

from handmade import FACTORS, run, runs_of, variance, write_variance
from titan_repro.analysis.variance import load_variance
from titan_repro.analysis.worth import MeasuredSetting, runs_beside
from titan_repro.cli.report import main
from titan_repro.figures import why
from titan_repro.figures.pictures import pyplot
from titan_repro.figures.table import render

SETTING = {"task": "cifar10", "model": "alexnet"}


def runs(**more):
    """Return runs of rs, titan and is with two seeds; titan gains 2 and 4 points, is none."""
    final = {"rs": (0.5, 0.6), "titan": (0.52, 0.64), "is": (0.5, 0.6), "ll": (0.1, 0.1)}
    return runs_of(
        *(
            run(name, seed, (100, accuracy, 1.0), **SETTING, **more)
            for name, values in final.items()
            for seed, accuracy in enumerate(values)
        )
    ).summaries


@pytest.fixture
def record(tmp_path):
    (found,) = load_variance(write_variance(tmp_path, variance("alexnet")))
    return found


def drawn(data):
    figure, axes = why.panels(data)
    why.draw(data, axes)
    pyplot().close(figure)
    return axes


def test_what_is_drawn(record):
    to_win, won, worth = drawn(why.Data([MeasuredSetting(record, runs())], ""))
    edges = [area.get_paths()[0].get_extents() for area in to_win.collections]
    assert [(edge.y0, edge.y1) for edge in edges] == [(0.5, 1.0), (0.25, 0.5), (0.0, 0.25)]
    (after_is,) = to_win.lines
    assert list(after_is.get_ydata()) == [0.75, 0.75]
    errors = {line.get_label(): list(line.get_ydata()) for line in won.lines}
    assert errors["titan"] == pytest.approx([3, 3])
    assert errors["stratified"] == pytest.approx([0.5, 0.5])
    points = {text.get_text(): text.xy for text in worth.texts}
    assert points["rs"] == (1, 0)
    assert points["titan (2)"] == pytest.approx((3.0, 3.0))
    assert points["is (2)"] == pytest.approx((0.75, 0.0))
    assert len(points) == 3  # ll was not measured, stratified was not run
    assert "100 rounds" in worth.get_title()


def test_the_tables(record):
    text = render(why.tables(why.Data([MeasuredSetting(record, runs())], "")))
    cells = [[c.strip() for c in line.split("|")[1:-1]] for line in text.splitlines()]
    rows = {row[0]: row[1:] for row in cells if row}
    shares, errors = ["50.0", "25.0", "25.0", "75.0"], ["0.50", "0.75", "2.00", "3.00"]
    assert rows["500"] == [*shares, *errors, "1.6", "3.0"]
    assert rows["titan"][0] == "2"
    assert rows["titan"][1].startswith("+3.00 [")


def test_the_error_along_a_training_leaves_out_the_untrained_network(tmp_path):
    content = variance("alexnet")
    for row in content["errors"]:
        if row["state"] == 0:
            row["mean_squared"] = 1e6
    (record,) = load_variance(write_variance(tmp_path, content))
    row = MeasuredSetting(record, None)
    assert row.error("titan") == pytest.approx(FACTORS["titan"])
    assert row.error("ocs") != row.error("ocs")  # NaN


def test_the_setting_with_most_seeds_of_the_clean_stream_counts(record):
    several = pd.concat(
        [
            runs(setting="few").query("seed == 0"),
            runs(setting="many", rounds=70),
            runs(setting="noisy", stream="label_noise", rounds=900),
            runs(setting="other", rounds=900).assign(model="mlp"),
            runs(setting="no rs", rounds=900).query("selector != 'rs'"),
        ]
    )
    assert set(runs_beside(several, record)["setting"]) == {"many"}
    assert runs_beside(several[several["setting"] == "other"], record) is None
    assert runs_beside(pd.DataFrame(), record) is None


def test_measurements_alone_are_drawn_and_say_that_there_are_no_runs(tmp_path, capsys):
    source = write_variance(tmp_path / "runs", variance("alexnet"))
    main(["figure", "why", str(source), "--figure", str(tmp_path / "why.png")])
    out = " ".join(capsys.readouterr().out.split())
    assert f"No gains: {source}: found no finished runs" in out
    data = why.load(source, None)
    *_, worth = drawn(data)
    assert [text.get_text() for text in worth.texts] == ["no runs of this task and model"]


def test_of_two_measurements_along_a_training_the_one_of_more_states_counts(tmp_path):
    short = variance("alexnet", id="short")
    short["decomposition"] = short["decomposition"][1:]
    other = variance("alexnet", id="other", trained_by="cis")
    source = write_variance(tmp_path, short, variance("alexnet"), other)
    found = [row.record.facts["id"] for row in why.load(source, None).rows]
    assert sorted(found) == ["alexnet4567", "other"]
