"""The reference executor: one process, stage after stage. The executable specification of a round.

    stream -> filter -> scores -> policy -> train step -> record

With delay 0 the batch chosen in round t is trained in round t. With delay 1 round t trains the
batch that round t - 1 chose, and chooses with the weights before its own update ("one-round
delay", paper section 3.4); round 0 then trains a uniformly drawn batch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from torch import Tensor

from titan_repro.models.base import BlockNetwork
from titan_repro.pipeline.candidate_budget import FIXED, CandidateBudget
from titan_repro.pipeline.round import (
    STAGES,
    Round,
    Work,
    first_batch,
    load_training_state,
    random_batch,
    samples_touched,
    to_host,
    training_state,
)
from titan_repro.seeds import generator
from titan_repro.selection.base import Batch
from titan_repro.selection.selector import Selector
from titan_repro.streams.base import Samples, Stream
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
        budget: CandidateBudget = FIXED,
    ) -> None:
        if budget.until_trained:
            raise ValueError("one process cannot select until training is done: it trains, too")
        self.network = network
        self.selector = selector
        self.stream = stream
        self.trainer = trainer
        self.batch_size = batch_size
        self.delay = delay
        self.seed = seed
        self.budget = budget
        self.in_flight: Batch | None = None  # chosen, not yet trained; None before round 0

    def run(self, t: int) -> Round:
        """Run round t and return its record."""
        keep = self.budget.candidates(t)
        times = [perf_counter()]
        arrivals = self.stream.round(t)
        times.append(perf_counter())
        if keep == 0:
            choice = self._draw(arrivals, t, times)
        else:
            choice = self._choose(arrivals, t, keep, times)
        batch = self._to_train(choice.batch, arrivals, t)
        loss = self.train(batch, t)
        times.append(perf_counter())
        trained = to_host(batch, loss)
        touched = samples_touched(self.selector, len(arrivals), choice.candidates, self.batch_size)
        return Round(
            **vars(trained),
            t=t,
            learning_rate=self.trainer.schedule(t),
            candidates=choice.candidates,
            nonfinite=choice.nonfinite,
            work=Work(touched, _durations(times)),
        )

    def _choose(self, arrivals: Samples, t: int, keep: int | None, times: list[float]) -> "_Choice":
        """Filter, score and select; note the time after each."""
        admitted = self.selector.admit(
            self.network, self.stream, arrivals, generator(self.seed, "filter", t), keep
        )
        times.append(perf_counter())
        candidates = self.selector.score(self.network, admitted)
        times.append(perf_counter())
        batch, selection = self.selector.select(
            admitted, candidates, self.batch_size, generator(self.seed, "selection", t)
        )
        times.append(perf_counter())
        nonfinite = int(admitted.nonfinite + selection.nonfinite)
        return _Choice(batch, len(admitted.arrivals), nonfinite)

    def _draw(self, arrivals: Samples, t: int, times: list[float]) -> "_Choice":
        """Draw a batch at random, which is neither filtering nor scoring."""
        times += [times[-1]] * 2
        batch = random_batch(arrivals, self.batch_size, self.seed, t)
        times.append(perf_counter())
        return _Choice(batch, 0, 0)

    def train(self, batch: Batch, t: int) -> Tensor:
        """Train on a batch with round t's learning rate; return its loss, ()."""
        return self.trainer.step(
            self.stream.inputs(batch.arrivals), batch.arrivals.labels, batch.weights, t
        )

    def _to_train(self, chosen: Batch, arrivals: Samples, t: int) -> Batch:
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
        device = self.network.classifier.weight.device
        self.in_flight = load_training_state(self.network, self.trainer, state, device)
        self.selector.load_state_dict(state["selector"])

    def close(self) -> None:
        """Do nothing: no other process runs."""


@dataclass(frozen=True)
class _Choice:
    """The batch that a round chose, the number of candidates and of those without a score."""

    batch: Batch
    candidates: int
    nonfinite: int


def _durations(times: list[float]) -> dict[str, float]:
    pairs = zip(times[1:], times[:-1], strict=True)
    return dict(zip(STAGES, (after - before for after, before in pairs), strict=True))
