"""titan-report runs, prune and export; and damage, which all commands judge alike."""

import shutil
import sys

import pytest
from commands import TINY, call

from titan_repro.cli import report
from titan_repro.records.writer import CHECKED


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A folder with a run of rs and one of ce."""
    folder = tmp_path_factory.mktemp("runs")
    assert call("-m", "selector=rs,ce", *TINY, f"paths.runs={folder}").status == 0
    return folder


@pytest.fixture
def runs(two, tmp_path):
    """The same runs, to be changed."""
    copied = tmp_path / "runs"
    shutil.copytree(two, copied)
    return copied


def told(capsys, *arguments):
    """Return exit status, standard output and standard error of titan-report."""
    status = 0
    try:
        report.main([str(argument) for argument in arguments])
    except SystemExit as end:
        status = end.code
    out, err = capsys.readouterr()
    return status, out, err


def folder_of(runs, selector):
    [path] = runs.rglob(f"{selector}/*/evaluations.csv")
    return path.parent


def rows(out):
    """Return the cells of a printed table, by its header; the table's title stands above it."""
    header, _, *lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in out.splitlines()
        if line.startswith("|")
    ]
    return [dict(zip(header, line, strict=True)) for line in lines]


# --- damage


def spoil(file):
    content = bytearray(file.read_bytes())
    if file.suffix == ".json":
        del content[-20:]
    else:
        content[len(content) // 2] ^= 0x10
    file.write_bytes(content)


def remove(file):
    file.unlink()


@pytest.mark.parametrize("name", [*CHECKED, "summary.json"])
@pytest.mark.parametrize("damage", [spoil, remove])
def test_damage_is_named_by_every_command_that_meets_it(runs, tmp_path, capsys, name, damage):
    folder = folder_of(runs, "ce")
    damage(folder / name)
    gone = name == "summary.json" and damage is remove  # then the run has not ended, that is all
    if name == "summary.json":
        says = str(folder) if gone else f"{folder / name}: damaged ("
    else:
        state = "is missing" if damage is remove else "is not as it was when the run ended"
        says = f"{folder}: damaged ({name} {state})"
    for command in (
        ("compare", runs),
        ("table1", runs),
        ("runs", runs),
        ("export", runs, tmp_path / "data"),
    ):
        status, out, err = told(capsys, *command)
        assert status == 0
        assert says in (out if gone and command[0] == "runs" else err), command
        assert len(err.splitlines()) <= 1
        if command[0] == "compare":
            assert "ce" not in out.split()
    answer = call("selector=ce", *TINY, f"paths.runs={runs}")
    if gone:
        assert answer.status == 0
    else:
        assert (answer.status, answer.out) == (2, "")
        assert says in answer.err
        assert answer.err.count("\n") == 1

    shutil.rmtree(folder_of(runs, "rs"))  # nothing is left to show
    for command in ("compare", "table1", "runs"):
        if not gone:
            status, out, err = told(capsys, command, runs)
            assert (status, out) == (2, "")
            assert says in err
            assert err.count("\n") == 1
    if not gone:
        status, out, err = told(capsys, "export", runs, tmp_path / "other")
        assert (status, out) == (2, "")
        assert says in err
        assert not (tmp_path / "other").exists()


def test_a_damaged_checkpoint_spoils_no_result(runs, capsys):
    folder = folder_of(runs, "ce")
    spoil(folder / "checkpoint.pt")
    assert told(capsys, "runs", runs)[2] == ""
    assert call("selector=ce", *TINY, f"paths.runs={runs}").status == 0
    longer = call("selector=ce", *TINY, "rounds=20", f"paths.runs={runs}")
    assert longer.status == 2
    assert f"{folder / 'checkpoint.pt'}: damaged" in longer.err
    assert longer.err.count("\n") == 1


def test_a_run_of_an_older_format_is_called_so(runs, capsys):
    for path in runs.rglob("summary.json"):
        path.write_text(path.read_text().replace('"format": 2,', ""))
    for command in ("compare", "table1", "runs"):
        status, out, err = told(capsys, command, runs)
        assert (status, out) == (2, "")
        assert err.count("made by an older titan-repro (format 1; allowed: 2)") == 2
        assert err.count("\n") == 1


# --- runs


def test_runs_are_listed(runs, capsys):
    status, out, err = told(capsys, "runs", runs)
    assert (status, err) == (0, "")
    ce, rs = rows(out)
    assert (ce["selector"], rs["selector"]) == ("ce", "rs")
    assert (rs["task"], rs["model"], rs["seed"]) == ("digits", "small_cnn", "0")
    assert (rs["rounds"], rs["status"]) == ("12", "finished")
    assert 0 < float(rs["accuracy"]) < 100
    assert rs["folder"] == str(folder_of(runs, "rs"))
    assert rs["run"] == folder_of(runs, "rs").name
    assert rs["processor"] != "-"


def test_an_unfinished_run_is_listed_with_its_rounds(runs, capsys):
    (folder_of(runs, "rs") / "summary.json").unlink()
    _, out, _ = told(capsys, "runs", runs)
    [rs] = [row for row in rows(out) if row["selector"] == "rs"]
    assert (rs["rounds"], rs["status"], rs["accuracy"]) == ("12", "not over", "-")


def test_runs_can_be_chosen_and_sorted(runs, capsys):
    _, out, _ = told(capsys, "runs", runs, "--selector", "rs", "--task", "digits")
    assert [row["selector"] for row in rows(out)] == ["rs"]
    _, out, _ = told(capsys, "runs", runs, "--sort", "accuracy")
    accuracies = [float(row["accuracy"]) for row in rows(out)]
    assert accuracies == sorted(accuracies)
    status, out, err = told(capsys, "runs", runs, "--model", "mlp")
    assert (status, out) == (2, "")
    assert err == f"titan-report: {runs}: found no runs with --model mlp; allowed: small_cnn\n"


def test_an_export_is_listed_as_its_runs_are(runs, tmp_path, capsys):
    told(capsys, "export", runs, tmp_path / "data")
    there = rows(told(capsys, "runs", tmp_path / "data")[1])
    here = rows(told(capsys, "runs", runs)[1])
    assert [{**row, "folder": None} for row in there] == [{**row, "folder": None} for row in here]


# --- prune


def test_pruned_runs_stay_but_cannot_be_extended(runs, capsys):
    sizes = [path.stat().st_size for path in runs.rglob("checkpoint.pt")]
    before = told(capsys, "compare", runs)
    said = f"2 checkpoints, {sum(sizes) / 1e6:.1f} MB; the runs stay readable, but cannot be "
    assert said in told(capsys, "prune", runs, "--dry-run")[1]
    assert len(list(runs.rglob("checkpoint.pt"))) == 2
    status, out, err = told(capsys, "prune", runs)
    assert (status, err) == (0, "")
    assert out.startswith(f"removed {said}")
    assert not list(runs.rglob("checkpoint.pt"))
    assert told(capsys, "compare", runs) == before
    assert "removed 0 checkpoints" in told(capsys, "prune", runs)[1]
    assert call("selector=rs", *TINY, f"paths.runs={runs}").status == 0
    longer = call("selector=rs", *TINY, "rounds=20", f"paths.runs={runs}")
    assert longer.status == 2
    assert "its last checkpoint was pruned, so it cannot be extended" in longer.err
    assert longer.err.count("\n") == 1


def test_what_is_unfinished_or_damaged_is_not_pruned(runs, capsys):
    (folder_of(runs, "rs") / "summary.json").unlink()
    spoil(folder_of(runs, "ce") / "evaluations.csv")
    status, out, err = told(capsys, "prune", runs)
    assert status == 0
    assert "removed 0 checkpoints" in out
    assert err.startswith(f"titan-report: left alone: {folder_of(runs, 'ce')}: damaged (evaluat")
    assert len(list(runs.rglob("checkpoint.pt"))) == 2


# --- export


def test_an_export_says_what_it_holds(runs, tmp_path, capsys):
    status, out, err = told(capsys, "export", runs, tmp_path / "data")
    assert (status, err) == (0, "")
    assert out.startswith(f"{tmp_path / 'data'}: 2 runs, 0.0")
    assert told(capsys, "compare", tmp_path / "data") == told(capsys, "compare", runs)


@pytest.mark.parametrize("command", ["runs", "prune", "export"])
def test_a_folder_that_is_not_there_is_one_line(tmp_path, capsys, command):
    more = [tmp_path / "data"] if command == "export" else []
    status, out, err = told(capsys, command, tmp_path / "none", *more)
    assert (status, out) == (2, "")
    assert err.startswith(f"titan-report: {tmp_path / 'none'}: no such folder")
    assert err.count("\n") == 1


def test_help_names_the_commands(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["titan-report", "--help"])
    _, out, _ = told(capsys, "--help")
    assert all(name in out for name in ("runs", "prune", "export"))


# --- selection


def test_selection_says_what_was_chosen_and_draws_it(runs, tmp_path, capsys):
    picture = tmp_path / "selection.png"
    status, out, err = told(capsys, "selection", runs, "--figure", picture)
    assert (status, err) == (0, "")
    assert picture.stat().st_size > 10_000
    assert f"Figure: {picture}" in out
    assert "What was chosen: digits" in out
    assert "Overlap of choices: digits" in out
    assert told(capsys, "export", runs, tmp_path / "data")[0] == 0
    _, exported, _ = told(capsys, "selection", tmp_path / "data")
    assert exported.strip() == out.partition("\n\nFigure:")[0]


def test_selection_refuses_what_cannot_be_drawn_before_it_reads(runs, tmp_path, capsys):
    status, out, err = told(capsys, "selection", runs, "--figure", tmp_path / "selection.txt")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "allowed endings: .png, .pdf, .svg" in err
