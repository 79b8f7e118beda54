"""The reference executor: one process, stage after stage. The executable specification of a round.

    stream -> filter -> scores -> policy -> train step -> record

With delay 0 the batch chosen in round t is trained in round t. With delay 1 round t trains the
batch that round t - 1 chose, and chooses with the weights before its own update ("one-round
delay", paper section 3.4); round 0 then trains a uniformly drawn batch.
"""

from collections.abc import Mapping
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from titan_repro.models.base import BlockNetwork
from titan_repro.pipeline.round import STAGES, TOUCHES, Round, Work, to_host
from titan_repro.pipeline.selector import Batch, Selector
from titan_repro.seeds import generator
from titan_repro.selection.base import Needs
from titan_repro.streams.base import Arrivals, Stream
from titan_repro.training import Trainer


class InlineExecutor:
    """Runs the five stages of a round in order, in this process."""

    def __init__(
        self,
        network: BlockNetwork,
        selector: Selector,
        stream: Stream,
        trainer: Trainer,
        *,
        batch_size: int,
        delay: int,
        seed: int,
    ) -> None:
        self.network = network
        self.selector = selector
        self.stream = stream
        self.trainer = trainer
        self.batch_size = batch_size
        self.delay = delay
        self.seed = seed
        self.in_flight: Batch | None = None  # chosen, not yet trained; None before round 0

    def run(self, t: int) -> Round:
        """Run round t and return its record."""
        times = [perf_counter()]
        arrivals = self.stream.round(t)
        times.append(perf_counter())
        admitted = self.selector.admit(
            self.network, self.stream, arrivals, generator(self.seed, "filter", t)
        )
        times.append(perf_counter())
        candidates = self.selector.score(self.network, admitted)
        times.append(perf_counter())
        chosen, selection = self.selector.select(
            admitted, candidates, self.batch_size, generator(self.seed, "selection", t)
        )
        times.append(perf_counter())
        batch = self._to_train(chosen, arrivals, t)
        loss = self.train(batch, t)
        times.append(perf_counter())
        work = Work(self._samples(arrivals, admitted.arrivals), _durations(times))
        nonfinite = admitted.nonfinite + selection.nonfinite
        rate = self.trainer.schedule(t)
        return to_host(t, loss, rate, batch, len(admitted.arrivals), nonfinite, work)

    def train(self, batch: Batch, t: int) -> Tensor:
        """Train on a batch with round t's learning rate; return its loss, ()."""
        return self.trainer.step(
            self.stream.inputs(batch.arrivals), batch.arrivals.labels, batch.weights, t
        )

    def _to_train(self, chosen: Batch, arrivals: Arrivals, t: int) -> Batch:
        """Return the batch to train now and keep the one for later."""
        if self.delay == 0:
            return chosen
        batch = self.in_flight or first_batch(arrivals, self.batch_size, self.seed)
        self.in_flight = chosen
        return batch

    def _samples(self, arrivals: Arrivals, admitted: Arrivals) -> dict[str, int]:
        filtered = 0 if self.selector.filter is None else len(arrivals)
        scored = 0 if self.selector.policy.needs in (Needs.NOTHING, Needs.INPUTS) else len(admitted)
        counts = (len(arrivals), filtered, scored, self.batch_size)
        return dict(zip(TOUCHES, counts, strict=True))

    def state_dict(self) -> dict[str, Any]:
        """Return weights, optimiser, filter and policy memory and the batch in flight."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.trainer.optimizer.state_dict(),
            "selector": self.selector.state_dict(),
            "in_flight": None if self.in_flight is None else _pack(self.in_flight),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.network.load_state_dict(state["network"])
        self.trainer.optimizer.load_state_dict(state["optimizer"])
        self.selector.load_state_dict(state["selector"])
        device = next(self.network.parameters()).device
        self.in_flight = state["in_flight"] and _unpack(state["in_flight"], device)


def first_batch(arrivals: Arrivals, size: int, seed: int) -> Batch:
    """Draw the batch that round 0 of a delayed run trains: uniform, without replacement."""
    device = arrivals.labels.device
    order = torch.randperm(len(arrivals), generator=generator(seed, "first batch"))
    positions = order[:size].to(device)
    weights = torch.ones(size, device=device)
    return Batch(arrivals.take(positions), weights, weights * (size / len(arrivals)))


def _durations(times: list[float]) -> dict[str, float]:
    pairs = zip(times[1:], times[:-1], strict=True)
    return dict(zip(STAGES, (after - before for after, before in pairs), strict=True))


def _pack(batch: Batch) -> dict[str, Tensor]:
    arrivals = batch.arrivals
    return {
        "indices": arrivals.indices,
        "labels": arrivals.labels,
        "noisy": arrivals.noisy,
        "weights": batch.weights,
        "probabilities": batch.probabilities,
    }


def _unpack(state: Mapping[str, Tensor], device: torch.device) -> Batch:
    on_device = {name: tensor.to(device) for name, tensor in state.items()}
    arrivals = Arrivals(on_device["indices"], on_device["labels"], on_device["noisy"])
    return Batch(arrivals, on_device["weights"], on_device["probabilities"])
