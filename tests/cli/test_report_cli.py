"""titan-report on small real runs."""

import re
import sys
from pathlib import Path

import pytest
from commands import TINY, call
from PIL import Image

from titan_repro.cli import report
from titan_repro.figures.figure import find, is_picture, names


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs of two selectors and two seeds, and one that diverged."""
    folder = tmp_path_factory.mktemp("runs")
    assert (
        call(
            "-m",
            "selector=rs,titan",
            "seed=0,1",
            "learning_rate=0.1",
            *TINY,
            f"paths.runs={folder}",
        ).status
        == 0
    )
    assert call("selector=ce", "learning_rate=1e6", *TINY, f"paths.runs={folder}").status == 0
    return folder


def told(capsys, *arguments):
    """Return exit status, standard output and standard error of titan-report."""
    status = 0
    try:
        report.main([str(argument) for argument in arguments])
    except SystemExit as end:
        status = end.code
    out, err = capsys.readouterr()
    return status, out, err


def test_compare_prints_a_table_a_setting_and_draws_a_figure(runs, tmp_path, capsys):
    picture = tmp_path / "new" / "comparison.png"
    status, out, err = told(capsys, "compare", runs, "--figure", picture)
    assert (status, err) == (0, "")
    assert out.count("| selector ") == 2  # another learning rate is another setting
    assert "digits, small_cnn, stream clean, 12 rounds, learning_rate 0.1; data: digits" in out
    [ce] = re.findall(r"^\| ce .*$", out, re.MULTILINE)
    assert "1 (1 diverged)" in ce
    [titan] = re.findall(r"^\| titan .*$", out, re.MULTILINE)
    assert re.match(r"\| titan +\| 2 +\| \d+\.\d\d ± \d+\.\d\d +\| ", titan)
    assert out.rstrip().endswith(f"Figure: {picture}")
    with Image.open(picture) as image:
        assert min(image.size) > 500


def test_table1(runs, capsys):
    status, out, err = told(capsys, "table1", runs)
    assert (status, err) == (0, "")
    assert "digits, small_cnn, stream clean, 12 rounds, learning_rate 0.1; data: digits" in out
    assert "| titan " in out
    assert "| ocs " in out
    assert "no run" in out
    assert "; time: measured by each run itself on " in out


@pytest.mark.parametrize("command", ["compare", "table1"])
@pytest.mark.parametrize(
    ("name", "start"),
    [("html", "<table>"), ("latex", "\\begin{table}"), ("csv", "# digits"), ("markdown", "digits")],
)
def test_every_format(runs, capsys, command, name, start):
    status, out, err = told(capsys, command, runs, "--format", name)
    assert (status, err) == (0, "")
    assert out.startswith(start)
    assert "titan" in out


def test_beside_tables_for_programs_the_figure_is_named_on_stderr(runs, tmp_path, capsys):
    picture = tmp_path / "c.png"
    _, out, err = told(capsys, "compare", runs, "--format", "csv", "--figure", picture)
    assert str(picture) not in out
    assert err == f"\nFigure: {picture}\n"


def test_a_modelled_clock_is_named_and_times_every_selector(runs, capsys):
    status, out, err = told(capsys, "compare", runs, "--clock", "jetson_nano")
    assert (status, err) == (0, "")
    assert out.count("time: modelled on jetson_nano") == 2
    assert "no time" not in out


def test_another_clock_is_one_line(runs, capsys):
    status, out, err = told(capsys, "table1", runs, "--clock", "watch")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("titan-report: --clock: found watch; allowed: measured, a costs.json")


def test_a_figure_by_name(runs, tmp_path, capsys):
    status, out, _ = told(capsys, "figure", "fig7", runs, "--figure", tmp_path / "fig7.png")
    assert status == 0
    assert "| titan " in out
    assert out.endswith(f"\n\nFigure: {tmp_path / 'fig7.png'}\n")
    status, out, _ = told(capsys, "figure", "table1", runs)
    assert (status, "Figure:" in out) == (0, False)


@pytest.mark.parametrize("name", ["fig99", "figure", "table", "os", "titan_repro"])
def test_another_figure_is_one_line(runs, capsys, name):
    status, out, err = told(capsys, "figure", name, runs)
    assert (status, out) == (2, "")
    allowed = ", ".join(names())
    assert err == f"titan-report: NAME: found {name}; allowed: {allowed}\n"


def test_every_figure_is_whole(capsys):
    for name in names():
        figure = find(name)
        assert all(Path("conf", "experiment", f"{e}.yaml").is_file() for e in figure.EXPERIMENTS)
        assert figure.EXPERIMENTS
        assert callable(figure.load)
        assert callable(figure.tables)
        assert is_picture(figure) == hasattr(figure, "panels")
        assert Path("scripts", f"{name}.py").is_file()


@pytest.mark.parametrize("command", ["compare", "table1"])
@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (lambda path: None, "no such folder"),
        (lambda path: path.mkdir(), "found no finished runs"),
        (lambda path: path.write_text("a file"), "no such folder"),
    ],
    ids=["missing", "empty", "a file"],
)
def test_nothing_to_report_is_one_line(tmp_path, capsys, command, prepare, says):
    prepare(tmp_path / "runs")
    status, out, err = told(capsys, command, tmp_path / "runs")
    assert (status, out) == (2, "")
    assert err.startswith(f"titan-report: {tmp_path / 'runs'}: {says}")
    assert err.count("\n") == 1


def test_a_number_of_rounds_without_runs_is_one_line(runs, capsys):
    status, out, err = told(capsys, "table1", runs, "--rounds", "11")
    assert (status, out) == (2, "")
    assert err == f"titan-report: {runs}: found no run measured at --rounds 11; allowed: 12\n"


def test_a_figure_of_another_kind_is_refused_before_anything_is_read(tmp_path, capsys):
    status, out, err = told(capsys, "compare", tmp_path / "none", "--figure", "picture.gif")
    assert (status, out) == (2, "")
    assert err == ("titan-report: --figure: found picture.gif; allowed endings: .png, .pdf, .svg\n")


def test_a_figure_that_cannot_be_written_is_one_line(runs, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    status, _, err = told(capsys, "compare", runs, "--figure", tmp_path / "file" / "picture.png")
    assert status == 2
    assert "cannot be written" in err
    assert err.count("\n") == 1


def test_help_names_the_commands(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["titan-report", "--help"])
    status, out, _ = told(capsys, "--help")
    assert status == 0
    assert "compare" in out
    assert "table1" in out


def interrupted(_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("call", "status", "said"),
    [
        (int, 1, "titan-report: TypeError: int() argument "),
        (interrupted, 130, "titan-report: interrupted\n"),
    ],
)
def test_what_nobody_expected_is_one_line(monkeypatch, capsys, tmp_path, call, status, said):
    monkeypatch.setattr(report, "_compare", call)
    found, out, err = told(capsys, "compare", tmp_path)
    assert (found, out, err.count("\n")) == (status, "", 1)
    assert err.startswith(said)
