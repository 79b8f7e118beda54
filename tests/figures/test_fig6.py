"""Figure 6 and its tables, from measurements written down by hand."""

import json
import math

import numpy as np
import pytest
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
    """Return axes by panel: a, b, c on the left and right, d on the left and right."""
    rounds, latency, parts, extra, power, energy = figure.axes
    return {
        "rounds": rounds,
        "latency": latency,
        "parts": parts,
        "extra": extra,
        "power": power,
        "energy": energy,
    }


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
        "rs": [1, 1],
        "titan in sequence": [50 / 40, 50 / 20],
        "titan pipelined": [23 / 40, 23 / 20],
    }
    labels = [label.get_text() for label in axes["rounds"].get_xticklabels()]
    assert labels == ["alexnet\n40.0 ms", "squeezenet\n20.0 ms"]
    assert texts(axes["rounds"]) == [
        "hidden: none\nmodelled: 75 %",
        "hidden: 90 %\nmodelled: 75 %",
    ]
    lines = [line.get_ydata() for line in axes["latency"].lines]
    assert [list(line) for line in lines] == [
        [0.5, 0.5],
        [0.25, 0.25],
        [5, 5],
        [2, 2],
        [1, 1],
        [20, 20],
    ]
    assert bars(axes["extra"]) == {
        "measured": [300, 300],
        "counted": [30, 30],
        "modelled": [30, 30],
        "paper": [105, 25],
    }
    assert set(np.ravel(list(bars(axes["parts"]).values()))) == {0, 10}
    assert bars(axes["power"]) == {"rs": [4, 4], "titan pipelined": [6, 6]}
    assert texts(axes["power"]) == ["1.50 x", "1.50 x"]
    paper = next(line for line in axes["power"].lines if "paper" in line.get_label())
    assert list(paper.get_ydata()) == pytest.approx([4 * 1.68, 4 * 1.39])
    assert [bar.get_height() for bar in axes["energy"].patches] == [2, 2]


def test_a_picture_is_written(drawn, tmp_path):
    runs = write_costs(tmp_path / "runs", costs("mlp", task="dsads"))
    drawn(runs, tmp_path / "new" / "fig6.png")
    with Image.open(tmp_path / "new" / "fig6.png") as image:
        assert min(image.size) > 1000


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
    assert np.isnan(bars(panels(figure)["extra"])["measured"]).all()
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
