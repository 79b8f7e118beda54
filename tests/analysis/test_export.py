"""Exports: the same bytes for the same runs, and the same reports from them."""

import json
import shutil
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from handmade import costs, write_costs
from stopping import StopAfter
from titan_repro.analysis.clocks import choose_clock
from titan_repro.analysis.costs import load_costs
from titan_repro.analysis.export import export_runs
from titan_repro.analysis.load import load_runs
from titan_repro.cli.report import replay_on
from titan_repro.errors import RunFolderError
from titan_repro.figures import table1
from titan_repro.figures.comparison import comparison_tables
from titan_repro.figures.replay import replay_tables
from titan_repro.figures.table import render
from titan_repro.records.collect import collect
from titan_repro.records.export_schema import BLOCKS, COLUMNS, CURVES, PARTS, PICKS, RUNS, SUMMARY
from titan_repro.records.folder import RunFolder
from titan_repro.records.picks import sketch_positions
from titan_repro.records.results import Summary
from titan_repro.records.storage import sha256_of
from titan_repro.runs import state
from titan_repro.runs.run import InterruptedRun, run

FILES = (RUNS, *PARTS, "README.md")


def compared(runs):
    """Return what titan-report compare prints."""
    return render(comparison_tables(runs, choose_clock("measured", Path(), runs, replay_on)))


def table1_of(runs):
    """Return what titan-report table1 prints."""
    return render(
        table1.tables(table1.Data([runs], choose_clock("measured", Path(), runs, replay_on)))
    )


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("export") / "runs"


@pytest.fixture
def runs(configure, kept, monkeypatch):
    """Runs of two selectors and two seeds, one that diverged, one that was stopped."""
    if not kept.exists():
        monkeypatch.setattr(state, "MILESTONES", (8,))
        tiny = ("evaluate_every=4", "evaluation_samples=50", f"paths.runs={kept}")
        for selector in ("rs", "titan"):
            for seed in (0, 1):
                noise = "stream=label_noise"
                run(configure(*tiny, f"selector={selector}", f"seed={seed}", "rounds=12", noise))
        run(configure(*tiny, "selector=titan", "learning_rate=1e6", "rounds=30"))
        with pytest.raises(InterruptedRun):
            run(configure(*tiny, "selector=ce", "rounds=12"), callbacks=[StopAfter(10)])
    return kept


def contents(folder):
    assert {path.name for path in folder.iterdir()} == set(FILES)
    return {name: (folder / name).read_bytes() for name in FILES}


def test_every_report_says_the_same_of_an_export(runs, tmp_path):
    exported = export_runs(runs, tmp_path / "data")
    assert (exported.runs, exported.kept, exported.left_out, exported.damaged) == (6, 0, (), ())
    folders, export = load_runs(runs), load_runs(tmp_path / "data")
    assert compared(export) == compared(folders)
    assert table1_of(export) == table1_of(folders)
    for device in ("device=host", "device=jetson_nano"):
        there, here = (render(replay_tables(each, replay_on(device))) for each in (export, folders))
        assert there == here
    assert compared(load_runs(tmp_path / "data", 8)) == compared(load_runs(runs, 8))


def test_an_export_gives_back_what_it_keeps(runs, tmp_path):
    export_runs(runs, tmp_path / "data")
    for folder, export in zip(collect(runs).runs, collect(tmp_path / "data").runs, strict=True):
        if folder.summary["status"] == "interrupted":
            continue
        assert dict(export.summary) == dict(folder.summary)
        assert export.config == folder.config
        pd.testing.assert_frame_equal(export.curve, folder.curve)
        done = folder.summary["rounds_done"]
        pd.testing.assert_frame_equal(export.sizes(done), folder.sizes(done), check_dtype=False)
        told = {**folder.provenance, "command": None}
        assert {**export.provenance, "command": None} == told
        assert export.sample_milliseconds() == pytest.approx(
            folder.sample_milliseconds(), nan_ok=True
        )


def test_an_unfinished_run_is_kept_until_its_last_milestone(runs, tmp_path):
    export_runs(runs, tmp_path / "data")
    [found] = [run for run in collect(tmp_path / "data").runs if run.summary["selector"] == "ce"]
    [milestone] = found.summary["milestones"]
    assert (found.summary["status"], found.summary["rounds_done"]) == ("interrupted", 8)
    assert found.summary["weights_sha256"] == milestone["weights_sha256"]
    assert found.summary["final_accuracy"] is None
    assert list(found.curve["round"]) == [0, 4, 8]
    assert len(found.sizes(100)) == 8
    assert list(found.kept().blocks["rounds"]) == [8]


def test_the_same_runs_give_the_same_bytes_wherever_they_are(runs, tmp_path):
    export_runs(runs, tmp_path / "first")
    moved = tmp_path / "other" / "place"
    for number, path in enumerate(sorted(runs.rglob("summary.json"), reverse=True)):
        shutil.copytree(path.parent, moved / str(number))
    export_runs(moved, tmp_path / "second")
    assert contents(tmp_path / "first") == contents(tmp_path / "second")
    for name in FILES:
        assert str(tmp_path).encode() not in (tmp_path / "first" / name).read_bytes()
        assert b"/runs" not in (tmp_path / "first" / name).read_bytes()


def test_an_export_of_an_export_and_over_itself_is_the_same(runs, tmp_path):
    export_runs(runs, tmp_path / "first")
    before = contents(tmp_path / "first")
    export_runs(tmp_path / "first", tmp_path / "second")
    assert contents(tmp_path / "second") == before
    assert export_runs(runs, tmp_path / "first").kept == 6
    assert contents(tmp_path / "first") == before


def test_exporting_over_an_export_adds_and_keeps_the_longer_runs(
    runs, tmp_path, configure, monkeypatch
):
    """A campaign that is continued elsewhere: there, some runs are new and some go further."""
    monkeypatch.setattr(state, "MILESTONES", (8,))
    export_runs(runs, tmp_path / "data")
    here = tmp_path / "here"
    tiny = ("evaluate_every=4", "evaluation_samples=50", f"paths.runs={here}", "selector=rs")
    noise = "stream=label_noise"
    run(configure(*tiny, noise, "seed=0", "rounds=16"))  # further than there
    run(configure(*tiny, noise, "seed=1", "rounds=8"))  # less far
    run(configure(*tiny, noise, "seed=2", "rounds=8"))  # new
    exported = export_runs(here, tmp_path / "data")
    assert (exported.runs, exported.kept) == (7, 5)
    found = {
        (one.summary["selector"], one.summary["seed"]): one.summary["rounds_done"]
        for one in collect(tmp_path / "data").runs
        if one.summary["stream"] == "label_noise"
    }
    assert found == {("rs", 0): 16, ("rs", 1): 12, ("rs", 2): 8, ("titan", 0): 12, ("titan", 1): 12}
    together = tmp_path / "together"
    shutil.copytree(runs, together / "a")
    shutil.copytree(here, together / "b")
    export_runs(together, tmp_path / "at_once")
    assert contents(tmp_path / "at_once") == contents(tmp_path / "data")


def test_every_column_is_documented_and_every_key_kept(runs, tmp_path):
    export_runs(runs, tmp_path / "data")
    text = (tmp_path / "data" / "README.md").read_text()
    for name, columns in COLUMNS.items():
        found = pq.read_schema(tmp_path / "data" / name).names
        assert found == [column.name for column in columns]
        assert all(f"| {column.name} |" in text for column in columns)
    summary = RunFolder(next(runs.rglob("summary.json")).parent).summary()
    assert set(summary) <= {column.name for column in COLUMNS[RUNS]}


def test_blocks_add_up_to_what_was_trained(runs, tmp_path):
    export_runs(runs, tmp_path / "data")
    table = pq.read_table(tmp_path / "data" / "blocks.parquet").to_pandas()
    for path in runs.rglob("summary.json"):
        summary = json.loads(path.read_text())
        if summary["status"] == "interrupted":
            continue
        rounds = RunFolder(path.parent).rounds()
        own = table[table["run_id"] == summary["run_id"]]
        assert sum(sum(row) for row in own["chosen"]) == rounds["trained_labels"].map(len).sum()
        assert own["noisy"].sum() == rounds["trained_noisy"].map(sum).sum()


def test_picks_say_how_often_every_sample_was_trained(runs, tmp_path):
    export_runs(runs, tmp_path / "data")
    for run_there in collect(tmp_path / "data").runs:
        picks = run_there.kept().picks
        [path] = runs.rglob(run_there.summary["run_id"])
        rounds = RunFolder(path).rounds()
        ends = {"finished": [8, 12], "interrupted": [8], "diverged": [len(rounds)]}
        assert list(picks["rounds"]) == ends[run_there.summary["status"]]
        for _, row in picks.iterrows():
            trained = np.concatenate(rounds["trained_indices"][: row["rounds"]].to_list())
            counts = np.bincount(trained, minlength=1438)
            assert list(row["times"]) == list(np.bincount(counts))
            assert list(row["sketch"]) == list(counts[sketch_positions(1438)])


def as_it_was(folder):
    """Make an export what this package wrote before it kept which samples were trained."""
    (folder / PICKS).unlink()
    blocks = pq.read_table(folder / BLOCKS).drop_columns(["distinct", "repeats"])
    pq.write_table(blocks, folder / BLOCKS)
    runs = pq.read_table(folder / RUNS)
    told = dict(runs.schema.metadata)
    checksums = json.loads(told[b"titan_repro.files"])
    del checksums[PICKS]
    checksums[BLOCKS] = sha256_of(folder / BLOCKS)
    told[b"titan_repro.files"] = json.dumps(checksums).encode()
    pq.write_table(runs.replace_schema_metadata(told), folder / RUNS)


def test_an_older_export_is_read_and_filled_in_from_the_folders_that_are_left(runs, tmp_path):
    export_runs(runs, tmp_path / "data")
    full = contents(tmp_path / "data")
    as_it_was(tmp_path / "data")
    assert compared(load_runs(tmp_path / "data")) == compared(load_runs(runs))
    assert not any(run.has_picks() for run in collect(tmp_path / "data").runs)
    export_runs(tmp_path / "data", tmp_path / "again")  # nothing to fill it in from
    assert collect(tmp_path / "again").runs[0].kept().blocks["distinct"].isna().all()
    assert compared(load_runs(tmp_path / "again")) == compared(load_runs(runs))
    [rs] = runs.rglob("rs")
    export_runs(rs, tmp_path / "again")
    filled = [run for run in collect(tmp_path / "again").runs if run.has_picks()]
    assert [run.summary["selector"] for run in filled] == ["rs", "rs"]
    assert export_runs(runs, tmp_path / "data").kept == 0
    assert contents(tmp_path / "data") == full


def test_a_run_that_cannot_be_read_any_more_stays_in_the_export(runs, tmp_path):
    export_runs(runs, tmp_path / "data")
    as_it_was(tmp_path / "data")
    shutil.copytree(runs, tmp_path / "runs")
    [stopped] = (tmp_path / "runs").rglob("ce/*")
    for part in (stopped / "rounds").iterdir():
        part.unlink()
    exported = export_runs(tmp_path / "runs", tmp_path / "data")
    assert (exported.runs, exported.kept) == (6, 1)
    [line] = exported.damaged
    assert str(stopped) in line
    [empty] = [run for run in collect(tmp_path / "data").runs if not run.has_picks()]
    assert empty.summary["selector"] == "ce"


@pytest.mark.parametrize("name", [RUNS, *PARTS])
@pytest.mark.parametrize("missing", [True, False], ids=["missing", "damaged"])
def test_a_damaged_export_is_one_line(runs, tmp_path, name, missing):
    export_runs(runs, tmp_path / "data")
    path = tmp_path / "data" / name
    if missing:
        path.unlink()
        says = "found no" if name == RUNS else rf"damaged \({name} is missing"
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0x10
        path.write_bytes(content[:-1])
        says = "damaged" if name == RUNS else rf"damaged \({name} is not as it was written"
    with pytest.raises(RunFolderError, match=says) as error:
        load_runs(tmp_path / "data")
    assert "\n" not in str(error.value)


def _without(table, name, value):
    return table.drop_columns([name])


def _filled(table, name, value):
    place = table.column_names.index(name)
    field = table.schema.field(place)
    return table.set_column(place, field, pa.array([value] * len(table), field.type))


def _words(table, name, value):
    return table.set_column(table.column_names.index(name), name, pa.array([value] * len(table)))


@pytest.mark.parametrize(
    ("file", "column", "change", "value", "says"),
    [
        (RUNS, "selector", _without, None, "no column selector"),
        (CURVES, "round", _without, None, "no column round"),
        (BLOCKS, "chosen", _without, None, "no column chosen"),
        (RUNS, "seed", _filled, None, "column seed has 6 values too few"),
        (RUNS, "seed", _words, "a", "column seed has string for int32"),
        (RUNS, "config", _filled, "{", "config: Expecting property name"),
        (RUNS, "provenance", _filled, "[]", "provenance: a list where an object belongs"),
    ],
)
def test_an_export_of_another_form_is_one_line(runs, tmp_path, file, column, change, value, says):
    """Checksums are right: as a file that another program, or another version, has written."""
    export_runs(runs, tmp_path / "export")
    path, index = tmp_path / "export" / file, tmp_path / "export" / RUNS
    told = pq.read_schema(index).metadata
    changed = change(pq.read_table(path), column, value)
    pq.write_table(changed.replace_schema_metadata(told if file == RUNS else None), path)
    if file != RUNS:
        sums = {**json.loads(told[b"titan_repro.files"]), file: sha256_of(path)}
        told = {**told, b"titan_repro.files": json.dumps(sums).encode()}
        pq.write_table(pq.read_table(index).replace_schema_metadata(told), index)
    with pytest.raises(RunFolderError, match=rf"{file}: damaged \({says}"):
        load_runs(tmp_path / "export")


def test_a_folder_of_something_else_is_not_written_over(runs, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "README.md").write_text("mine")
    with pytest.raises(RunFolderError, match="holds something else; allowed: a new or empty"):
        export_runs(runs, tmp_path / "data")
    assert (tmp_path / "data" / "README.md").read_text() == "mine"
    with pytest.raises(RunFolderError, match="holds something else"):
        export_runs(runs, tmp_path / "data" / "README.md")


def test_nothing_to_export_writes_nothing(tmp_path):
    (tmp_path / "runs").mkdir()
    with pytest.raises(RunFolderError, match="found no runs to export; titan-run with paths"):
        export_runs(tmp_path / "runs", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_the_keys_of_a_summary_are_columns_in_the_same_words():
    assert {column.name for column in SUMMARY} == {field.name for field in fields(Summary)}


def test_measurements_come_along_without_commands(tmp_path):
    made = write_costs(tmp_path / "runs", costs("mlp"), costs("alexnet"))
    (path,) = made.rglob("mlp*/costs.json")
    told = {"machine": {"cpu": "C", "cores": 2}, "command": ["titan-run", "paths.runs=/secret"]}
    path.with_name("provenance.json").write_text(json.dumps(told))
    exported = export_runs(made, tmp_path / "data")  # no run at all is no reason to refuse
    assert (exported.runs, exported.measurements) == (0, 2)
    before, after = load_costs(made), load_costs(tmp_path / "data")
    assert [costs.content for costs in after] == [costs.content for costs in before]
    assert [costs.machine() for costs in after] == [costs.machine() for costs in before]
    assert "C, 2 cores" in [costs.machine() for costs in after]
    texts = [path.read_text() for path in (tmp_path / "data").rglob("*.json")]
    assert not any("secret" in text for text in texts)
    again = export_runs(tmp_path / "data", tmp_path / "data")
    assert again.measurements == 2
