"""Reading run folders for reports: which count, and what they are called."""

import json
import shutil

import pytest

from tasks.speech_files import write_folder
from titan_repro.analysis.load import load_runs
from titan_repro.errors import RunFolderError
from titan_repro.runs.run import run

TINY = ("rounds=4", "evaluate_every=2", "evaluation_samples=20")


@pytest.fixture
def make(configure, tmp_path):
    """Return a function that makes a run and returns its folder."""

    def made(*overrides):
        return run(configure(*TINY, *overrides)).folder

    made.runs = tmp_path / "runs"
    return made


def test_a_selector_is_called_by_its_name_and_by_choices_that_differ(make):
    for overrides in (
        ["selector=rs"],
        ["selector=rs", "seed=1"],
        ["selector=titan", "filter.budget=20"],
        ["selector=titan", "filter.budget=30", "seed=1"],
        ["selector=cis"],
    ):
        make(*overrides)
    runs = load_runs(make.runs)
    assert sorted(runs.summaries["label"]) == [
        "cis",
        "rs",
        "rs",
        "titan filter.budget=20",
        "titan filter.budget=30",
    ]
    assert set(runs.summaries["detail"]) == {""}
    assert runs.summaries["setting"].nunique() == 1
    assert set(runs.curves["label"]) == set(runs.summaries["label"])
    assert len(runs.curves) == 5 * 3


def test_settings_that_differ_are_told_apart(make):
    make("selector=rs")
    make("selector=rs", "batch_size=5")
    make("selector=rs", "model.norm=batch")
    make("selector=rs", "stream=label_noise")
    runs = load_runs(make.runs)
    assert runs.summaries["setting"].nunique() == 4
    clean = runs.summaries[runs.summaries["stream"] == "clean"]
    details = dict(
        zip(
            clean["config.batch_size"].astype(str) + clean["config.model.norm"],
            clean["detail"],
            strict=True,
        )
    )
    assert details == {
        "10none": ", model.norm none, batch_size 10",
        "5none": ", model.norm none, batch_size 5",
        "10batch": ", model.norm batch, batch_size 10",
    }
    assert list(runs.summaries[runs.summaries["stream"] == "label_noise"]["detail"]) == [""]


def test_front_ends_are_told_apart(make, tmp_path):
    write_folder(tmp_path / "data" / "speech_commands_v0.02", ("yes", "no"))
    task = ("task=speech_commands", "task.loader.words=['yes','no']", "task.num_classes=2")
    tiny = ("selector=rs", "stream.velocity=6", "batch_size=2", f"paths.data={tmp_path / 'data'}")
    for front_end in ("mel32", "mel40"):
        make(*task, *tiny, f"task.front_end={front_end}")
    details = load_runs(make.runs).summaries["detail"]
    assert sorted(details) == [", task.front_end mel32", ", task.front_end mel40"]


def test_what_is_not_over_or_cannot_be_read_does_not_count(make, caplog):
    folders = [make("selector=rs", f"seed={seed}") for seed in range(5)]
    summary = folders[1] / "summary.json"
    summary.write_text(json.dumps({**json.loads(summary.read_text()), "status": "interrupted"}))
    (folders[2] / "summary.json").unlink()
    (folders[3] / "summary.json").write_text("{")
    (folders[4] / "evaluations.csv").write_text("round\n")
    runs = load_runs(make.runs)
    assert list(runs.summaries["seed"]) == [0]
    assert set(runs.curves["seed"]) == {0}
    assert str(folders[3]) in caplog.text
    assert str(folders[4]) in caplog.text


def test_a_run_that_is_there_twice_counts_once(make):
    folder = make("selector=rs")
    shutil.copytree(folder, make.runs / "copy" / folder.name)
    runs = load_runs(make.runs)
    assert len(runs.summaries) == 1
    assert list(runs.curves["round"]) == [0, 2, 4]


def test_only_runs_of_so_many_rounds(make):
    make("selector=rs")
    make("selector=rs", "rounds=6", "seed=1")
    assert list(load_runs(make.runs, rounds=4).summaries["seed"]) == [0]
    with pytest.raises(RunFolderError, match="found no finished runs of 5 rounds"):
        load_runs(make.runs, rounds=5)


def test_nothing_to_report_is_said(tmp_path):
    with pytest.raises(RunFolderError, match="found no finished runs; titan-run with paths"):
        load_runs(tmp_path)
    with pytest.raises(RunFolderError, match="nowhere: no such folder"):
        load_runs(tmp_path / "nowhere")
