"""Real processes of Flower: its simulation, and a SuperLink with SuperNodes over loopback.

Minutes on a busy machine, as every message starts a process there: `make test-flower`.
"""

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("flwr", reason="needs the extra flower: make test-flower")
pytest.importorskip("ray", reason="needs the extra flower: make test-flower")

import psutil
from federations import REMEMBERING
from holding import HELD

from titan_repro.flower.local import local_flower, run_locally
from titan_repro.runs.run import run

pytestmark = pytest.mark.slow

SMALL = (
    "task=digits",
    "model=small_cnn",
    "federation=fedavg",
    "federation.devices=2",
    "federation.timeout_seconds=200",
    "evaluate_every=1",
    "evaluation_samples=50",
    "seed=3",
)


@pytest.mark.parametrize("mode", ["simulation", "loopback"])
def test_the_weights_are_those_of_the_simulator(configure, tmp_path, mode):
    """Of both devices after two rounds, so with all that each remembers of the first."""
    whole = (*SMALL, *REMEMBERING, "federation.share=1", "rounds=2")
    expected = run(configure(*whole)).summary
    found = run_locally(mode, whole, tmp_path / "result.json")
    for name in ("status", "rounds_done", "final_accuracy", "final_loss", "weights_sha256"):
        assert found[name] == expected[name], name


def test_training_goes_on_when_a_client_is_killed_in_mid_round(tmp_path, monkeypatch, capfd):
    """The SuperNode dies with its ClientApp; the SuperLink misses its heartbeats."""
    held, killed = tmp_path / "held", []
    monkeypatch.setenv(HELD, str(held))
    tests = str(Path(__file__).parent)
    path = os.pathsep.join([tests, *filter(None, [os.environ.get("PYTHONPATH")])])
    monkeypatch.setenv("PYTHONPATH", path)
    policy = ("selector=rs", "selector.policy._target_=holding.HoldingPolicy")
    whole = (*SMALL, *policy, "federation.share=1", "rounds=2")
    with local_flower("loopback", devices=2) as flower:
        watching = threading.Thread(target=kill_the_node_of, args=(held, flower.nodes, killed))
        watching.start()
        flower.run(whole, tmp_path / "result.json")
        watching.join()
    [device] = killed
    said = capfd.readouterr().out
    assert f"round 0: goes on without devices {device}" in said
    assert f"round 1: goes on without devices {device}" in said
    assert "round 2 of 2" in said
    assert '"rounds_done": 2' in (tmp_path / "result.json").read_text()


def kill_the_node_of(held, nodes, killed, seconds=300):
    """Wait for the process that `held` names; kill its SuperNode and all that it started."""
    until = time.monotonic() + seconds
    while not (held.exists() and held.read_text()):
        if time.monotonic() > until:
            return
        time.sleep(0.1)
    pid = int(held.read_text())
    for device, program in nodes.items():
        node = psutil.Process(program.pid)
        family = [node, *node.children(recursive=True)]
        if pid in [process.pid for process in family]:
            for process in family:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            killed.append(device)


def test_bad_overrides_are_one_line_before_anything_starts(tmp_path):
    command = [sys.executable, "-m", "titan_repro.flower.local", "loopback", "federation=none"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.strip().startswith("federation: found none; allowed with Flower")
