"""Training and selection on devices of their own, with the CPU by another name as that device.

`cpu:0` is not the host's device to anyone who asks whether tensors can be shared in place, so what
would be copied to and from a GPU is copied, and must come out as the same bits.
"""

import json
import signal
from itertools import product

import pandas as pd
import pytest
import torch
from torch import nn

from pipeline.comparing import assert_same, facts, through_a_file
from titan_repro.costs.measure import check_measurable
from titan_repro.devices import process as profile
from titan_repro.devices.process import Placement
from titan_repro.errors import ConfigurationError, PipelineError
from titan_repro.models.base import BlockNetwork
from titan_repro.models.small_cnn import small_cnn
from titan_repro.pipeline.shared_memory import HOST, area_of
from titan_repro.pipeline.shared_weights import NetworkCopy, SharedNetwork
from titan_repro.pipeline.workers import WorkerPool
from titan_repro.records.checkpoint import weights_sha256
from titan_repro.runs import build
from titan_repro.runs.run import InterruptedRun, run

ELSEWHERE = torch.device("cpu", 0)
HERE = Placement(HOST, HOST)
SELECTING_ELSEWHERE = Placement(HOST, ELSEWHERE)
TRAINING_ELSEWHERE = Placement(ELSEWHERE, HOST)
BOTH_ELSEWHERE = Placement(ELSEWHERE, ELSEWHERE)

placements = pytest.mark.parametrize(
    "placement", [SELECTING_ELSEWHERE, TRAINING_ELSEWHERE, BOTH_ELSEWHERE], ids=str
)


@pytest.fixture
def on(monkeypatch):
    """Return what makes a placement that of whatever is built next."""

    def put(placement):
        for module in (build, profile):
            monkeypatch.setattr(module, "place", lambda tensors: placement)

    return put


@placements
@pytest.mark.parametrize(
    "overrides",
    [
        "selector=titan model.norm=batch class_importance=ema stream=feature_noise",
        "selector=titan model.norm=batch scoring_norm=batch filter.blocks=2",
        "selector=titan model.norm=batch gradient=full",
        "selector=titan filter.score=random",
        "selector=titan model.norm=batch filter.budget=adaptive device=jetson_nano",
        "selector=cis delay=1 model.norm=batch stream=label_noise",
        "selector=ocs delay=1 model.norm=batch",
        "selector=camel delay=1",
        "selector=rs delay=1 model.norm=batch",
    ],
)
def test_every_placement_gives_the_same_bits(executors, workers, on, placement, overrides):
    inline = executors(None, *overrides.split())
    on(placement)
    processes = executors(workers, *overrides.split())
    for t in range(4):
        assert facts(inline.run(t)) == facts(processes.run(t))
    assert_same(inline.state_dict(), processes.state_dict())


def test_a_state_passes_from_any_placement_to_any_other(executors, workers, on):
    overrides = ("selector=titan", "model.norm=batch", "class_importance=ema")
    straight = executors(None, *overrides)
    order = [BOTH_ELSEWHERE, HERE, SELECTING_ELSEWHERE, TRAINING_ELSEWHERE, BOTH_ELSEWHERE]
    expected = [facts(straight.run(t)) for t in range(2 * len(order))]
    state, begun = None, []
    for position, placement in enumerate(order):
        on(placement)
        executor = executors(workers, *overrides)
        if state is not None:
            executor.load_state_dict(state)
        begun += [facts(executor.run(2 * position + step)) for step in range(2)]
        state = through_a_file(executor.state_dict())
    assert begun == expected
    assert_same(straight.state_dict(), state)


class StopAfter:
    """Asks a run to stop, as Ctrl-C does, once a round is done."""

    def __init__(self, t):
        self.t = t

    def begin(self, folder, start, rounds):
        pass

    def round(self, result):
        if result.round == self.t:
            signal.raise_signal(signal.SIGINT)

    def evaluation(self, rounds_done, evaluation):
        pass

    def end(self):
        pass


def what_came_of(folder):
    """Return weights' hash, batches and accuracies of a finished run."""
    summary = json.loads((folder / "summary.json").read_text())
    rounds = pd.read_parquet(folder / "rounds.parquet")
    evaluations = pd.read_csv(folder / "evaluations.csv")
    return (
        summary["weights_sha256"],
        summary["final_accuracy"],
        rounds[["loss", "trained_indices", "trained_weights", "candidates"]].map(str).to_dict(),
        evaluations[["round", "accuracy", "loss"]].to_dict(),
    )


@pytest.mark.slow  # whole runs of what states passing between placements show fast, above
@pytest.mark.parametrize("selector", ["titan", "rs", "cis", "ocs"])
def test_a_run_goes_on_with_another_placement_to_the_same_end(configure, on, selector):
    setting = (
        "task=digits",
        "model=small_cnn",
        "model.norm=batch",
        f"selector={selector}",
        "delay=1",
        "rounds=12",
        "evaluate_every=4",
    )
    inline = run(configure(*setting, "selector.name=undisturbed")).folder
    config = configure(*setting, "executor=processes", "device.cores=null")
    for stop, placement in ((3, BOTH_ELSEWHERE), (7, TRAINING_ELSEWHERE)):
        on(placement)
        with pytest.raises(InterruptedRun):
            run(config, callbacks=[StopAfter(stop)])
    on(SELECTING_ELSEWHERE)
    assert what_came_of(run(config).folder) == what_came_of(inline)


def network():
    return small_cnn((1, 8, 8), 10, norm="batch")


def step(trained):
    trained.train()
    trained(torch.randn(4, 1, 8, 8)).sum().backward()
    torch.optim.SGD(trained.parameters(), lr=0.1).step()


def test_trained_elsewhere_all_of_a_network_is_seen_when_published():
    trained = network()
    before = weights_sha256(trained.state_dict())
    shared = SharedNetwork(trained, ELSEWHERE)
    tensors = shared.reader.state_dict()
    assert weights_sha256(tensors) == weights_sha256(trained.state_dict()) == before
    assert all(area_of(tensor) is not None for tensor in tensors.values())
    assert all(area_of(tensor) is None for tensor in trained.state_dict().values())
    step(trained)
    assert weights_sha256(tensors) == before
    shared.publish()
    assert weights_sha256(tensors) == weights_sha256(trained.state_dict()) != before


@pytest.mark.parametrize(("trains", "norm"), list(product([HOST, ELSEWHERE], ["batch", "none"])))
def test_a_copy_follows_when_it_is_refreshed(trains, norm):
    trained = small_cnn((1, 8, 8), 10, norm=norm)
    shared = SharedNetwork(trained, trains)
    before = weights_sha256(trained.state_dict())
    copied = NetworkCopy(shared.reader, ELSEWHERE)
    mine = copied.refresh()
    step(trained)
    shared.publish()
    assert weights_sha256(mine.state_dict()) == before
    assert copied.refresh() is mine
    assert weights_sha256(mine.state_dict()) == weights_sha256(trained.state_dict()) != before
    for name, value in mine.state_dict().items():
        assert value.stride() == trained.state_dict()[name].stride()
        assert area_of(value) is None


def test_a_copy_of_the_first_blocks_leaves_the_rest():
    trained = network()
    shared = SharedNetwork(trained)
    copied = NetworkCopy(shared.reader, ELSEWHERE, blocks=1)
    step(trained)
    shared.publish()
    there = shared.reader.state_dict()
    for name, value in copied.refresh().state_dict().items():
        assert torch.equal(value, there[name])
        is_copy = value.data_ptr() != there[name].data_ptr()
        assert is_copy is name.startswith("blocks.0."), name


def test_on_the_host_nothing_is_copied():
    reader = SharedNetwork(network()).reader
    assert NetworkCopy(reader, HOST).refresh() is reader


def test_tied_weights_of_a_copy_stay_tied():
    linear = nn.Linear(4, 4)
    trained = BlockNetwork(nn.Sequential(linear, linear), nn.Identity(), nn.Linear(4, 2))
    for trains in (HOST, ELSEWHERE):
        mine = NetworkCopy(SharedNetwork(trained, trains).reader, ELSEWHERE).refresh()
        assert mine.blocks[0].weight is mine.blocks[1].weight
        assert torch.equal(mine.blocks[0].weight, linear.weight)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, which does not fail")
@pytest.mark.parametrize("selector", ["titan", pytest.param("rs delay=1", marks=pytest.mark.slow)])
def test_processes_without_their_device_fail_in_one_line(executors, on, selector):
    on(Placement(HOST, torch.device("cuda")))
    failure = pytest.raises(PipelineError, match=r"^the (filter|selection) process failed: .*CUDA")
    with WorkerPool(timeout_seconds=60) as workers, failure as error:
        executors(workers, *f"selector={selector}".split())
    assert "\n" not in str(error.value)
    assert "while starting" in str(error.value)


def test_one_process_is_refused_two_devices(configure, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    config = configure("task=cifar10", "device=host_gpu", "paths.data=nowhere")
    with pytest.raises(ConfigurationError, match=r"^executor: found inline .*: processes$"):
        run(config)


@pytest.mark.parametrize("tensors", ["cuda", "cpu+cuda", "cuda+cpu"])
def test_costs_are_measured_on_the_cpu_alone(configure, tensors):
    config = configure("experiment=fig6", f"device.tensors={tensors}")
    with pytest.raises(ConfigurationError, match=r"^device\.tensors: found .*; allowed there: cpu"):
        check_measurable(config)
