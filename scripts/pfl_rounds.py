"""Rounds of a federation in Apple's pfl (pip install pfl, no part of any extra), to be timed.

The same work as ours under rs: the same devices take part and hold the same samples, and each
trains E batches of B of them, drawn at random, on the same network by plain SGD.
What is done pfl's way: a participant's E * B samples are drawn, with replacement, and taken from
the data set at once, where ours come in a stream of v in each local iteration, of which B are
chosen. The server averages differences of weights, in float32, and weighs by the samples trained:
all devices alike, which is ours where they hold the same number. It leaves out BatchNorm's running
statistics, which stay as the last participant left them; training does not look at them.
"""

import os
from collections.abc import Callable
from itertools import chain, count
from time import perf_counter
from typing import Any

import torch
import torch.nn.functional as F
from omegaconf import DictConfig, OmegaConf
from pfl.aggregate.simulate import SimulatedBackend
from pfl.aggregate.weighting import WeightByDatapoints
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.data.federated_dataset import FederatedDataset
from pfl.data.pytorch import PyTorchTensorDataset
from pfl.hyperparam import NNTrainHyperParams
from pfl.metrics import Metrics
from pfl.model.pytorch import PyTorchModel
from torch import Tensor, nn

from titan_repro.errors import ConfigurationError
from titan_repro.federated.settings import Federation, draw_participants
from titan_repro.federated.shares import share_out
from titan_repro.models.base import BlockNetwork
from titan_repro.runs.build import build_network, build_schedule
from titan_repro.runs.federation import build_federation
from titan_repro.runs.job import build
from titan_repro.seeds import generator
from titan_repro.tasks.base import Task

ONLY = {
    "selector.name": "rs",
    "stream.name": "clean",
    "federation.by": "classes",
    "federation.proximal": 0,
    "device.tensors": "cpu",
}
"""ONLY: with other values ours would do what is not done here."""


class Learner(nn.Module):
    """The network with the two methods that pfl asks for."""

    def __init__(self, network: BlockNetwork, normalise: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.network = network
        self.normalise = normalise

    def loss(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Return the mean cross-entropy of a batch."""
        return F.cross_entropy(self.network(self.normalise(inputs)), labels)

    def metrics(self, inputs: Tensor, labels: Tensor) -> dict[str, float]:
        """Evaluate nothing: pfl asks in its first round, whatever `evaluation_frequency` is."""
        return {}


class Clock:
    """Times central iterations; one of pfl's callbacks."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_train_begin(self, **_: Any) -> Metrics:
        """Begin the first iteration."""
        self.times.append(perf_counter())
        return Metrics()

    def after_central_iteration(self, *_: Any, **__: Any) -> tuple[bool, Metrics]:
        """End an iteration and begin the next."""
        self.times.append(perf_counter())
        return False, Metrics()

    def on_train_end(self, **_: Any) -> None:
        """Do nothing: the last iteration has ended."""


def seconds_of_rounds(config: DictConfig, rounds: int) -> list[float]:
    """Run rounds in this process; return the seconds of each.

    Raises ConfigurationError for values that cannot be, and for other work than is done here.
    """
    for key, allowed in ONLY.items():
        if (found := OmegaConf.select(config, key)) != allowed:
            raise ConfigurationError(f"{key}: found {found}; allowed with --pfl: {allowed}")
    task, federation = build(config).load(), build_federation(config)
    assert federation is not None
    os.environ["PFL_PYTORCH_DEVICE"] = config.device.tensors
    learner = Learner(build_network(config), task.normalise)
    central = torch.optim.SGD(learner.parameters(), lr=1.0)
    clock = Clock()
    FederatedAveraging().run(
        NNAlgorithmParams(
            central_num_iterations=rounds,
            evaluation_frequency=rounds,
            train_cohort_size=federation.participants(config.federation.devices),
            val_cohort_size=None,
        ),
        SimulatedBackend(
            devices_of(config, federation, task), None, postprocessors=[WeightByDatapoints()]
        ),
        PyTorchModel(learner, torch.optim.SGD, central),
        NNTrainHyperParams(
            local_num_epochs=None,
            local_num_steps=federation.local_iterations,
            local_batch_size=config.batch_size,
            local_learning_rate=build_schedule(config)(0),
        ),
        callbacks=[clock],
        send_metrics_to_platform=False,
    )
    return [after - before for before, after in zip(clock.times, clock.times[1:], strict=False)]


def devices_of(config: DictConfig, federation: Federation, task: Task) -> FederatedDataset:
    """Return the devices in the order in which they take part, each with the samples to train."""
    shares = share_out(federation, task, config.seed)
    number = federation.participants(len(shares))
    rounds = (draw_participants(config.seed, t, len(shares), number) for t in count())
    participants = chain.from_iterable(rounds)
    trained, random = federation.local_iterations * config.batch_size, generator(config.seed, "pfl")

    def samples_of(device: int) -> PyTorchTensorDataset:
        held = shares.of(device)
        drawn = held[torch.randint(len(held), (trained,), generator=random)]
        return PyTorchTensorDataset((task.train.inputs[drawn], task.train.labels[drawn]))

    return FederatedDataset(samples_of, participants.__next__)
