"""A device's part of a round: it takes the global weights, trains on batches of its own choice.

With a delay of one round (Titan) a device has no batch when it begins: the one that it chose when
it last took part is of samples long gone and of weights many rounds old, and at the first time
there is none. So it chooses the first batch before it trains, with the weights that it was sent,
while nothing else runs; from then on it chooses the next batch while it trains, with the weights
before that step, as section 3.4 has it. E iterations are E selections of v samples either way.

    delay 0   choose 0, train 0,             choose 1, train 1, ...
    delay 1   choose 0, train 0 | choose 1,  train 1 | choose 2, ..., train E - 1

A device's stream goes on whether it takes part or not: in round r it has its own rounds
r E, ..., r E + E - 1. So what a device draws follows from (seed, round, device).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from titan_repro.federated.memory import pack, unpack
from titan_repro.federated.settings import BatchNorm
from titan_repro.federated.shares import DeviceStreams, device_seed
from titan_repro.models.base import BlockNetwork
from titan_repro.pipeline.inline import InlineExecutor
from titan_repro.pipeline.messages import on_host
from titan_repro.pipeline.round import STAGES, Stopwatch
from titan_repro.records.rounds import RoundRecord
from titan_repro.selection.selector import Selector
from titan_repro.training import Schedule, Trainer

Memory = Mapping[str, Any]
"""What a device remembers between its rounds, packed; {} if nothing: tensors and plain values."""


@dataclass(frozen=True)
class FitResult:
    """What came of a device's part of a round.

    weights: by name, the network's own tensors: they change with the next `fit`.
    samples: how many the device holds, its weight in the mean.
    memory: what it remembers now.
    records: of its local iterations; their round is that of the federation.
    """

    weights: Mapping[str, Tensor]
    samples: int
    memory: Memory
    records: tuple[RoundRecord, ...]


class Client:
    """Trains any device, one after the other, on one network, in place.

    network: its weights are overwritten by each `fit`.
    selector: likewise what it remembers.
    streams: makes the stream of a device.
    schedule: learning rate of a round; the same for all its local iterations.
    delay: 0 or 1, see above. seed: of the run.
    proximal: FedProx's mu. batchnorm: local: a device goes on with its own running statistics,
        which training in BatchNorm's batch mode does not look at, but scoring does; the mean of the
        participants' is what the global network is evaluated with, and what a device begins with
        that takes part for the first time.
    """

    def __init__(
        self,
        network: BlockNetwork,
        selector: Selector,
        streams: DeviceStreams,
        schedule: Schedule,
        *,
        batch_size: int,
        delay: int,
        seed: int,
        proximal: float = 0.0,
        batchnorm: BatchNorm = "average",
    ) -> None:
        self.network = network
        self.selector = selector
        self.streams = streams
        self.schedule = schedule
        self.batch_size = batch_size
        self.delay = delay
        self.seed = seed
        self.proximal = proximal
        self._statistics = statistics(network) if batchnorm == "local" else ()
        self._unused = selector.state_dict()

    def fit(
        self,
        weights: Mapping[str, Tensor],
        memory: Memory,
        *,
        t: int,
        device: int,
        iterations: int,
    ) -> FitResult:
        """Train a device's part of round t.

        weights: the global ones by name; they stay as they are.
        memory: what the last `fit` of the device returned, {} if it never took part.
        """
        own = self._begin(weights, memory)
        executor = InlineExecutor(
            self.network,
            self.selector,
            self.streams.of(device),
            self._trainer(weights),
            batch_size=self.batch_size,
            delay=self.delay,
            seed=device_seed(self.seed, device),
        )
        records, first, ahead = [], t * iterations, None
        for i in range(iterations):
            clock = Stopwatch(*STAGES)
            choice = ahead or executor.choose(first + i, clock)
            more = self.delay and i + 1 < iterations
            ahead = executor.choose(first + i + 1, clock) if more else None
            loss = executor.train(choice.batch, t, clock)
            records.append(executor.record(t, choice, choice.batch, loss, clock))
        samples = self.streams.shares.samples(device)
        return FitResult(own, samples, self._memory(own), tuple(records))

    @torch.no_grad()
    def _begin(self, weights: Mapping[str, Tensor], memory: Memory) -> Mapping[str, Tensor]:
        """Take the weights and recall what the device remembers; return the network's tensors."""
        own: Mapping[str, Tensor] = self.network.state_dict()
        kept = memory.get("statistics", {})
        for name, tensor in own.items():
            tensor.copy_(kept.get(name, weights[name]))
        self.selector.load_state_dict(unpack(memory.get("selector", self._unused)))
        return own

    def _trainer(self, weights: Mapping[str, Tensor]) -> Trainer:
        if self.proximal == 0:
            return Trainer(self.network, self.schedule)
        return ProximalTrainer(self.network, self.schedule, weights, self.proximal)

    def _memory(self, own: Mapping[str, Tensor]) -> Memory:
        """Return what the device is to remember."""
        state, memory = self.selector.state_dict(), {}
        if state["filter"] is not None or state["policy"]:
            memory["selector"] = pack(on_host(state))
        if self._statistics:
            memory["statistics"] = {name: own[name].clone().cpu() for name in self._statistics}
        return memory


class ProximalTrainer(Trainer):
    """SGD on the batch loss and mu / 2 |w - w_global|^2; the loss that it tells is the batch's."""

    def __init__(
        self,
        network: BlockNetwork,
        schedule: Schedule,
        anchor: Mapping[str, Tensor],
        mu: float,
    ) -> None:
        super().__init__(network, schedule)
        self._anchor = anchor
        self._mu = mu

    def gradients(self, inputs: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        """Compute the gradient and return the batch loss; parameters stay as they are."""
        loss = super().gradients(inputs, labels, weights)
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                if parameter.grad is not None:
                    parameter.grad.add_(parameter - self._anchor[name], alpha=self._mu)
        return loss


def statistics(network: BlockNetwork) -> tuple[str, ...]:
    """Return the names of a network's running statistics."""
    parameters = dict(network.named_parameters())
    return tuple(name for name in network.state_dict() if name not in parameters)
