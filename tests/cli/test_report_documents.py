"""titan-report page, reproduction and results, from the command line, on two tiny runs."""

from functools import cache
from pathlib import Path

import pytest
from commands import TINY, call

from titan_repro.cli import report
from titan_repro.figures import gallery
from titan_repro.figures.page import evidence


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    assert call("-m", "selector=rs,titan", *TINY, f"paths.runs={folder}").status == 0
    return folder


@pytest.fixture(autouse=True, scope="module")
def quick():
    """Read once, judge no claim and ask no board: tests/claims and tests/boards do."""
    gather = evidence.gather
    unjudged = cache(lambda source, replay_on: gather(source, replay_on, {}, lambda _: []))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "gather", lambda source, replay_on, _: unjudged(source, replay_on))
        patch.setattr(report, "board_numbers", dict)
        yield


def test_both_documents_are_written_where_they_are_wanted(runs, tmp_path, capsys):
    for name, begins in (("page", "<!DOCTYPE html>"), ("reproduction", "# Reproduction of Titan")):
        path = tmp_path / "new" / name
        report.main([name, str(runs), "--output", str(path)])
        text = path.read_text(encoding="utf-8")
        assert text.startswith(begins)
        assert "2 runs" in text
        assert capsys.readouterr().out == f"{path}: {path.stat().st_size / 1000:,.0f} kB\n"


def test_a_check_tells_a_document_that_is_current_from_one_that_is_not(runs, tmp_path, capsys):
    path = tmp_path / "REPRODUCTION.md"
    command = ["reproduction", str(runs), "--output", str(path)]
    for content, said in ((None, "is not there"), (b"old", f"is not what {runs} gives")):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(SystemExit) as end:
            report.main([*command, "--check"])
        assert end.value.code == 1
        assert said in capsys.readouterr().err
        assert (path.read_bytes() if content else None) == content
    report.main(command)
    report.main([*command, "--check"])


def test_all_results_at_once_are_those_of_the_single_commands(runs, tmp_path, monkeypatch, capsys):
    drawn = gallery.Gallery({"fig7.md": b"as drawn"}, ())
    monkeypatch.setattr(gallery, "draw_all", lambda source, replay_on: drawn)
    monkeypatch.chdir(tmp_path)
    report.main(["results", str(runs), "new", "--reproduction", "new/report.md"])
    for name, single in (
        ("fig7.md", ["figures", str(runs), "new"]),
        ("index.html", ["page", str(runs), "--output", "new/index.html"]),
        ("report.md", ["reproduction", str(runs), "--output", "new/report.md"]),
    ):
        report.main([*single, "--check"])
        content = Path("new", name).read_bytes()
        Path("new", name).write_bytes(b"older")
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            report.main(["results", str(runs), "new", "--reproduction", "new/report.md", "--check"])
        assert end.value.code == 1
        assert f"new/{name}" in "".join(capsys.readouterr())
        Path("new", name).write_bytes(content)


def test_a_page_gives_the_command_of_every_run(runs, tmp_path):
    report.main(["page", str(runs), "--output", str(tmp_path / "page.html")])
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    keys = "evaluate_every=5 evaluation_samples=50 rounds=12 seed=0"
    for selector in ("rs", "titan"):
        assert f"titan-run task=digits model=small_cnn selector={selector} {keys}" in text


def test_what_cannot_be_read_or_written_is_one_line(runs, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for arguments, said in (
        (["page", str(tmp_path / "none")], "no such folder"),
        (["page", str(tmp_path)], "found no finished runs"),
        (["page", str(runs), "--output", str(tmp_path / "file" / "a.html")], "--output: "),
    ):
        with pytest.raises(SystemExit) as end:
            report.main(arguments)
        assert end.value.code == 2
        [line] = capsys.readouterr().err.splitlines()
        assert said in line
