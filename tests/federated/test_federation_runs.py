"""Whole runs: what a federation of one is, and that processes, kills and length leave no trace."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest
import torch
from federations import REMEMBERING, SMALL, result

from forking import end_of, fork
from stopping import After, crash
from titan_repro.errors import ConfigurationError, PipelineError
from titan_repro.federated.settings import Federation, draw_participants
from titan_repro.federated.shares import share_out
from titan_repro.records import checkpoint
from titan_repro.records.folder import RunFolder
from titan_repro.runs.build import build_loader, load_task
from titan_repro.runs.federation import participants_of
from titan_repro.runs.run import InterruptedRun, run
from titan_repro.streams.clean import CleanStream


@pytest.fixture
def make(configure, tmp_path):
    """Return a function that makes a run in a folder of its own and returns its result."""

    def made(*overrides, name="run"):
        return result(run(configure(*overrides, f"paths.runs={tmp_path / name}")))

    return made


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return a function that makes the run that nothing killed: once, in whichever test asks."""
    found = []

    def made(configure):
        if not found:
            runs = f"paths.runs={tmp_path_factory.mktemp('undisturbed')}"
            found.append(result(run(configure(*SMALL, *REMEMBERING, "rounds=9", runs))))
        return found[0]

    return made


@pytest.fixture
def rows_of(configure, tmp_path):
    """Return a function that makes a run and returns its rounds."""

    def made(*overrides, name="rows"):
        outcome = run(configure(*overrides, f"paths.runs={tmp_path / name}"))
        return RunFolder(outcome.folder).rounds()

    return made


ALONE = (
    "federation=fedavg",
    "federation.devices=1",
    "federation.classes_per_device=10",
    "federation.share=1",
    "federation.local_iterations=1",
)


@pytest.mark.parametrize(
    "overrides",
    [
        ("selector=rs",),
        (*REMEMBERING, "delay=0"),
        ("selector=cis", "stream=feature_noise", "model.norm=batch"),
        ("selector=titan", "delay=0", "federation.batchnorm=local", "model.norm=batch"),
        ("selector=titan", "delay=0", "federation.proximal=0.1"),  # is 0 at the start
    ],
    ids=" ".join,
)
def test_one_device_that_trains_one_batch_is_the_run_without_a_federation(make, overrides):
    short = ("rounds=12", "evaluate_every=4", "evaluation_samples=50")
    single = tuple(each for each in overrides if not each.startswith("federation."))
    alone, without = make(*ALONE, *overrides, *short), make(*single, *short)
    for each in (alone, without):
        del each["run_id"], each["federation"]
    assert alone == without


def test_a_round_records_the_batches_of_all_participants(configure, rows_of, tmp_path):
    rows = rows_of(*SMALL, "selector=titan", "rounds=3")
    config = configure(*SMALL)
    loader = build_loader(config)
    task = load_task(config, loader, loader.locate(tmp_path))
    shares = share_out(settings_of(config), task, config.seed)
    for t, row in rows.iterrows():
        devices = draw_participants(config.seed, t, 12, 4)
        batches = torch.tensor(row["trained_indices"]).reshape(4, 3, 10)
        for device, batch in zip(devices, batches, strict=True):
            assert set(batch.flatten().tolist()) <= set(shares.of(device).tolist())
        assert row["samples_streamed"] == 4 * 3 * 100
        assert row["candidates"] == row["samples_scored"] == 4 * 3 * 30
        assert row["samples_trained"] == 4 * 3 * 10


def settings_of(config):
    from titan_repro.runs.federation import build_federation

    federation = build_federation(config)
    assert federation is not None
    return federation


# --- longer, interrupted, killed


def test_extended_and_interrupted_it_is_what_it_would_have_been_at_once(configure, make):
    whole = make(*SMALL, *REMEMBERING, "rounds=12", name="at once")
    run(configure(*SMALL, *REMEMBERING, "rounds=5"))
    longer = configure(*SMALL, *REMEMBERING, "rounds=12")
    with pytest.raises(ZeroDivisionError):
        run(longer, callbacks=[After(7, crash)])
    with pytest.raises(InterruptedRun):
        run(longer, callbacks=[After(9, lambda: signal.raise_signal(signal.SIGINT))])
    found = result(run(longer))
    ends = found["federation"].pop("devices_at_milestones")
    assert [end["rounds"] for end in ends] == [5, 12]
    assert ends[1:] == whole["federation"].pop("devices_at_milestones")
    assert found == whole


def test_state_is_kept_of_devices_that_took_part_alone(configure):
    config = configure(*SMALL, "selector=titan", "rounds=2")
    outcome = run(config)
    state = checkpoint.load(outcome.folder / "checkpoint.pt").state["executor"]
    drawn = {device for t in range(2) for device in draw_participants(0, t, 12, 4)}
    assert state["devices"].keys() == drawn
    assert len(drawn) < 12
    random = run(configure(*SMALL, "selector=rs", "rounds=2"))
    assert checkpoint.load(random.folder / "checkpoint.pt").state["executor"]["devices"] == {}


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def run_and_die(config):
    """What a child process does."""
    run(config, callbacks=[After(6, kill)])


def helpers(parent):
    """Return the processes that train devices for `parent`: their numbers by their ids."""
    found = {}
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if "titan_repro.federated.worker" in line:
            number, of = line[line.index("titan_repro.federated.worker") + 1 :][:2]
            if int(of) == parent:
                found[process.pid] = number
    return found


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_killed_with_all_its_processes_a_run_goes_on(configure, undisturbed, workers):
    config = configure(*SMALL, *REMEMBERING, "rounds=9", f"federation.workers={workers}")
    child = fork(lambda: run_and_die(config))
    assert end_of(child) == -signal.SIGKILL
    deadline = time.monotonic() + 5
    while helpers(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    config.federation.workers = 1
    assert result(run(config)) == undisturbed(configure)


def test_a_killed_process_is_named_and_the_run_goes_on(configure, undisturbed):
    def kill_one():
        [victim] = [pid for pid, number in helpers(os.getpid()).items() if number == "1"]
        os.kill(victim, signal.SIGKILL)

    config = configure(*SMALL, *REMEMBERING, "rounds=9", "federation.workers=2")
    with pytest.raises(PipelineError) as caught:
        run(config, callbacks=[After(6, kill_one)])
    assert str(caught.value) == (
        "the training process 2 of 2 was killed by SIGKILL (no memory left?), in round 6; the "
        "same command goes on from the last checkpoint"
    )
    assert caught.value.exit_status == 3
    assert helpers(os.getpid()) == {}
    config.federation.workers = 1
    assert result(run(config)) == undisturbed(configure)


# --- what is refused


class Whole(CleanStream):
    """A stream that knows no part of the data."""

    def __init__(self, task, seed, velocity):
        super().__init__(task, seed, velocity)


REFUSED = [
    (["federation.devices=0"], "federation.devices: found 0; allowed: whole numbers of at least 1"),
    (["federation.devices=many"], "federation.devices: found 'many'; allowed: whole numbers"),
    (["federation.by=friends"], "federation.by: found 'friends'; allowed: classes, dirichlet"),
    (["federation.share=0.01"], "federation.share: found 0.01, of which 0 of 12 devices take"),
    (["federation.classes_per_device=11"], "federation.classes_per_device: found 11; allowed wi"),
    (
        ["federation.workers=5"],
        "federation.workers: found 5; allowed: whole numbers of at least 1, ",
    ),
    (["federation.batchnorm=global"], "federation.batchnorm: found 'global'; allowed: average"),
    (["executor=processes"], "executor: found processes with federation=fedavg; allowed there: "),
    (["filter.budget=adaptive", "device=jetson_nano"], "filter.budget: found adaptive with fed"),
    (["federation.by=user"], "federation.by: found user; allowed with task=digits: classes, dir"),
    (["federation.devices=1500"], "federation.devices: found 1500; allowed: whole numbers of at"),
    (["stream.source._target_=test_federation_runs.Whole"], "stream: found clean, whose stream ta"),
    (["stream=drift", "stream.window=0.1"], "stream of device "),
]


@pytest.mark.parametrize(("overrides", "start"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_bad_setting_is_refused_in_one_line_and_leaves_no_run(configure, overrides, start):
    config = configure(*SMALL, "selector=titan", *overrides)
    with pytest.raises(ConfigurationError) as caught:
        run(config)
    assert str(caught.value).startswith(start)
    assert "\n" not in str(caught.value)
    assert not list(Path(config.paths.runs).rglob("config.yaml"))


def test_a_share_of_no_user_is_refused_by_its_key():
    """How many users there are is known once data are loaded."""
    federation = Federation(devices=None, by="user", share=0.01)
    with pytest.raises(
        ConfigurationError, match=r"^federation\.share: found 0\.01, of which 0 of 24"
    ):
        participants_of(federation, 24)


def test_without_a_federation_nothing_is_said_of_one(configure):
    outcome = run(configure("selector=rs", "rounds=2", "evaluate_every=2"))
    assert "federation" not in outcome.summary
    assert "federation" not in RunFolder(outcome.folder).summary()
