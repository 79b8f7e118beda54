import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from simulated_run import provenance, record, simulate

from titan_repro.errors import RunFolderError
from titan_repro.records.collect import collect
from titan_repro.records.folder import RunFolder
from titan_repro.records.results import KEYS
from titan_repro.records.storage import sha256_of, write_json
from titan_repro.records.writer import CHECKED

CONFIG = """\
seed: 3
rounds: 7
learning_rate: 1.0e-05
filter: {budget: 30, score: rep_div, sizes: [1, 2]}
model: {norm: batch, blocks: {}}
paths: {runs: runs}
"""


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    simulate(tmp_path / "digits" / "mlp" / "rs" / "aa")
    simulate(tmp_path / "digits" / "mlp" / "titan" / "bb", stop_at=4)
    diverged = tmp_path / "digits" / "mlp" / "titan" / "cc"
    simulate(diverged)
    (diverged / "config.yaml").write_text(CONFIG)
    tell(diverged, status="diverged", final_accuracy=None, selector="titan", seed=3, run_id="cc")
    tell(tmp_path / "digits" / "mlp" / "titan" / "bb", selector="titan", run_id="bb")
    (tmp_path / "digits" / "mlp" / "titan" / "running").mkdir()
    return tmp_path


def tell(folder: Path, **changes: object) -> None:
    """Change what a summary says."""
    told = {**json.loads((folder / "summary.json").read_text()), **changes}
    if "files" in told:
        told["files"] = {name: sha256_of(folder / name) for name in CHECKED}
    write_json(folder / "summary.json", told)


def test_one_row_a_run_whatever_its_status(runs: Path) -> None:
    found = collect(runs)
    table = found.table()
    assert list(table["where"]) == [
        str(runs / "digits" / "mlp" / "rs" / "aa"),
        str(runs / "digits" / "mlp" / "titan" / "bb"),
        str(runs / "digits" / "mlp" / "titan" / "cc"),
    ]
    assert list(table["status"]) == ["finished", "interrupted", "diverged"]
    assert set(KEYS) <= set(table.columns)
    assert list(table["config.stream.velocity"][:2]) == [100, 100]
    assert found.begun == found.damaged == ()


def test_the_configuration_is_flat_and_typed(runs: Path) -> None:
    row = collect(runs).table().iloc[2]
    assert row["config.filter.budget"] == 30
    assert row["config.learning_rate"] == 1e-5
    assert row["config.filter.sizes"] == (1, 2)
    assert row["config.model.norm"] == "batch"
    assert row["seed"] == row["config.seed"] == 3
    assert not [name for name in row.index if name.startswith("config.paths")]


def test_curves_know_their_run(runs: Path) -> None:
    table = collect(runs).curves()
    assert list(table["round"]) == [2, 4, 6, 2, 4, 2, 4, 6]
    assert list(table["selector"]) == ["rs"] * 3 + ["titan"] * 5
    assert list(table["seed"]) == [0] * 5 + [3] * 3


def test_curves_of_some_runs_are_their_rows_of_all(runs: Path) -> None:
    found = collect(runs)
    table = found.curves()
    for only in ([], ["no such run"], [table["run_id"].iloc[-1]], set(table["run_id"])):
        expected = table[table["run_id"].isin(list(only))].reset_index(drop=True)
        pd.testing.assert_frame_equal(found.curves(only), expected, check_dtype=len(expected) > 0)


def spoil(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\n")


def remove(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("name", CHECKED)
@pytest.mark.parametrize(("damage", "says"), [(spoil, "is not as it was"), (remove, "is missing")])
def test_a_run_of_which_any_file_has_changed_is_left_out_and_named(
    runs: Path, name: str, damage: Callable[[Path], None], says: str
) -> None:
    folder = runs / "digits" / "mlp" / "rs" / "aa"
    damage(folder / name)
    found = collect(runs)
    assert len(found.runs) == 2
    [line] = found.damaged
    assert line.startswith(f"{folder}: damaged ({name} {says}")
    assert "\n" not in line


def test_all_files_that_have_changed_are_named(runs: Path) -> None:
    folder = runs / "digits" / "mlp" / "rs" / "aa"
    remove(folder / "rounds.parquet")
    spoil(folder / "evaluations.csv")
    [line] = collect(runs).damaged
    assert (
        "(evaluations.csv is not as it was when the run ended, rounds.parquet is missing)" in line
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("summary.json", "{"),
        ("summary.json", "{}"),
        ("config.yaml", "a: ["),
        ("config.yaml", "- a"),
        ("config.yaml", None),
        ("evaluations.csv", "round\n1\n"),
        ("evaluations.csv", None),
    ],
)
def test_an_unfinished_run_that_cannot_be_read_is_left_out_and_named(
    runs: Path, name: str, content: str | None
) -> None:
    file = runs / "digits" / "mlp" / "titan" / "bb" / name
    file.unlink() if content is None else file.write_text(content)
    found = collect(runs)
    assert len(found.runs) == 2
    [line] = found.damaged
    assert line.startswith(str(file))


def test_a_run_of_an_older_format_is_called_so(runs: Path) -> None:
    file = runs / "digits" / "mlp" / "rs" / "aa" / "summary.json"
    told = json.loads(file.read_text())
    del told["format"]
    file.write_text(json.dumps(told))
    [line] = collect(runs).damaged
    assert line.startswith(f"{file}: made by an older titan-repro (format 1; allowed: 2)")


def test_a_run_without_a_summary_has_begun(runs: Path) -> None:
    """It may be going on, or the process may have been killed."""
    folder = runs / "digits" / "mlp" / "titan" / "dd"
    with RunFolder(folder).claim() as run:
        run.start("rounds: 9\n", provenance())
        run.append(record(0))
        run.append(record(1))
        run.save_checkpoint({})
        run.append(record(2))
        [begun] = collect(runs).begun
    assert (begun.path, begun.rounds, begun.config) == (folder, 2, {"rounds": 9})
    assert len(collect(runs).runs) == 3


def test_a_folder_in_the_making_and_a_measurement_are_no_runs(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "evaluations.csv").write_text("")
    (tmp_path / "costs").mkdir()
    (tmp_path / "costs" / "provenance.json").write_text("{}")
    (tmp_path / "costs" / "config.yaml").write_text("a: 1\n")
    found = collect(tmp_path)
    assert found.runs == found.begun == found.damaged == ()


def test_of_a_run_that_is_there_twice_the_longer_one_counts(tmp_path: Path) -> None:
    simulate(tmp_path / "a", 9)
    simulate(tmp_path / "b", 7)
    simulate(tmp_path / "c", 9, stop_at=8)
    for order in (("a", "b", "c"), ("c", "b", "a")):
        for name in order:
            (tmp_path / name).rename(tmp_path / f"{order.index(name)}")
        [run] = collect(tmp_path).runs
        assert run.summary["rounds_done"] == 9
        for name in order:
            (tmp_path / f"{order.index(name)}").rename(tmp_path / name)


def test_no_runs_are_an_empty_table_with_its_columns(tmp_path: Path) -> None:
    found = collect(tmp_path)
    assert list(found.table().columns) == ["where", *KEYS]
    assert {"selector", "accuracy"} <= set(found.curves().columns)
    assert len(found.table()) == len(found.curves()) == 0


def test_a_run_without_evaluations_adds_no_rows(runs: Path) -> None:
    file = runs / "digits" / "mlp" / "titan" / "bb" / "evaluations.csv"
    file.write_text(file.read_text().splitlines()[0] + "\n")
    assert list(collect(runs).curves()["accuracy"]) == [1 / 2, 1 / 4, 1 / 6] * 2


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="no such folder"):
        collect(tmp_path / "absent")
