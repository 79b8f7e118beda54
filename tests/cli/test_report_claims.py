"""titan-report claims: from run folders, from an export, and what is no such place."""

import csv
import io

import pytest
from commands import TINY, call

from titan_repro.claims.verdicts import judge
from titan_repro.cli import report


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with runs of Table 1's rs and Titan on other data, two seeds."""
    folder = tmp_path_factory.mktemp("runs")
    answer = call("-m", "selector=rs,titan", "seed=0,1", *TINY, f"paths.runs={folder}")
    assert answer.status == 0, answer.err
    return folder


def told(capsys, *arguments):
    status = 0
    try:
        report.main(["claims", *map(str, arguments)])
    except SystemExit as end:
        status = end.code
    out, err = capsys.readouterr()
    return status, out, err


def test_claims_of_run_folders(runs, capsys):
    status, out, err = told(capsys, runs)
    assert (status, err) == (0, "")
    first, *lines = out.splitlines()
    assert first.startswith("150 claims: ")
    assert sum(line.startswith("|") for line in lines) == 2 + len(judge(runs))


def test_one_verdict_for_a_program(runs, capsys):
    status, out, _ = told(capsys, runs, "--verdict", "does not hold", "--format", "csv")
    assert status == 0
    lines = [line for line in out.splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(io.StringIO("\n".join(lines))))
    assert {row["verdict"] for row in rows} == {"does not hold"}
    [found] = [row for row in rows if row["id"] == "filter.rep_div"]
    assert found["command"] == "titan-run experiment=theory"


def test_an_export_gives_the_same(runs, tmp_path, capsys):
    report.main(["export", str(runs), str(tmp_path / "data")])
    capsys.readouterr()
    assert told(capsys, tmp_path / "data") == told(capsys, runs)


def test_what_cannot_be_read_is_one_line(runs, tmp_path, capsys):
    status, out, err = told(capsys, tmp_path / "nowhere")
    assert (status, out) == (2, "")
    assert err.startswith(f"titan-report: {tmp_path / 'nowhere'}: no such folder")
    status, out, err = told(capsys, runs, "--verdict", "true")
    assert (status, out) == (2, "")
    assert err == (
        "titan-report: --verdict: found true; allowed: holds, direction only, does not hold, "
        "other direction, undecided, not tested\n"
    )
