"""The federation over Flower: the rounds of the simulator, whoever carries the messages.

These tests need the extra `flower`; `make test-flower` installs it where it is in nobody's way.
"""

import json

import pytest
import torch

pytest.importorskip("flwr", reason="needs the extra flower: make test-flower")

from federations import REMEMBERING
from flwr.app import Context, Error, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from titan_repro.errors import ConfigurationError, PipelineError
from titan_repro.federated.crew import Participant
from titan_repro.federated.executor import FederatedExecutor
from titan_repro.federated.settings import draw_participants
from titan_repro.flower.assembly import assembled, composed
from titan_repro.flower.client_app import app as client_app
from titan_repro.flower.crew import FlowerCrew
from titan_repro.flower.server_app import main
from titan_repro.records.folder import RunFolder
from titan_repro.runs.run import run

SMALL = (
    "task=digits",
    "model=small_cnn",
    "federation=fedavg",
    "federation.devices=4",
    "federation.share=0.5",
    "federation.timeout_seconds=60",
    "evaluate_every=1",
    "evaluation_samples=50",
    "rounds=3",
    "seed=3",
)
"""Two of four devices in each of three rounds."""

REMEMBERED = (*REMEMBERING, "federation.batchnorm=local", "federation.proximal=0.1")
PLAIN = ("selector=rs",)


@pytest.fixture(autouse=True)
def _as_if_in_a_run(monkeypatch):
    """Flower's processes are told what they run for before they make messages."""
    for name in ("_task_id", "_run_id", "_node_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


class NodesInThisProcess:
    """A grid whose nodes answer at once, the last first; their ids rise against their devices'.

    lost: calls (device, when) that come to nothing: "" for no answer, else the reason of an error.
    nodes: what each node is told of itself.
    """

    def __init__(self, overrides, lost=None, nodes=None):
        self.lost = lost or {}
        self.asked = []
        self.config = {"overrides": " ".join(overrides), "result": ""}
        self.contexts = {}
        for number, node in enumerate(nodes or [{"partition-id": number} for number in range(4)]):
            self.add(1000 - number, node)

    def add(self, node_id, node):
        self.contexts[node_id] = Context(1, node_id, node, RecordDict(), dict(self.config))

    def get_node_ids(self):
        return list(self.contexts)

    def send_and_receive(self, messages, *, timeout=None):
        replies = []
        for message in messages:
            context = self.contexts[message.metadata.dst_node_id]
            call = (context.node_config["partition-id"], message.metadata.group_id)
            self.asked.append(call)
            loss = self.lost.get(call)
            if loss is None:
                replies.append(client_app(message, context))
            elif loss:
                replies.append(Message(Error(0, loss), reply_to=message))
        return reversed(replies)


def served(grid, overrides, folder):
    """Run the ServerApp on a grid; return what it wrote."""
    config = {"overrides": " ".join(overrides), "result": str(folder / "result.json")}
    main(grid, Context(1, 1, {}, RecordDict(), config))
    return json.loads((folder / "result.json").read_text())


def simulated(config):
    """Run the same with titan-run's simulator; return the same facts of it."""
    outcome = run(config)
    folder = RunFolder(outcome.folder)
    curve = folder.evaluations()
    return {
        "status": outcome.summary["status"],
        "rounds_done": outcome.summary["rounds_done"],
        "curve": [list(pair) for pair in zip(curve["round"], curve["accuracy"], strict=True)],
        "final_accuracy": outcome.summary["final_accuracy"],
        "final_loss": outcome.summary["final_loss"],
        "weights_sha256": outcome.summary["weights_sha256"],
    }


@pytest.mark.parametrize("overrides", [PLAIN, REMEMBERED], ids=["rs", "titan"])
def test_the_rounds_are_those_of_the_simulator(configure, tmp_path, overrides):
    """What devices remember, too, which only nodes keep here."""
    whole = (*SMALL, *overrides)
    found = served(NodesInThisProcess(whole), whole, tmp_path)
    expected = simulated(configure(*whole))
    assert {name: found[name] for name in expected} == expected
    assert len(found["losses"]) == 3


def test_each_node_is_asked_once_and_participants_are_drawn_by_device(tmp_path):
    whole = (*SMALL, *PLAIN)
    grid = NodesInThisProcess(whole)
    served(grid, whole, tmp_path)
    assert sorted(grid.asked[:4]) == [(device, "start") for device in range(4)]
    drawn = [(d, f"round {t}") for t in range(3) for d in draw_participants(3, t, 4, 2)]
    assert grid.asked[4:] == drawn


@pytest.mark.parametrize("reason", ["", "killed"])
def test_training_goes_on_without_a_device_that_is_lost(tmp_path, capsys, reason):
    """The round's mean is that of the other participant, and its record the other's batches."""
    whole = (*SMALL, *PLAIN)
    lost, stays = draw_participants(3, 1, 4, 2)
    grid = NodesInThisProcess(whole, lost={(lost, "round 1"): reason})
    parts = assembled(" ".join(whole))
    executor = FederatedExecutor(
        parts.network, FlowerCrew(grid, 4, 60), parts.shares(), participants=2, seed=3
    )
    executor.crew.wait()
    executor.run(0)
    before = {name: tensor.clone() for name, tensor in parts.network.state_dict().items()}
    record = executor.run(1)
    after = {name: tensor.clone() for name, tensor in parts.network.state_dict().items()}
    alone = parts.client().fit(before, {}, t=1, device=stays, iterations=3)
    assert all(torch.equal(after[name], alone.weights[name]) for name in after)
    assert len(record.trained_indices) == 30
    assert f"round 1: goes on without devices {lost}\n" in capsys.readouterr().out
    result = served(NodesInThisProcess(whole, lost=grid.lost), whole, tmp_path)
    assert (result["status"], result["rounds_done"]) == ("finished", 3)


def test_a_round_that_nobody_comes_through_ends_the_run(tmp_path):
    whole = (*SMALL, *PLAIN)
    lost = dict.fromkeys([(d, "round 1") for d in draw_participants(3, 1, 4, 2)], "")
    with pytest.raises(PipelineError, match=r"round 1: none of the devices \d, \d came through"):
        served(NodesInThisProcess(whole, lost=lost), whole, tmp_path)
    assert not (tmp_path / "result.json").exists()


def test_a_node_that_comes_back_takes_its_devices_place():
    """It has a new id, and is asked which device it is before the next round."""
    whole = (*SMALL, *PLAIN)
    grid = NodesInThisProcess(whole)
    crew = FlowerCrew(grid, 4, 60)
    crew.wait()
    del grid.contexts[998]
    grid.add(7, {"partition-id": 2})
    weights = assembled(" ".join(whole)).network.state_dict()
    results = list(crew.fit(weights, [Participant(1, {}), Participant(2, {})], t=0))
    assert grid.asked[4:] == [(2, "start"), (1, "round 0"), (2, "round 0")]
    assert None not in results


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([{"partition-id": 1}] * 2, "found partition-id=1 on two nodes"),
        ([{"partition-id": 4}], r"found partition-id=4; allowed: 0 to 3"),
        ([{"partition-id": 0, "num-partitions": 9}], "num-partitions: found 9 .* 4, the devices"),
    ],
)
def test_nodes_that_do_not_fit_the_federation_are_refused(nodes, words):
    grid = NodesInThisProcess((*SMALL, *PLAIN), nodes=nodes)
    with pytest.raises(ConfigurationError, match=words):
        FlowerCrew(grid, 4, 60).wait()


def test_devices_that_never_come_are_named():
    grid = NodesInThisProcess((*SMALL, *PLAIN), nodes=[{"partition-id": 1}])
    with pytest.raises(PipelineError, match="no node came for devices 0, 2, 3 of 4"):
        FlowerCrew(grid, 4, timeout_seconds=0.0).wait()


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ("task=digits model=small_cnn", "federation: found none"),
        ("task=digits,cifar10", "overrides: found 'task=digits,cifar10'"),
        ("federation=fedavg device=cuda", "device.tensors: found cuda"),
        ("federation=fedavg federation.share=0", "federation.share: found 0"),
    ],
)
def test_bad_overrides_are_refused(overrides, words):
    with pytest.raises(ConfigurationError, match=words):
        composed(overrides)
