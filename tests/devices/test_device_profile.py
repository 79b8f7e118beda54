"""Profiles: what conf/device says, where tensors go, which values are refused."""

import copy
import os
import re

import pytest
import torch

from titan_repro.boards.board import read_board
from titan_repro.conf_path import conf_dir
from titan_repro.config import identity, plain, validate
from titan_repro.devices import process as profile
from titan_repro.devices.process import check_cores, place, prepare
from titan_repro.errors import ConfigurationError
from titan_repro.records.identity import run_id

PROFILES = sorted(file.stem for file in (conf_dir() / "device").glob("*.yaml"))
MODELLED = ["jetson_nano", "jetson_nano_5w"]


@pytest.fixture
def nano(configure):
    return plain(configure("device=jetson_nano").device)["modelled"]


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_is_complete(configure, name):
    config = configure(f"device={name}", "task=digits", "model=small_cnn")
    validate(config)
    device = plain(config.device)
    assert device["name"] == name
    assert device["threads"] == 1
    known = {"name", "tensors", "threads", "cores", "modelled"}
    assert set(device) <= known
    assert ("modelled" in device) is (name in MODELLED)


def test_a_run_is_the_same_whatever_clock_it_is_put_on(configure):
    """Identity takes what can change weights: constants of a modelled clock cannot."""

    def name(*overrides):
        config = configure("task=digits", "model=small_cnn", *overrides)
        return run_id(identity(config, "bundled", scoring=True))

    host = name("device=host")
    assert name("device=jetson_nano") == name("device=jetson_nano_5w") == host
    assert name("device=jetson_nano", "device.modelled.idle_watts=2") == host
    assert name("device=host", "device.cores=null") == host
    assert len({host, name("device=cuda"), name("device=host_gpu")}) == 3


def test_jetson_nano_is_the_board_of_the_issue(nano):
    board = read_board(nano)
    cpu, gpu = board.processors["cpu"], board.processors["gpu"]
    assert (board.train, board.select) == ("cpu", "gpu")
    assert nano["processors"]["cpu"]["peak_gflops"] == pytest.approx(4 * 1.479 * 8, rel=0.01)
    assert nano["processors"]["gpu"]["peak_gflops"] == pytest.approx(128 * 0.9216 * 2, rel=0.01)
    assert cpu.bandwidth < 25.6e9
    assert gpu.bandwidth < 25.6e9
    assert 1.4 <= board.idle_watts <= 2.2
    assert cpu.watts == gpu.watts == 3.1
    # Measured with both loaded: 8.7 W at the input, regulators' losses included.
    assert board.idle_watts + cpu.watts + gpu.watts == pytest.approx(8.7, rel=0.15)


def test_the_5_w_mode_is_slower_and_draws_less(configure):
    fast, slow = (
        read_board(plain(configure(f"device={name}").device)["modelled"]) for name in MODELLED
    )
    for name in ("cpu", "gpu"):
        one, other = fast.processors[name], slow.processors[name]
        assert other.forward_rate < one.forward_rate
        assert other.launch_seconds > one.launch_seconds
        assert other.watts < one.watts
        assert other.bandwidth == one.bandwidth  # the memory's clock is the same
    total = slow.idle_watts + sum(p.watts for p in slow.processors.values())
    assert total <= 5.0
    cpu = slow.processors["cpu"]
    assert cpu.forward_rate / fast.processors["cpu"].forward_rate == pytest.approx(
        2 / 4 * 918 / 1479, rel=0.01
    )


def test_rates_are_peaks_times_efficiencies(nano):
    nano["processors"]["gpu"] = {
        "peak_gflops": 200,
        "forward_efficiency": 0.5,
        "backward_efficiency": 0.25,
        "peak_gb_per_s": 20,
        "bandwidth_efficiency": 0.1,
        "launch_us": 50,
        "watts": 3,
    }
    gpu = read_board(nano).processors["gpu"]
    assert (gpu.forward_rate, gpu.backward_rate) == (100e9, 50e9)
    assert gpu.bandwidth == 2e9
    assert gpu.launch_seconds == pytest.approx(50e-6)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("idle_watts", -1, "idle_watts: found -1; allowed: finite numbers above 0"),
        ("idle_watts", float("nan"), "idle_watts: found nan"),
        ("idle_watts", True, "idle_watts: found True"),
        ("train", "npu", "train: found 'npu'; allowed: cpu, gpu"),
        ("select", ["gpu"], "select: found ['gpu']; allowed: cpu, gpu"),
        ("filter_at_once", 5, "filter_at_once: found 5; allowed: 1, or null for all at once"),
        ("score_at_once", 0, "score_at_once: found 0; allowed: whole numbers of at least 1"),
        ("score_at_once", 2.5, "score_at_once: found 2.5"),
        ("processors.cpu.forward_efficiency", 1.1, "cpu.forward_efficiency: found 1.1; allowed"),
        ("processors.gpu.launch_us", "fast", "processors.gpu.launch_us: found 'fast'"),
        ("processors.gpu.colour", "green", "processors.gpu: missing or unknown: colour"),
        ("processors", 3, "processors: allowed: processors by name"),
        ("processors.cpu", 3, "processors.cpu: missing or unknown: "),
        ("fan", 1, "device.modelled: missing or unknown: fan"),
    ],
)
def test_wrong_constants_are_refused_by_name(nano, key, value, says):
    *parents, name = key.split(".")
    changed = copy.deepcopy(nano)
    node = changed
    for parent in parents:
        node = node[parent]
    node[name] = value
    with pytest.raises(ConfigurationError) as error:
        read_board(changed)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_constants_are_refused_by_name(nano):
    del nano["processors"]["cpu"]["watts"]
    with pytest.raises(ConfigurationError, match=r"processors\.cpu: missing or unknown: watts"):
        read_board(nano)


def test_places(monkeypatch):
    assert place("cpu").train == torch.device("cpu")
    assert not place("cpu").split
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    both = place("cpu+cuda")
    assert (both.train.type, both.select.type, both.split) == ("cpu", "cuda", True)
    assert place("cuda+cpu").train.type == "cuda"
    assert not place("cuda").split


@pytest.mark.parametrize("tensors", ["cuda", "cpu+cuda", "cuda+cpu"])
def test_without_a_gpu_profiles_that_want_one_are_refused(monkeypatch, tensors):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for refuse in (place, lambda name: prepare(name, 1, "processes")):
        with pytest.raises(ConfigurationError, match="no CUDA GPU; allowed here: device=host"):
            refuse(tensors)


def test_one_process_cannot_be_on_two_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for tensors in ("cpu+cuda", "cuda+cpu"):
        with pytest.raises(
            ConfigurationError,
            match=rf"^executor: found inline .*={re.escape(tensors)}.*processes$",
        ):
            prepare(tensors, 1, "inline")


def test_this_process_is_made_ready_for_training_alone(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    configured = []
    monkeypatch.setattr(profile, "configure_process", lambda *given: configured.append(given))
    prepare("cpu+cuda", 1, "processes")
    prepare("cuda+cpu", 2, "processes")
    assert configured == [(torch.device("cpu"), 1), (torch.device("cuda"), 2)]


def test_unknown_places_are_refused():
    with pytest.raises(ConfigurationError, match=r"device\.tensors: found 'tpu'; allowed: cpu,"):
        prepare("tpu", 1, "inline")


def test_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 2, 3})
    assert check_cores(None) == {}
    assert check_cores({"train": [0], "select": (2, 3), "filter": None}) == {
        "train": [0],
        "select": [2, 3],
        "filter": None,
    }
    with pytest.raises(ConfigurationError, match=r"cores\.filter: found \[1\]; .*\[0, 2, 3\]"):
        check_cores({"filter": [1]})
    with pytest.raises(ConfigurationError, match=r"cores\.train: found \[\]"):
        check_cores({"train": []})
    with pytest.raises(ConfigurationError, match=r"cores\.train: found 0; allowed here: auto"):
        check_cores({"train": 0})


@pytest.mark.parametrize(
    ("here", "asked", "given"),
    [
        ({0, 1}, ("auto", "auto", "auto"), ([0], [1], [1])),
        ({4, 6, 7}, ("auto", "auto", "auto"), ([4], [6], [6])),
        ({3}, ("auto", "auto", "auto"), ([3], [3], [3])),
        ({0, 1}, ([1], "auto", None), ([1], [0], None)),
        ({0, 1, 2}, ("auto", [0], "auto"), ([1], [0], [0])),
    ],
    ids=str,
)
def test_cores_come_from_those_that_are_here(monkeypatch, here, asked, given):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: here)
    stages = ("train", "filter", "select")
    asked, given = (dict(zip(stages, cores, strict=True)) for cores in (asked, given))
    assert check_cores(asked) == given
