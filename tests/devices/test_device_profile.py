"""Profiles: what conf/device says, where tensors go, which values are refused."""

import copy
import os
import re

import pytest
import torch

from titan_repro.boards.board import read_board
from titan_repro.boards.layers import ARITHMETIC, Kind
from titan_repro.conf_path import conf_dir
from titan_repro.config import identity, plain, validate
from titan_repro.devices import process as profile
from titan_repro.devices.process import check_cores, place, prepare_process
from titan_repro.errors import ConfigurationError
from titan_repro.records.identity import run_id

PROFILES = sorted(file.stem for file in (conf_dir() / "device").glob("*.yaml"))
MODELLED = ["jetson_nano", "jetson_nano_32", "jetson_nano_5w", "raspberry_pi_4"]


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


def test_jetson_nano_is_the_papers_board(nano):
    board = read_board(nano)
    cpu, gpu = board.processors["cpu"], board.processors["gpu"]
    assert (board.train, board.select) == ("cpu", "gpu")
    assert nano["processors"]["cpu"]["peak_gflops"] == pytest.approx(4 * 1.479 * 8, rel=0.01)
    assert nano["processors"]["gpu"]["peak_gflops"] == pytest.approx(128 * 0.9216 * 2, rel=0.01)
    assert max(cpu.bandwidth, cpu.linear_bandwidth, gpu.bandwidth, gpu.linear_bandwidth) < 25.6e9
    assert 1.4 <= board.idle_watts <= 2.2  # measured at the board's input
    assert max(cpu.watts, gpu.watts) <= 3.1  # rails measured with both loaded
    assert board.stand_ins is not None
    assert board.stand_ins.size == 224
    assert set(board.stand_ins.networks) == {"alexnet", "mobilenet", "squeezenet", "resnet50"}


def test_jetson_nano_32_is_the_same_board_on_the_runs_own_inputs(configure, nano):
    own = plain(configure("device=jetson_nano_32").device)["modelled"]
    assert read_board(own).stand_ins is None
    assert own | {key: nano[key] for key in ("input_size", "networks")} == nano


def test_the_5_w_mode_is_slower_and_draws_less(configure):
    fast, slow = (
        read_board(plain(configure(f"device={name}").device)["modelled"])
        for name in ("jetson_nano", "jetson_nano_5w")
    )
    for name in ("cpu", "gpu"):
        one, other = fast.processors[name], slow.processors[name]
        for kind in ARITHMETIC:
            assert other.forward_rates[kind] < one.forward_rates[kind]
        assert other.launch_seconds > one.launch_seconds
        assert other.watts < one.watts
        assert other.bandwidth == one.bandwidth  # the memory's clock is the same
    cpu, before = slow.processors["cpu"], fast.processors["cpu"]
    assert cpu.forward_rates[Kind.DENSE] / before.forward_rates[Kind.DENSE] == pytest.approx(
        2 / 4 * 918 / 1479, rel=0.01
    )
    for name in ("launch_seconds", "channel_seconds", "channel_backward_seconds"):
        assert getattr(cpu, name) / getattr(before, name) == pytest.approx(1479 / 918, rel=0.01)


def test_raspberry_pi_4_meets_ncnns_latencies(configure, setups):
    """Of benchmark/README.md, four threads at 1.8 GHz; a board is one YAML file."""
    board = read_board(plain(configure("device=raspberry_pi_4").device)["modelled"])
    published = {"squeezenet1_1": 46.65, "mobilenet": 61.17, "alexnet": 76.40, "resnet50": 262.83}
    for model, milliseconds in published.items():
        found = 1e3 * board.processors["cpu"].seconds(setups[model].one)
        assert found == pytest.approx(milliseconds, rel=0.4), model
    assert board.idle_watts + board.processors["cpu"].watts == pytest.approx(
        7.2
    )  # HPL, at the wall
    assert board.handover is None


def test_rates_are_peaks_times_efficiencies(nano):
    nano["processors"]["gpu"] = {
        "peak_gflops": 200,
        "peak_gb_per_s": 20,
        "forward_efficiency": {"dense": 0.5, "depthwise": 0.1, "linear": 0.2},
        "backward_efficiency": {"dense": 0.25, "depthwise": 0.1, "linear": 0.2},
        "bandwidth_efficiency": {"linear": 0.5, "other": 0.1},
        "launch_us": 50,
        "channel_us": {"forward": 0, "backward": 7},
        "watts": 3,
    }
    gpu = read_board(nano).processors["gpu"]
    assert (gpu.forward_rates[Kind.DENSE], gpu.backward_rates[Kind.DENSE]) == (100e9, 50e9)
    assert gpu.forward_rates[Kind.DEPTHWISE] == 20e9
    assert (gpu.bandwidth, gpu.linear_bandwidth) == (2e9, 10e9)
    assert gpu.launch_seconds == pytest.approx(50e-6)
    assert (gpu.channel_seconds, gpu.channel_backward_seconds) == (0, pytest.approx(7e-6))


def test_profiles_of_the_older_cost_model_are_refused_in_one_line(nano):
    older = {
        "peak_gflops": 47.3,
        "forward_efficiency": 0.0945,
        "backward_efficiency": 0.0759,
        "peak_gb_per_s": 25.6,
        "bandwidth_efficiency": 0.354,
        "launch_us": 7.46,
        "watts": 3.1,
    }
    profile = {
        **{key: nano[key] for key in ("train", "select", "filter_at_once", "score_at_once")},
        "idle_watts": 1.4,
        "processors": {"cpu": older, "gpu": older},
    }
    with pytest.raises(ConfigurationError) as error:
        read_board(profile)
    assert str(error.value).startswith(
        "device.modelled.processors.cpu.forward_efficiency: found 0.0945, one rate for all layers"
    )
    assert "\n" not in str(error.value)


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
        (
            "processors.cpu.forward_efficiency.dense",
            1.1,
            "forward_efficiency.dense: found 1.1; all",
        ),
        ("processors.cpu.forward_efficiency", 0.5, "forward_efficiency: missing or unknown: dense"),
        ("processors.cpu.channel_us.forward", -1, "finite numbers of at least 0"),
        ("handover", None, "handover: found None; allowed: gb_per_s and tensor_ms"),
        ("input_size", 16, "input_size: found 16; allowed: whole numbers from 32 to 1024"),
        ("input_size", None, "input_size: found None; allowed: whole numbers"),
        ("networks", 3, "networks: found 3; allowed: networks by model"),
        ("networks.alexnet", 3, "networks.alexnet: missing or unknown: _target_"),
        ("networks.alexnet._target_", "titan_repro.nowhere", "networks.alexnet._target_: "),
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
    for refuse in (place, lambda name: prepare_process(name, 1, "processes")):
        with pytest.raises(ConfigurationError, match="no CUDA GPU; allowed here: device=host"):
            refuse(tensors)


def test_one_process_cannot_be_on_two_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for tensors in ("cpu+cuda", "cuda+cpu"):
        with pytest.raises(
            ConfigurationError,
            match=rf"^executor: found inline .*={re.escape(tensors)}.*processes$",
        ):
            prepare_process(tensors, 1, "inline")


def test_this_process_is_made_ready_for_training_alone(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    configured = []
    monkeypatch.setattr(profile, "configure_process", lambda *given: configured.append(given))
    prepare_process("cpu+cuda", 1, "processes")
    prepare_process("cuda+cpu", 2, "processes")
    assert configured == [(torch.device("cpu"), 1), (torch.device("cuda"), 2)]


def test_unknown_places_are_refused():
    with pytest.raises(ConfigurationError, match=r"device\.tensors: found 'tpu'; allowed: cpu,"):
        prepare_process("tpu", 1, "inline")


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
