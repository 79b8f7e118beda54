"""Extending a run: 200, then 400, then 800 rounds give what 800 rounds at once give."""

import json
import os
import signal
from pathlib import Path

import pytest

from forking import end_of_fork
from stopping import After, crash
from titan_repro.cli.run_summary import run_summary
from titan_repro.errors import RunFolderError
from titan_repro.records.folder import RunFolder
from titan_repro.runs import state
from titan_repro.runs.run import InterruptedRun, run

SHORT = ("evaluate_every=7", "evaluation_samples=50", "checkpoint_seconds=0")
LONG = ("evaluate_every=50", "evaluation_samples=50")
REMEMBERING = ("selector=titan", "model.norm=batch", "class_importance=ema")
"""Everything that a run can carry from round to round: statistics, memory, a batch in flight."""

INLINE, PROCESSES = "executor=inline", "executor=processes"


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def run_and_die(config, rounds):
    """What a child process does."""
    run(config, ["titan-run"], [After(rounds, kill)])


def content(outcome):
    """Return all of a run's results but measured times, provenance and where it lies."""
    folder = RunFolder(outcome.folder)
    folder.verify()
    rounds, curve = folder.rounds(), folder.evaluations()
    seconds = [name for name in rounds.columns if name.startswith("seconds_")]
    keys = ("weights_sha256", "final_accuracy", "final_loss", "rounds", "rounds_done", "status")
    return {
        "rounds": rounds.drop(columns=seconds).map(str).to_dict("list"),
        "curve": curve.drop(columns="train_seconds").to_dict("list"),
        "files": sorted(path.name for path in outcome.folder.iterdir()),
        **{key: outcome.summary[key] for key in (*keys, "run_id", "random_rounds")},
    }


def milestones(outcome):
    """Return a run's milestones without measured times, by their rounds."""
    return {
        milestone["rounds"]: {**milestone, "train_seconds": None}
        for milestone in outcome.summary["milestones"]
    }


def assert_as_at_once(extended, at_once):
    """Assert that an extended run has all that an uninterrupted one has, and more milestones."""
    assert content(extended) == content(at_once)
    known = milestones(extended)
    assert list(known) == sorted(known)
    assert milestones(at_once).items() <= known.items()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The runs that nothing stopped: those of which many tests ask are made once."""
    return tmp_path_factory.mktemp("undisturbed"), {}


@pytest.fixture
def at_once(configure, undisturbed):
    """Return a function that makes the run that nothing stopped."""

    def made(*overrides):
        folder, known = undisturbed
        key = (overrides, state.MILESTONES)
        if key not in known:
            known[key] = run(configure(*overrides, f"paths.runs={folder / str(len(known))}"))
        return known[key]

    return made


@pytest.fixture
def early_milestones(monkeypatch):
    """Measure the whole test set after 10 and 30 rounds rather than after thousands."""
    monkeypatch.setattr(state, "MILESTONES", (10, 30))


@pytest.mark.usefixtures("early_milestones")
@pytest.mark.parametrize("overrides", [("selector=rs",), REMEMBERING], ids=["rs", "titan"])
def test_extended_twice_a_run_is_what_it_would_have_been_at_once(configure, at_once, overrides):
    for rounds in (12, 24):
        run(configure(*SHORT, *overrides, f"rounds={rounds}"))
    extended = run(configure(*SHORT, *overrides, "rounds=36"))
    assert_as_at_once(extended, at_once(*SHORT, *overrides, "rounds=36"))
    assert list(milestones(extended)) == [10, 12, 24, 30, 36]


@pytest.mark.slow
@pytest.mark.parametrize("executors", [[INLINE] * 3, [PROCESSES] * 3], ids=["inline", "processes"])
@pytest.mark.parametrize(
    "overrides", [("selector=rs", "delay=1"), REMEMBERING], ids=["rs", "titan"]
)
def test_800_rounds_in_three_parts(configure, at_once, overrides, executors):
    extended = None
    for executor, rounds in zip(executors, (200, 400, 800), strict=True):
        own = (*LONG, *overrides, executor, "device.cores=null", f"rounds={rounds}")
        extended = run(configure(*own))
    assert_as_at_once(extended, at_once(*LONG, *overrides, "rounds=800"))


@pytest.mark.parametrize(
    "executors",
    [(INLINE, PROCESSES), pytest.param((PROCESSES, INLINE), marks=pytest.mark.slow)],
    ids=str,
)
def test_any_executor_extends_the_runs_of_any(configure, at_once, executors):
    for executor, rounds in zip(executors, (12, 24), strict=True):
        own = (*SHORT, *REMEMBERING, executor, "device.cores=null", f"rounds={rounds}")
        extended = run(configure(*own))
        assert not extended.already_there
    assert_as_at_once(extended, at_once(*SHORT, *REMEMBERING, "rounds=24"))


@pytest.mark.usefixtures("early_milestones")
@pytest.mark.parametrize("checkpoints", [0, 1000], ids=["every round", "none"])
def test_crashed_while_it_was_extended_a_run_goes_on(configure, at_once, checkpoints):
    run(configure(*SHORT, *REMEMBERING, "rounds=12"))
    longer = configure(*SHORT, *REMEMBERING, "rounds=33", f"checkpoint_seconds={checkpoints}")
    for after in (13, 20, 31):
        with pytest.raises(ZeroDivisionError):
            run(longer, callbacks=[After(after, crash)])
    assert_as_at_once(run(longer), at_once(*SHORT, *REMEMBERING, "rounds=33"))


@pytest.mark.parametrize("name", ["rounds.parquet", "evaluations.csv"])
def test_a_run_whose_files_have_changed_is_not_extended(configure, name):
    """They would become part of the longer run, with checksums of its own."""
    folder = run(configure(*SHORT, "selector=rs", "rounds=12")).folder
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole + b"0")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(RunFolderError, match=f"{name} is not as it was when the run ended"):
        run(configure(*SHORT, "selector=rs", "rounds=24"))
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    (folder / name).write_bytes(whole)
    assert run(configure(*SHORT, "selector=rs", "rounds=24")).summary["rounds_done"] == 24


def test_killed_while_it_was_extended_a_run_goes_on(configure, at_once):
    run(configure(*SHORT, *REMEMBERING, "rounds=12"))
    longer = configure(*SHORT, *REMEMBERING, "rounds=24")
    assert end_of_fork(lambda: run_and_die(longer, 18)) == -signal.SIGKILL
    assert_as_at_once(run(longer), at_once(*SHORT, *REMEMBERING, "rounds=24"))


def test_stopped_while_it_was_extended_a_run_goes_on(configure, at_once):
    run(configure(*SHORT, *REMEMBERING, "rounds=12"))
    longer = configure(*SHORT, *REMEMBERING, "rounds=24")
    with pytest.raises(InterruptedRun) as caught:
        run(longer, callbacks=[After(18, lambda: signal.raise_signal(signal.SIGINT))])
    assert caught.value.outcome.summary["status"] == "interrupted"
    assert list(milestones(caught.value.outcome)) == [12]
    assert_as_at_once(run(longer), at_once(*SHORT, *REMEMBERING, "rounds=24"))


def test_the_end_of_the_shorter_run_leaves_the_curve_and_stays_a_milestone(configure, at_once):
    shorter = run(configure(*SHORT, "selector=rs", "rounds=30"))
    assert RunFolder(shorter.folder).evaluations()["round"].tolist() == [0, 7, 14, 21, 28, 30]
    longer = run(configure(*SHORT, "selector=rs", "rounds=60"))
    curve = RunFolder(longer.folder).evaluations()["round"].tolist()
    assert 30 not in curve
    assert curve[-1] == 60
    assert list(milestones(longer)) == [30, 60]
    assert milestones(longer)[30] == milestones(shorter)[30]
    assert_as_at_once(longer, at_once(*SHORT, "selector=rs", "rounds=60"))


@pytest.mark.usefixtures("early_milestones")
def test_milestones_outlive_a_kill_before_the_next_checkpoint(configure):
    config = configure(*SHORT, "selector=rs", "rounds=24", "checkpoint_seconds=1000")
    with pytest.raises(ZeroDivisionError):
        run(config, callbacks=[After(12, crash)])
    [path] = Path(config.paths.runs).rglob("summary.json")
    summary = RunFolder(path.parent).summary()
    assert (summary["status"], summary["rounds_done"]) == ("interrupted", 10)
    assert [milestone["rounds"] for milestone in summary["milestones"]] == [10]


# --- fewer rounds than there are


def untouched(outcome):
    return {
        path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in outcome.folder.iterdir()
    }


@pytest.mark.usefixtures("early_milestones")
def test_asked_for_fewer_rounds_it_tells_what_was_recorded_there(configure):
    for there in (12, 24):
        longer = run(configure(*SHORT, "selector=rs", f"rounds={there}"))
    before = untouched(longer)
    for rounds, says in {
        12: "on 359 test samples after 12 rounds",
        10: "on 359 test samples after 10 rounds",
        14: "on 50 test samples, a part of all, after 14 rounds",
        15: "no accuracy was recorded after 15 rounds; allowed: 10, 12, 24 ",
    }.items():
        asked = run(configure(*SHORT, "selector=rs", f"rounds={rounds}"))
        assert asked.already_there
        assert asked.summary == longer.summary
        assert untouched(longer) == before
        assert says in run_summary(asked.summary, asked.folder, rounds)


def test_interrupted_further_on_than_asked_it_stays_unfinished(configure, at_once):
    run(configure(*SHORT, *REMEMBERING, "rounds=12"))
    longer = configure(*SHORT, *REMEMBERING, "rounds=24")
    with pytest.raises(ZeroDivisionError):
        run(longer, callbacks=[After(18, crash)])
    for rounds in (12, 15):
        asked = run(configure(*SHORT, *REMEMBERING, f"rounds={rounds}"))
        assert asked.already_there
        assert (asked.summary["status"], asked.summary["rounds_done"]) == ("interrupted", 17)
    assert "after 12 rounds" in run_summary(asked.summary, asked.folder, 12)
    assert_as_at_once(run(longer), at_once(*SHORT, *REMEMBERING, "rounds=24"))


# --- what cannot be extended


def test_without_its_checkpoint_a_run_is_told_but_not_extended(configure):
    outcome = run(configure(*SHORT, "selector=rs", "rounds=12"))
    (outcome.folder / "checkpoint.pt").unlink()
    before = untouched(outcome)
    assert run(configure(*SHORT, "selector=rs", "rounds=12")).already_there
    with pytest.raises(RunFolderError, match=r"ended after 12 rounds.*pruned.*at most") as error:
        run(configure(*SHORT, "selector=rs", "rounds=24"))
    assert "\n" not in str(error.value)
    assert untouched(outcome) == before


def test_a_diverged_run_has_ended_whatever_is_asked(configure):
    fatal = (*SHORT, "selector=titan", "learning_rate=1e6")
    first = run(configure(*fatal, "rounds=30"))
    assert first.summary["status"] == "diverged"
    before = untouched(first)
    for rounds in (1, 30, 200):
        again = run(configure(*fatal, f"rounds={rounds}"))
        assert again.already_there
        assert again.summary == first.summary
    assert untouched(first) == before


@pytest.mark.usefixtures("early_milestones")
def test_what_was_measured_before_divergence_stays(configure):
    """The step that loses the weights comes after the end of the shorter run."""
    fatal = (*SHORT, "selector=titan", "learning_rate=1e6")
    whole = run(configure(*fatal, "rounds=30")).summary["rounds_done"]
    other = (*fatal, "seed=1")
    outcome = run(configure(*other, "rounds=1"))
    if outcome.summary["status"] == "finished":
        outcome = run(configure(*other, "rounds=30"))
        assert list(milestones(outcome)) == [1]
    assert outcome.summary["status"] == "diverged"
    assert whole < 30


def test_a_folder_of_an_older_format_is_called_so(configure):
    config = configure(*SHORT, "selector=rs", "rounds=12")
    outcome = run(config)
    path = outcome.folder / "summary.json"
    told = json.loads(path.read_text())
    del told["format"]
    path.write_text(json.dumps(told))
    for rounds in (12, 24):
        config.rounds = rounds
        before = untouched(outcome)
        with pytest.raises(RunFolderError, match=r"made by an older titan-repro \(format 1; ") as e:
            run(config)
        assert "\n" not in str(e.value)
        assert untouched(outcome) == before
