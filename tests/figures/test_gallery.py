"""All figures of an export in one folder: the same bytes twice, gaps named, differences found."""

import shutil
import zlib
from pathlib import Path

import pytest

from titan_repro.cli.report import main, replay_on
from titan_repro.figures import gallery as module
from titan_repro.figures.gallery import (
    Gallery,
    differing,
    draw_all,
    drawn_elsewhere,
    maker,
    write_gallery,
)
from titan_repro.figures.pictures import drawn_by
from titan_repro.records.export import prepare, read_export, write_export

EXPORT = Path(__file__).parents[2] / "results" / "data"


def export_of(folder, *wanted):
    """Write an export of some runs on movement: (selector, seed)."""
    runs = [
        run
        for run in read_export(EXPORT)
        if run.summary["task"] == "dsads"
        and run.summary["rounds_done"] == 20_000
        and (run.summary["selector"], run.summary["seed"]) in wanted
        and run.config["filter"]["quota"] == "per_class_proportional"
    ]
    assert len(runs) == len(wanted)
    write_export([prepare(run) for run in runs], folder)
    return folder


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    """A table, a picture, and one of which there are no runs: all others take long."""
    monkeypatch.setattr(module, "names", lambda: ["table1", "gain", "fig9"])
    monkeypatch.setattr(module, "_without_runs", lambda *given: {"theory.txt": b"all hold\n"})


FOUR = [("rs", 0), ("rs", 1), ("titan", 0), ("titan", 1)]
FILES = {
    *(f"table1.{end}" for end in ("md", "html", "tex", "csv")),
    *(f"gain.{end}" for end in ("md", "png", "pdf")),
    "theory.txt",
}


def told(capsys, *arguments):
    status = 0
    try:
        main(["figures", *map(str, arguments)])
    except SystemExit as end:
        status = end.code
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_twice_the_same_bytes_then_a_run_is_missing(tmp_path, capsys):
    source, results = export_of(tmp_path / "data", *FOUR), tmp_path / "results"
    status, out, err = told(capsys, source, results)
    assert (status, out) == (0, f"{results}: 8 files, 8 of them changed\n")
    assert err.startswith("titan-report: fig9 stays as it is: ")
    assert err.count("\n") == 1
    assert {path.name for path in results.iterdir()} == FILES
    first = {path.name: path.read_bytes() for path in results.iterdir()}
    assert b"titan seeds 2 to 9" in first["gain.md"].replace(b"\n", b" ")

    shutil.rmtree(results)
    assert told(capsys, source, results)[:2] == (0, f"{results}: 8 files, 8 of them changed\n")
    assert {path.name: path.read_bytes() for path in results.iterdir()} == first
    assert maker(first["gain.png"]) == maker(first["gain.pdf"]) == drawn_by()

    (results / "gain.md").write_bytes(first["gain.md"].replace(b"+", b"-", 1))
    status, out, _ = told(capsys, source, results, "--check")
    assert (status, out) == (1, f"{results / 'gain.md'}: differs from what {source} gives\n")
    (results / "gain.md").write_bytes(first["gain.md"])

    fewer = draw_all(export_of(tmp_path / "fewer", *FOUR[:3]), replay_on)
    assert {*differing(fewer, results)} == FILES - {"theory.txt"}
    for name in ("gain.md", "table1.md", "table1.html", "table1.tex", "table1.csv"):
        text = " ".join(fewer.files[name].decode().split()).replace("\\", "")
        assert "rs seeds 2 to 9; " in text
        assert "titan seeds 1 to 9" in text, name
    assert differing(fewer, results) == write_gallery(fewer, results)
    assert differing(fewer, results) == []


def test_a_folder_that_is_none_is_one_line(tmp_path, capsys):
    status, out, err = told(capsys, tmp_path / "none", tmp_path / "results")
    assert (status, out) == (2, "")
    assert err == (
        f"titan-report: {tmp_path / 'none'}: no such folder; allowed: run folders, or an export\n"
    )
    (tmp_path / "empty").mkdir()
    status, out, err = told(capsys, tmp_path / "empty", tmp_path / "results")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "found no runs and no measurements" in err
    assert not (tmp_path / "results").exists()


PNG = b"\x89PNG tEXtSoftware\0" + drawn_by().encode() + b"=c "
PDF = b"%PDF << /Producer (" + drawn_by().encode() + b") >>"
OLDER = PNG.replace(b"Pillow ", b"Pillow 9")


def test_pictures_say_who_drew_them():
    assert maker(PNG) == maker(PDF) == drawn_by()
    assert maker(OLDER) != drawn_by()
    assert maker(b"\x89PNG Software\0Matplotlib version3.9") is None


def test_pictures_of_other_versions_are_not_compared_and_those_without_a_name_differ(tmp_path):
    names = ("same.png", "other.png", "nameless.png", "missing.pdf", "a.md")
    gallery = Gallery(dict.fromkeys(names, PNG), ())
    (tmp_path / "same.png").write_bytes(PNG)
    (tmp_path / "other.png").write_bytes(OLDER)
    (tmp_path / "nameless.png").write_bytes(b"\x89PNG")
    (tmp_path / "a.md").write_bytes(OLDER)  # text is compared, whatever stands in it
    assert drawn_elsewhere(gallery, tmp_path) == ["other.png"]
    assert differing(gallery, tmp_path) == ["nameless.png", "missing.pdf", "a.md"]
    assert "other.png" in differing(gallery, tmp_path, alike=False)


def test_what_follows_from_no_runs_is_drawn_too(monkeypatch, tmp_path):
    monkeypatch.undo()

    def board_figures(board, setups, folder):
        assert {"cpu", "gpu"} <= set(board.processors)
        (folder / "fig6_modelled.png").write_bytes(PNG)
        return [folder / "fig6_modelled.png"]

    monkeypatch.setattr("titan_repro.figures.board.board_figures", board_figures)
    monkeypatch.setattr("titan_repro.figures.theory.theory_words", lambda: "all hold")
    drawn = module._without_runs(replay_on, tmp_path)
    assert drawn == {"fig6_modelled.png": PNG, "theory.txt": b"all hold\n"}


def pdf(text):
    return b"%PDF-1.4\n1 0 obj\nstream\n" + zlib.compress(text) + b"\nendstream\nendobj\n"


@pytest.mark.parametrize(
    ("drawn", "same"),
    [
        (b"1 0 0 1 493.8347929611 5 cm", True),
        (b"1 -0 -0.0000000001 1 493.8347929610 5 cm", True),  # 0 may come out on either side
        (b"1 0 0 1 493.8348929611 5 cm", False),
        (b"1 0 0 1 493.8347929610 6 cm", False),
        (b"1 0 0 1 493.8347929610 -5 cm", False),
    ],
)
def test_pdfs_are_the_same_if_their_drawings_agree_to_six_decimals(tmp_path, drawn, same):
    (tmp_path / "a.pdf").write_bytes(pdf(b"1 0 0 1 493.8347929610 5 cm"))
    found = differing(Gallery({"a.pdf": pdf(drawn)}, ()), tmp_path)
    assert found == ([] if same else ["a.pdf"])
