"""Runs whose result an export has are not run again: `paths.export`."""

import pytest

from titan_repro.analysis.export import export_runs
from titan_repro.cli.sweep_plan import plan_job
from titan_repro.errors import RunFolderError
from titan_repro.runs.run import run

TINY = ("selector=rs", "evaluate_every=4", "evaluation_samples=50")


@pytest.fixture
def exported(configure, tmp_path):
    """Return the result of a run of 8 rounds that only an export knows, and that export."""
    outcome = run(configure(*TINY, "rounds=8", f"paths.runs={tmp_path / 'first'}"))
    export_runs(tmp_path / "first", tmp_path / "data")
    return outcome, tmp_path / "data"


def test_its_summary_is_told_and_no_folder_is_made(configure, tmp_path, exported):
    first, data = exported
    config = configure(*TINY, "rounds=8", f"paths.export={data}")
    again = run(config)
    assert again.already_there
    assert again.folder == data
    for key in ("run_id", "weights_sha256", "final_accuracy", "milestones"):
        assert again.summary[key] == first.summary[key]
    assert not (tmp_path / "runs").exists()
    assert plan_job((), config).done


@pytest.mark.parametrize("rounds", [6, 12])
def test_what_it_does_not_have_is_run(configure, tmp_path, exported, rounds):
    _, data = exported
    config = configure(*TINY, f"rounds={rounds}", f"paths.export={data}")
    assert not plan_job((), config).done
    outcome = run(config)
    assert not outcome.already_there
    assert outcome.summary["rounds_done"] == rounds
    assert outcome.folder.is_relative_to(tmp_path / "runs")


def test_other_runs_are_run(configure, exported):
    _, data = exported
    assert not run(configure(*TINY, "rounds=8", "seed=1", f"paths.export={data}")).already_there


def test_a_folder_that_is_not_there_has_none_and_another_folder_is_refused(configure, tmp_path):
    nowhere = configure(*TINY, "rounds=8", f"paths.export={tmp_path / 'nowhere'}")
    assert not run(nowhere).already_there
    with pytest.raises(RunFolderError, match="no export; allowed: what titan-report export wrote"):
        run(configure(*TINY, "rounds=8", "seed=1", f"paths.export={tmp_path}"))
