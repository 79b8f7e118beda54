import logging
from pathlib import Path

import pytest
from simulated_run import simulate, summary

from titan_repro.errors import RunFolderError
from titan_repro.records.collect import collect, evaluations
from titan_repro.records.run_folder import RunFolder
from titan_repro.records.storage import write_json
from titan_repro.records.summary import KEYS

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
    changes = {"final_accuracy": None, "selector": "titan", "seed": 3, "run_id": "cc"}
    write_json(diverged / "summary.json", summary("diverged", **changes))
    (tmp_path / "digits" / "mlp" / "titan" / "running").mkdir()
    return tmp_path


def test_one_row_a_run_whatever_its_status(runs: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = collect(runs)
    assert list(table["folder"]) == [
        "digits/mlp/rs/aa",
        "digits/mlp/titan/bb",
        "digits/mlp/titan/cc",
    ]
    assert list(table["status"]) == ["finished", "interrupted", "diverged"]
    assert set(KEYS) <= set(table.columns)
    assert list(table["config.stream.velocity"][:2]) == [100, 100]
    assert caplog.text == ""


def test_the_configuration_is_flat_and_typed(runs: Path) -> None:
    row = collect(runs).iloc[2]
    assert row["config.filter.budget"] == 30
    assert row["config.learning_rate"] == 1e-5
    assert row["config.filter.sizes"] == (1, 2)
    assert row["config.model.norm"] == "batch"
    assert row["seed"] == row["config.seed"] == 3
    assert not [name for name in row.index if name.startswith("config.paths")]


def test_curves_know_their_run(runs: Path) -> None:
    table = evaluations(runs)
    assert list(table["round"]) == [2, 4, 6, 2, 4, 2, 4, 6]
    assert list(table["selector"]) == ["rs"] * 5 + ["titan"] * 3
    assert list(table["seed"]) == [0] * 5 + [3] * 3


@pytest.mark.parametrize(
    ("read", "name", "content"),
    [
        (collect, "summary.json", "{"),
        (collect, "summary.json", "{}"),
        (collect, "config.yaml", "a: ["),
        (collect, "config.yaml", "- a"),
        (collect, "config.yaml", None),
        (evaluations, "evaluations.csv", "round\n1\n"),
        (evaluations, "evaluations.csv", None),
    ],
)
def test_what_cannot_be_read_is_left_out_and_named(
    runs: Path, caplog: pytest.LogCaptureFixture, read: object, name: str, content: str | None
) -> None:
    file = runs / "digits" / "mlp" / "rs" / "aa" / name
    file.unlink() if content is None else file.write_text(content)
    with caplog.at_level(logging.WARNING):
        table = read(runs)  # type: ignore[operator]
    assert len(table) == (2 if read is collect else 5)
    [message] = caplog.messages
    assert message.startswith(f"left out 1 run folder(s): {file}")


def test_no_runs_are_an_empty_table_with_its_columns(tmp_path: Path) -> None:
    assert list(collect(tmp_path).columns) == ["folder", *KEYS]
    assert {"selector", "accuracy"} <= set(evaluations(tmp_path).columns)
    assert len(collect(tmp_path)) == len(evaluations(tmp_path)) == 0


def test_a_run_without_evaluations_adds_no_rows(runs: Path) -> None:
    file = runs / "digits" / "mlp" / "rs" / "aa" / "evaluations.csv"
    file.write_text(file.read_text().splitlines()[0] + "\n")
    assert len(RunFolder(file.parent).evaluations()) == 0
    assert list(evaluations(runs)["accuracy"]) == [1 / 2, 1 / 4, 1 / 2, 1 / 4, 1 / 6]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="no folder of runs"):
        collect(tmp_path / "absent")
