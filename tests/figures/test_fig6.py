"""Figure 6 and its tables, from measurements written down by hand."""

import json
import math

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from PIL import Image

from handmade import costs, write_costs
from titan_repro.analysis.costs import load_costs
from titan_repro.cli.report import main
from titan_repro.errors import RunFolderError
from titan_repro.figures import fig6
from titan_repro.figures.figure import draw_to
from titan_repro.figures.table import render

NOTHING_HIDDEN = {"rounds__measured__hidden_percent": None}


@pytest.fixture
def drawn(monkeypatch):
    """Return a function: figure and text that measurements below a folder give."""
    saved = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure,
        "savefig",
        lambda self, *given, **more: (saved.append(self), save(self, *given, **more)),
    )

    def draw(runs, path):
        data = fig6.load(runs, None)
        draw_to(fig6, data, path)
        return saved[-1], render(fig6.tables(data))

    return draw


def panels(figure):
    """Return the axes of rounds, latency and memory."""
    return dict(zip(("rounds", "latency", "memory"), figure.axes, strict=True))


def bars(axes):
    """Return the heights of each series by its name in the legend."""
    named = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    return {
        name: [bar.get_height() for bar in series]
        for name, series in named.items()
        if hasattr(series, "patches")
    }


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_what_is_drawn_is_what_is_in_the_records(drawn, tmp_path):
    other = costs("alexnet", rounds__measured__rs_ms__median=40.0, **NOTHING_HIDDEN)
    runs = write_costs(tmp_path / "runs", costs("squeezenet"), other)
    figure, _ = drawn(runs, tmp_path / "fig6.png")
    axes = panels(figure)
    assert bars(axes["rounds"]) == {
        "training alone (rs)": [1, 1],
        "Titan in sequence": [50 / 40, 50 / 20],
        "Titan pipelined": [23 / 40, 23 / 20],
    }
    labels = [label.get_text() for label in axes["rounds"].get_xticklabels()]
    assert labels == ["alexnet\n40.0 ms", "squeezenet\n20.0 ms"]
    assert texts(axes["rounds"]) == ["none\nhidden", "90 %\nhidden"]
    sequence, pipelined = papers(axes["rounds"])
    assert sequence == pytest.approx([7.04 / 3.16, 5.4 / 2.86], rel=0.02)
    assert pipelined == pytest.approx([1.26, 1.02], abs=0.01)
    lines = [list(line.get_ydata()) for line in axes["latency"].lines]
    assert lines == [[2, 2], [0.5, 0.5]]
    assert texts(axes["latency"]) == ["the paper's filter,\n4 to 13 ms", "4 x", "4 x"]
    assert bars(axes["memory"]) == {
        "all three processes, measured": [300, 300],
        "tensors alone, counted": [30, 30],
    }
    assert papers(axes["memory"]) == [[105, 25]]


def papers(axes):
    """Return the heights of the black lines, a list for each series that has them."""
    return [
        [float(segment[0][1]) for segment in lines.get_segments() if len(segment)]
        for lines in axes.collections
        if isinstance(lines, LineCollection) and lines.get_linewidth()[0] == 2
    ]


@pytest.mark.parametrize(
    ("percent", "says"), [(None, "none"), (-10.0, "none"), (21.4, "21 %"), (104.0, "all")]
)
def test_the_share_that_is_hidden_is_said_in_a_word(drawn, tmp_path, percent, says):
    record = costs("mobilenet", rounds__measured__hidden_percent=percent)
    figure, _ = drawn(write_costs(tmp_path / "runs", record), tmp_path / "fig6.png")
    assert texts(panels(figure)["rounds"]) == [f"{says}\nhidden"]


def test_a_model_that_the_paper_has_not_gets_no_line_of_it(drawn, tmp_path):
    figure, _ = drawn(write_costs(tmp_path / "runs", costs("mlp")), tmp_path / "fig6.png")
    for name in ("rounds", "memory"):
        assert not any(papers(panels(figure)[name]))


def test_a_picture_is_written(drawn, tmp_path):
    runs = write_costs(tmp_path / "runs", costs("mlp", task="dsads"))
    drawn(runs, tmp_path / "new" / "fig6.png")
    with Image.open(tmp_path / "new" / "fig6.png") as image:
        assert min(image.size) > 600


def cells(text, start):
    """Return the rows of the table below the line that starts so, by their first two cells."""
    lines = text[text.index(start) :].split("\n\n")[1].splitlines()[2:]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    return {tuple(row[:2]): row[2:] for row in rows}


def test_the_tables_hold_the_same_numbers(drawn, tmp_path):
    runs = write_costs(tmp_path / "runs", costs("mobilenet"))
    _, text = drawn(runs, tmp_path / "fig6.png")
    rounds = cells(text, "Time of a round")
    assert rounds["mobilenet", "measured"] == ["20.0", "50.0", "23.0", "1.15", "90"]
    assert rounds["mobilenet", "quiet"] == ["18.0", "43.0", "18.0", "1.00", "100"]
    assert rounds["mobilenet", "jetson_nano"] == ["800", "1600", "1000", "1.25", "75"]
    assert "(paper: 4 to 13 ms)" in text
    memory = cells(text, "Memory of pipelined")
    assert memory["mobilenet", "300"] == ["30.0", "30.0", "37.0", "400", "420", "700"]
    power = cells(text, "Power and energy")
    assert power["mobilenet", "jetson_nano"] == [
        *("4.00", "6.00", "1.50", "1.21"),
        *("3.00", "6.00", "2.00"),
    ]


def test_records_from_before_there_were_quiet_rounds(drawn, tmp_path):
    old = costs("mobilenet")
    del old["rounds"]["quiet"]
    runs = write_costs(tmp_path / "runs", old)
    _, text = drawn(runs, tmp_path / "fig6.png")
    rounds = cells(text, "Time of a round")
    assert set(rounds) == {("mobilenet", "measured"), ("mobilenet", "jetson_nano")}
    assert math.isnan(load_costs(runs)[0].round_ms("quiet", "rs"))


def test_memory_that_was_not_measured_is_left_out(drawn, tmp_path):
    unknown = costs("mobilenet", memory__measured__rs__together_mb="not measured")
    figure, text = drawn(write_costs(tmp_path / "runs", unknown), tmp_path / "fig6.png")
    assert np.isnan(bars(panels(figure)["memory"])["all three processes, measured"]).all()
    assert cells(text, "Memory of pipelined")["mobilenet", "none"][3:] == ["none", "420", "700"]


def test_two_measurements_of_a_model_are_told_apart_and_a_copy_counts_once(tmp_path):
    write_costs(tmp_path / "one", costs("mlp"), costs("mlp", id="abcdef"))
    write_costs(tmp_path / "two", costs("mlp"))
    assert [record.label for record in load_costs(tmp_path)] == ["mlp abcd", "mlp mlp0"]


def test_models_come_in_the_papers_order(tmp_path):
    names = ["mlp", "small_cnn", "resnet50", "alexnet"]
    write_costs(tmp_path, *(costs(name) for name in names))
    assert [record.label for record in load_costs(tmp_path)] == [
        "alexnet",
        "resnet50",
        "mlp",
        "small_cnn",
    ]


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        (("rounds", "measured", "rs_ms", "median"), "rounds.measured.rs_ms.median"),
        (("power",), "power.modelled.rs.watts"),
        (("memory", "modelled", "rs", "copies_mb"), "memory.modelled.rs.copies_mb"),
    ],
)
def test_a_record_without_a_number_is_damaged(tmp_path, path, missing):
    content = costs("mlp")
    node = content
    for name in path[:-1]:
        node = node[name]
    del node[path[-1]]
    write_costs(tmp_path, content)
    with pytest.raises(RunFolderError, match=rf"costs\.json: damaged \(no {missing}\)"):
        load_costs(tmp_path)


def told(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        main(["figure", "fig6", *map(str, arguments)])
    out, err = capsys.readouterr()
    return end.value.code, out, err


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (lambda runs: None, "no such folder"),
        (lambda runs: runs.mkdir(), "found no measurements; titan-run experiment=fig6"),
        (lambda runs: write_costs(runs, costs("mlp")), "costs.json: damaged ("),
    ],
    ids=["missing", "empty", "damaged"],
)
def test_nothing_to_draw_is_one_line(tmp_path, capsys, prepare, says):
    runs = tmp_path / "runs"
    prepare(runs)
    for path in runs.rglob("costs.json"):
        path.write_text(json.dumps(costs("mlp"))[:-5])
    status, out, err = told(capsys, runs, "--figure", tmp_path / "fig6.png")
    assert (status, out) == (2, "")
    assert err.startswith(f"titan-report: {runs}")
    assert says in err
    assert err.count("\n") == 1
    assert not (tmp_path / "fig6.png").exists()


def test_another_kind_of_picture_is_refused_before_anything_is_read(tmp_path, capsys):
    status, _, err = told(capsys, tmp_path / "none", "--figure", "fig6.gif")
    assert (status, err.count("\n")) == (2, 1)
    assert "allowed endings: .png, .pdf, .svg" in err


def test_the_command_prints_the_tables_and_where_the_picture_is(tmp_path, capsys, monkeypatch):
    runs = write_costs(tmp_path / "runs", costs("mlp"))
    monkeypatch.chdir(tmp_path)
    main(["figure", "fig6", str(runs)])
    out = capsys.readouterr().out
    assert out.startswith("Time of a round, ms; measured on a machine that is not named")
    assert out.endswith("\nFigure: results/fig6.png\n")
    assert (tmp_path / "results" / "fig6.png").exists()
