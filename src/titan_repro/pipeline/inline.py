"""The reference executor: one process, stage after stage. The executable specification of a round.

    stream -> filter -> scores -> policy -> train step -> record

With delay 0 the batch chosen in round t is trained in round t. With delay 1 round t trains the
batch that round t - 1 chose, and chooses with the weights before its own update ("one-round
delay", paper section 3.4); round 0 then trains a uniformly drawn batch.
"""

from collections.abc import Mapping
from time import perf_counter
from typing import Any

from torch import Tensor

from titan_repro.models.base import BlockNetwork
from titan_repro.pipeline.round import (
    STAGES,
    Round,
    Work,
    first_batch,
    load_training_state,
    samples_touched,
    to_host,
    training_state,
)
from titan_repro.pipeline.selector import Batch, Selector
from titan_repro.seeds import generator
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
        trained, (nonfinite,) = to_host(batch, loss, admitted.nonfinite + selection.nonfinite)
        candidates_kept = len(admitted.arrivals)
        touched = samples_touched(self.selector, len(arrivals), candidates_kept, self.batch_size)
        return Round(
            **vars(trained),
            t=t,
            learning_rate=self.trainer.schedule(t),
            candidates=candidates_kept,
            nonfinite=nonfinite,
            work=Work(touched, _durations(times)),
        )

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

    def state_dict(self) -> dict[str, Any]:
        """Return weights, optimiser, filter and policy memory and the batch in flight."""
        training = training_state(self.network, self.trainer, self.in_flight)
        return {**training, "selector": self.selector.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.in_flight = load_training_state(self.network, self.trainer, state)
        self.selector.load_state_dict(state["selector"])

    def close(self) -> None:
        """Do nothing: no other process runs."""


def _durations(times: list[float]) -> dict[str, float]:
    pairs = zip(times[1:], times[:-1], strict=True)
    return dict(zip(STAGES, (after - before for after, before in pairs), strict=True))
