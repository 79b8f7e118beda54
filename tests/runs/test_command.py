"""The command of a recorded run makes a run of the same name, or there is none."""

import sys
from unittest.mock import patch

from hydra import compose, initialize_config_dir

from titan_repro.analysis.load import load_runs
from titan_repro.cli.run import main
from titan_repro.conf_path import conf_dir
from titan_repro.config import register_schema
from titan_repro.runs.command import Commands, _differing

TINY = ("rounds=3", "evaluate_every=3", "evaluation_samples=20")


def recorded(tmp_path, *overrides):
    given = ["task=digits", "model=small_cnn", *TINY, f"paths.runs={tmp_path}", *overrides]
    with patch.object(sys, "argv", ["titan-run", *given]):
        main()
    [run] = load_runs(tmp_path).recorded.values()
    return run


def test_keys_that_are_not_at_their_default_are_found_again(tmp_path):
    changed = ("selector=titan", "sampling=multinomial", "filter.budget=40", "seed=3")
    run = recorded(tmp_path, *changed, "stream=label_noise", "stream.fraction=0.2")
    found = Commands().overrides(run.config, run.summary)
    assert found[:4] == ("task=digits", "model=small_cnn", "selector=titan", "stream=label_noise")
    assert {"sampling=multinomial", "filter.budget=40", "stream.fraction=0.2"} <= set(found)
    assert not [key for key in found if key.startswith(("seed", "rounds", "paths"))]


def test_a_federation_is_found_again_without_what_changes_no_result(tmp_path):
    sizes = ("federation.devices=6", "federation.share=0.5", "federation.by=dirichlet")
    run = recorded(tmp_path, "federation=fedavg", *sizes, "federation.timeout_seconds=60")
    found = Commands().overrides(run.config, run.summary)
    assert {key for key in found if "federation" in key} == {"federation=fedavg", *sizes}
    users = {**run.config["federation"], "by": "user", "devices": None}
    assert "federation.devices=null" in _differing({**run.config, "federation": users}, composed())


def composed():
    """Return the configuration of a federation at its defaults."""
    register_schema()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        names = ["task=digits", "model=small_cnn", "selector=rs", "federation=fedavg"]
        return compose("config", names)


def test_a_run_of_another_name_has_no_command(tmp_path):
    run = recorded(tmp_path, "selector=rs")
    commands = Commands()
    assert commands.overrides(run.config, {**run.summary, "run_id": "0" * 12}) == ()
    assert commands.overrides({**run.config}, run.summary) == ()  # what was found once is kept
    assert Commands().overrides(run.config, run.summary)[2] == "selector=rs"
    assert Commands().overrides(run.config, {**run.summary, "selector": "my own"}) == ()
