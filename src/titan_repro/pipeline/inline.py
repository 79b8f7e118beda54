"""The reference executor: one process, stage after stage. The executable specification of a round.

    stream -> filter -> score -> select -> train -> record

`filter` is stage 1 of the paper (section 3.3); `score` and `select` are stage 2 (section 3.2), in
which a policy, C-IS or a baseline, chooses the batch. With delay 0 round t trains the batch that it
chose. With delay 1 ("one-round delay", section 3.4) it trains the batch that round t - 1 chose, and
chooses the next one with w_t, the weights before its update. Round 0 then has no such batch and
trains a uniformly drawn one, of which the paper says nothing. Nothing runs beside training here:
the paper's three processes are in `processes`, with the same bits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from titan_repro.models.base import BlockNetwork
from titan_repro.pipeline.budget import FIXED, CandidateBudget
from titan_repro.pipeline.round import (
    STAGES,
    Stopwatch,
    first_batch,
    load_training_state,
    random_batch,
    samples_touched,
    to_host,
    training_state,
)
from titan_repro.records.rounds import RoundRecord
from titan_repro.seeds import generator
from titan_repro.selection.base import Batch
from titan_repro.selection.selector import Selector
from titan_repro.streams.base import Samples, Stream
from titan_repro.training import Trainer


@dataclass(frozen=True)
class Choice:
    """A chosen batch, the round's arrivals that it is of, and the number of candidates among them.

    nonfinite: samples that filter or policy could not rank.
    """

    batch: Batch
    arrivals: Samples
    candidates: int
    nonfinite: int


class InlineExecutor:
    """Runs the stages of a round in order, in this process.

    stream: of v samples a round, S_t. selector: chooses `batch_size` of them.
    delay: rounds between choosing a batch and training on it, 0 or 1.
    budget: how many of the filter's samples are candidates in a round.
    """

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

    def run(self, t: int) -> RoundRecord:
        """Run round t and return its record."""
        clock = Stopwatch(*STAGES)
        choice = self.choose(t, clock)
        batch = self._to_train(choice)
        loss = self.train(batch, t, clock)
        return self.record(t, choice, batch, loss, clock)

    def choose(self, t: int, clock: Stopwatch) -> Choice:
        """Take the samples of the stream's round t and choose a batch of them."""
        keep = self.budget.candidates(t)  # None: all that the filter keeps
        with clock("stream"):
            arrivals = self.stream.round(t)
        if keep == 0:  # no time to select beside this round's training, nor for the filter's sums
            with clock("select"):
                chosen = random_batch(arrivals, self.batch_size, self.seed, t)
            return Choice(chosen, arrivals, 0, 0)
        with clock("filter"):  # stage 1, section 3.3: representative and diverse samples
            admitted = self.selector.admit(
                self.network, self.stream, arrivals, generator(self.seed, "filter", t), keep
            )
        with clock("score"):  # stage 2, section 3.2: the last layer's inputs and outputs ...
            scored = self.selector.score(self.network, admitted)
        with clock("select"):  # ... and from their gradients the batch, for C-IS by Lemma 2
            chosen, selection = self.selector.select(
                admitted, scored, self.batch_size, generator(self.seed, "selection", t)
            )
        nonfinite = int(admitted.nonfinite + selection.nonfinite)
        return Choice(chosen, arrivals, len(admitted.arrivals), nonfinite)

    def train(self, batch: Batch, t: int, clock: Stopwatch) -> Tensor:
        """Step on a batch at round t's learning rate; return its loss before the step, a scalar."""
        with clock("train"):  # section 2.1: w_t+1 = w_t - rate_t * gradient of mean(weight * loss)
            inputs, labels = self.stream.inputs(batch.arrivals), batch.arrivals.labels
            loss = self.trainer.gradients(inputs, labels, batch.weights)
            self.trainer.update(t)
        return loss

    def record(
        self, t: int, choice: Choice, batch: Batch, loss: Tensor, clock: Stopwatch
    ) -> RoundRecord:
        """Return the record of a round that chose `choice` and trained `batch`."""
        arrived, candidates = len(choice.arrivals), choice.candidates
        return RoundRecord(
            round=t,
            learning_rate=self.trainer.schedule(t),
            candidates=candidates,
            nonfinite=choice.nonfinite,
            **to_host(batch, loss),
            **samples_touched(self.selector, arrived, candidates, self.batch_size),
            **clock.entries(),
        )

    def _to_train(self, choice: Choice) -> Batch:
        """Return the batch to train now; with a delay keep the chosen one for the next round."""
        if self.delay == 0:
            return choice.batch
        batch = self.in_flight or first_batch(choice.arrivals, self.batch_size, self.seed)
        self.in_flight = choice.batch
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
