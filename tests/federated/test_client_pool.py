"""Processes that train devices: whoever is faster, the rounds are those of one process."""

import time

import pytest
import torch
from federations import REMEMBERING, SMALL

from titan_repro.binding import target_of
from titan_repro.errors import PipelineError
from titan_repro.federated.pool import ClientPool
from titan_repro.pipeline.processes import share_task
from titan_repro.records.checkpoint import weights_sha256
from titan_repro.runs.build import (
    build_loader,
    build_network,
    build_schedule,
    build_selector,
    load_task,
)
from titan_repro.runs.federation import build_federated_executor, build_federation
from titan_repro.selection.uniform import UniformSampling


class UnevenPolicy(UniformSampling):
    """Takes longer for some batches than for others, so that devices overtake each other."""

    def select(self, candidates, batch_size, generator):
        time.sleep(0.01 * (int(candidates.labels.sum()) % 3))
        return super().select(candidates, batch_size, generator)


class FailingPolicy(UniformSampling):
    def select(self, candidates, batch_size, generator):
        raise RuntimeError("this was\nto be expected")


@pytest.fixture(scope="module")
def pool():
    """Start the processes once: every executor equips them anew."""
    with ClientPool(2, timeout_seconds=60, threads=1) as started:
        yield started


@pytest.fixture
def federated(configure, tmp_path):
    """Return a function that builds an executor as titan-run does, on given processes."""

    def built(pool, *overrides):
        config = configure(*SMALL, *overrides)
        loader = build_loader(config)
        task = share_task(load_task(config, loader, loader.locate(tmp_path)))
        federation = build_federation(config)
        network, selector = build_network(config), build_selector(config)
        schedule = build_schedule(config)
        return build_federated_executor(config, federation, pool, network, selector, schedule, task)

    return built


def trained(executor, rounds):
    """Run rounds; return their records without times, the weights and what devices remember."""
    records = []
    for t in range(rounds):
        record = vars(executor.run(t))
        records.append({k: str(v) for k, v in record.items() if not k.startswith("seconds_")})
    state = executor.state_dict()
    return records, weights_sha256(state["network"]), flat(state["devices"])


def flat(state):
    if isinstance(state, dict):
        return {name: flat(value) for name, value in state.items()}
    return state.numpy().tobytes() if torch.is_tensor(state) else state


UNEVEN = "selector.policy._target_=test_client_pool.UnevenPolicy"


@pytest.mark.parametrize(
    ("overrides", "rounds"),
    [
        ((*REMEMBERING, "federation.proximal=0.1"), 4),
        (("selector=titan", "model.norm=batch", "federation.batchnorm=local"), 4),
        (("selector=rs", UNEVEN, "federation.share=1"), 2),  # half a second of sleep each
        (("selector=rs", "federation.by=dirichlet", "stream=label_noise"), 4),
    ],
    ids=["titan", "local statistics", "uneven", "dirichlet"],
)
def test_processes_do_what_one_process_does(federated, pool, overrides, rounds):
    together, alone = federated(pool, *overrides), federated(None, *overrides)
    assert trained(together, rounds) == trained(alone, rounds)


def test_uneven_devices_overtake_each_other(federated, pool, monkeypatch):
    """Else the test above would say nothing of the order."""
    finished = []
    receive = pool._receive
    monkeypatch.setattr(pool, "_receive", lambda: finished.append(receive()) or finished[-1])
    federated(pool, "selector=rs", UNEVEN, "federation.share=1").run(0)
    devices = [device for device, *_ in finished]
    assert sorted(devices) == list(range(12))
    assert devices != sorted(devices)


def test_one_executor_goes_on_from_anothers_state(federated, pool):
    whole = federated(None, *REMEMBERING)
    trained(whole, 3)
    going_on = federated(pool, *REMEMBERING)
    going_on.load_state_dict(whole.state_dict())
    assert whole.run(3).trained_indices == going_on.run(3).trained_indices
    assert weights_sha256(whole.network.state_dict()) == weights_sha256(
        going_on.network.state_dict()
    )


def test_the_policies_of_these_tests_are_found():
    assert target_of("", {"_target_": "test_client_pool.UnevenPolicy"}).__name__ == "UnevenPolicy"


@pytest.mark.slow
def test_a_device_that_fails_is_told_in_one_line(federated):
    with ClientPool(1, timeout_seconds=60, threads=1) as started:
        executor = federated(
            started, "selector=rs", "selector.policy._target_=test_client_pool.FailingPolicy"
        )
        with pytest.raises(PipelineError) as caught:
            executor.run(0)
    assert str(caught.value).startswith(
        "the training process 1 of 1 failed: RuntimeError: this was to be expected"
    )
    assert started.pids == {}
