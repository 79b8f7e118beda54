"""Reading run folders for reports: which count, and what they are called."""

import json
import shutil

import pandas as pd
import pytest

from stopping import StopAfter
from tasks.speech_files import write_folder
from titan_repro.analysis import load
from titan_repro.analysis.load import LeftOut, Runs, at_rounds, load_runs
from titan_repro.errors import RunFolderError
from titan_repro.figures.titles import setting_title
from titan_repro.runs import state
from titan_repro.runs.run import InterruptedRun, run

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


def test_a_whole_number_is_the_same_choice_as_int_and_as_float():
    own = {"policy": {"share": 1.0, "rate": 0.5, "flag": True}, "delay": 1}
    expected = {"policy.share": "1", "policy.rate": "0.5", "policy.flag": "True", "delay": "1"}
    assert load._flatten(own) == expected


def test_what_most_runs_of_a_selector_have_is_not_in_their_names(make):
    make("selector=titan")
    make("selector=titan", "seed=1")
    make("selector=titan", "filter.budget=20")
    make("selector=titan", "filter.budget=20", "filter.score=div")
    runs = load_runs(make.runs)
    assert sorted(runs.summaries["label"]) == [
        "titan filter.budget=20",  # two have 20 and two 30, so both are named
        "titan filter.budget=20 filter.score=div",
        "titan filter.budget=30",
        "titan filter.budget=30",
    ]
    make("selector=titan", "seed=2")
    runs = load_runs(make.runs)
    assert sorted(runs.summaries["label"]) == [
        *["titan"] * 3,
        "titan filter.budget=20",
        "titan filter.budget=20 filter.score=div",
    ]
    assert runs.remarks() == [
        "choices where a name gives no others: titan (filter.budget=30, filter.score=rep_plus_div)"
    ]


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


def test_many_runs_that_are_left_out_are_counted():
    one = LeftOut("here", 1000, "finished")
    left_out = (*[one] * 6, LeftOut("there", 20, "not over"))
    nothing = pd.DataFrame()
    [line] = Runs(nothing, nothing, {}, left_out=left_out).remarks()
    assert line == (
        "left out, not measured there: 6 finished at 1,000 rounds, 1 not over at 20 rounds; "
        "titan-report runs names them"
    )


def test_what_is_not_over_or_cannot_be_read_is_left_out_and_named(make):
    folders = [make("selector=rs", f"seed={seed}") for seed in range(5)]
    summary = folders[1] / "summary.json"
    told = {**json.loads(summary.read_text()), "status": "interrupted", "milestones": []}
    summary.write_text(json.dumps(told))
    (folders[2] / "summary.json").unlink()
    (folders[3] / "summary.json").write_text("{")
    (folders[4] / "evaluations.csv").write_text("round\n")
    runs = load_runs(make.runs)
    assert list(runs.summaries["seed"]) == [0]
    assert set(runs.curves["seed"]) == {0}
    assert {(one.where, one.rounds, one.status) for one in runs.left_out} == {
        (str(folders[1]), 4, "interrupted"),
        (str(folders[2]), 4, "not over"),
    }
    assert any(str(folders[3]) in line for line in runs.damaged)
    assert any(str(folders[4]) in line for line in runs.damaged)
    left_out, damaged = runs.remarks()
    assert f"{folders[1]} (interrupted, 4 rounds)" in left_out
    assert damaged.startswith("left out 2 damaged: ")


def test_a_run_that_is_there_twice_counts_once(make):
    folder = make("selector=rs")
    shutil.copytree(folder, make.runs / "copy" / folder.name)
    runs = load_runs(make.runs)
    assert len(runs.summaries) == 1
    assert list(runs.curves["round"]) == [0, 2, 4]


# --- at which number of rounds runs are compared


@pytest.fixture
def lengths(configure, monkeypatch, tmp_path):
    """Return a function that makes runs of random selection of some lengths, by seed."""
    monkeypatch.setattr(state, "MILESTONES", (4, 8))

    def made(*rounds):
        for seed, length in enumerate(rounds):
            tiny = ("evaluate_every=2", "evaluation_samples=20", "selector=rs")
            run(configure(*tiny, f"seed={seed}", f"rounds={length}"))
        return tmp_path / "runs"

    return made


def test_runs_count_after_the_rounds_that_most_have(lengths):
    runs = load_runs(lengths(8, 10, 8, 4))
    assert list(runs.summaries.sort_values("seed")["seed"]) == [0, 1, 2]
    assert set(runs.summaries["rounds"]) == set(runs.summaries["rounds_done"]) == {8}
    assert set(runs.summaries["status"]) == {"finished"}
    assert runs.curves["round"].max() == 8
    assert runs.longer == 1
    [short] = runs.left_out
    assert (short.rounds, short.status) == (4, "finished")
    assert "8 rounds" in setting_title(runs.summaries)
    further, left_out = runs.remarks()
    assert further.startswith("1 of the runs go on further")
    assert "(finished, 4 rounds)" in left_out


def test_of_as_many_the_larger_number_of_rounds_is_taken(lengths):
    assert set(load_runs(lengths(4, 8)).summaries["rounds"]) == {8}


def test_any_number_of_rounds_that_was_measured_can_be_asked_for(lengths):
    folder = lengths(8, 10, 4)
    runs = load_runs(folder, 4)
    assert len(runs.summaries) == 3
    assert runs.longer == 2
    for _, row in runs.summaries.iterrows():
        [there] = [m for m in row["milestones"] if m["rounds"] == 4]
        assert row["final_accuracy"] == there["accuracy"]
        assert row["final_loss"] == there["loss"]
        assert row["weights_sha256"] == there["weights_sha256"]
        assert row["seconds_per_round"] == there["train_seconds"] / 4
    with pytest.raises(
        RunFolderError, match="found no run measured at --rounds 5; allowed: 4, 8, 10"
    ):
        load_runs(folder, 5)


def test_cut_short_a_run_is_what_it_was_when_it_ended_there(lengths, configure, tmp_path):
    folder = lengths(4)
    [short] = load_runs(folder).summaries.to_dict("records")
    lengths(10)
    [cut] = load_runs(folder, 4).summaries.to_dict("records")
    for key in ("final_accuracy", "final_loss", "weights_sha256", "seconds_per_round", "rounds"):
        assert cut[key] == short[key]
    assert cut["measured_processor_seconds"] is None  # only the whole run's is known


def test_an_interrupted_run_counts_where_it_was_measured(lengths, configure):
    folder = lengths(4)
    longer = configure("evaluate_every=2", "evaluation_samples=20", "selector=rs", "rounds=30")
    with pytest.raises(InterruptedRun):
        run(longer, callbacks=[StopAfter(6)])
    runs = load_runs(folder)
    [row] = runs.summaries.to_dict("records")
    assert (row["status"], row["rounds"]) == ("finished", 4)
    assert list(runs.curves["round"]) == [0, 2, 4]
    assert runs.longer == 1


MILESTONE = {
    "rounds": 100,
    "accuracy": 0.5,
    "loss": 1.0,
    "samples": 9,
    "train_seconds": 2.0,
    "weights_sha256": "aa",
}


@pytest.mark.parametrize(
    ("rounds", "status"), [(100, "finished"), (200, None), (300, "diverged"), (400, "diverged")]
)
def test_a_run_has_diverged_only_from_where_it_did(rounds, status):
    row = {"status": "diverged", "rounds": 400, "rounds_done": 300, "milestones": [MILESTONE]}
    at = at_rounds(row, rounds)
    assert (None if at is None else at["status"]) == status
    if status == "diverged":
        assert (at["rounds"], at["rounds_done"]) == (rounds, 300)


def test_runs_that_have_all_diverged_are_still_a_table(make):
    make("selector=titan", "learning_rate=1e6", "rounds=30")
    runs = load_runs(make.runs)
    assert list(runs.summaries["status"]) == ["diverged"]
    assert list(runs.summaries["rounds"]) == [30]


def test_nothing_to_report_is_said(tmp_path):
    with pytest.raises(RunFolderError, match="found no finished runs; titan-run with paths"):
        load_runs(tmp_path)
    with pytest.raises(RunFolderError, match="nowhere: no such folder"):
        load_runs(tmp_path / "nowhere")


def test_runs_that_are_not_over_are_named_with_their_rounds(make):
    folder = make("selector=rs")
    (folder / "summary.json").unlink()
    with pytest.raises(RunFolderError, match=r"found no finished runs; not measured yet") as error:
        load_runs(make.runs)
    assert f"{folder} (not over, 4 rounds)" in str(error.value)
