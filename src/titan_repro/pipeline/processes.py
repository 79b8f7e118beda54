"""The three-process executor (paper section 3.4): selection runs beside training.

Process 1 filters the stream, process 2 scores and selects, process 3, which is this one, trains:
in round t the batch that round t - 1 chose, while the others choose with the same weights w_t.
Batches, weights and accuracies are those of the reference executor to the last bit.

Training, and filter with selection, each have a device. What processes share is in the host's
memory: the data, the weights (`SharedNetwork`), candidates and batches (`Tray`).
"""

from collections.abc import Mapping
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from titan_repro.models.base import BlockNetwork
from titan_repro.models.inference.scoring import scoring_mode
from titan_repro.pipeline.candidate_budget import FIXED, CandidateBudget
from titan_repro.pipeline.crew import Crew
from titan_repro.pipeline.handover import on_host
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
from titan_repro.pipeline.shared import HOST, shared_copies
from titan_repro.pipeline.shared_network import SharedNetwork
from titan_repro.pipeline.stages import Equipment, Facts
from titan_repro.pipeline.tray import Tray
from titan_repro.selection.base import Batch
from titan_repro.selection.selector import Selector
from titan_repro.streams.base import Stream
from titan_repro.training import Trainer

WORD = 8
"""Bytes of a number of the widest type."""


class ProcessesExecutor:
    """Runs filter and selection of a round in two other processes while this one trains.

    crew: the started processes; the executor ends them with `close`.
    network: its parameters and buffers are moved, see `SharedNetwork`; it is on `train`.
    stream: its data are on the host. A copy of it goes to process 1; with `share_task` the data are
        in memory once.
    selector: copies of it go to both processes. Its own filter and policy are not used here.
    train, select: the devices of this process and of the two others.

    The delay between choosing a batch and training on it is one round. Every method raises
    PipelineError, and both processes are gone, if one of them fails.
    """

    def __init__(
        self,
        crew: Crew,
        network: BlockNetwork,
        selector: Selector,
        stream: Stream,
        trainer: Trainer,
        *,
        batch_size: int,
        seed: int,
        budget: CandidateBudget = FIXED,
        train: torch.device = HOST,
        select: torch.device = HOST,
    ) -> None:
        self.network = network
        self.selector = selector
        self.stream = stream
        self.trainer = trainer
        self.batch_size = batch_size
        self.seed = seed
        self.budget = budget
        self.in_flight: Batch | None = None  # chosen, not yet trained, on the host; None before 0
        self._crew = crew
        self._device = train
        self._shared = SharedNetwork(network, train)
        self._batches = _batch_tray(batch_size)
        self._trained, filtered = shared_copies("progress", [torch.tensor(-1)] * 2)
        crew.equip(
            Equipment(
                network=self._shared.reader,
                device=select,
                selector=selector,
                stream=stream,
                candidates=_candidate_tray(self._shared.reader, selector, stream),
                batches=self._batches,
                filtered=filtered,
                trained=self._trained,
                until_trained=budget.until_trained,
                batch_size=batch_size,
                seed=seed,
                threads=crew.threads,
            )
        )

    def run(self, t: int) -> Round:
        """Run round t and return its record."""
        keep = self.budget.candidates(t)
        if keep != 0:
            self._crew.begin(t, keep)
        times = [perf_counter()]
        batch = self.in_flight or first_batch(self.stream.round(t), self.batch_size, self.seed)
        trained = to_host(batch, self._gradients(batch))
        self._trained.fill_(t)
        times.append(perf_counter())
        chosen, facts = self._draw(t) if keep == 0 else self._chosen()
        times.append(perf_counter())
        self.trainer.update(t)
        self._shared.publish()
        self.in_flight = chosen
        times.append(perf_counter())
        training = times[1] - times[0] + times[3] - times[2]
        touched = samples_touched(self.selector, facts.streamed, facts.candidates, self.batch_size)
        return Round(
            **vars(trained),
            t=t,
            learning_rate=self.trainer.schedule(t),
            candidates=facts.candidates,
            nonfinite=facts.nonfinite,
            work=Work(touched, {**facts.seconds, "train": training}, times[2] - times[1]),
        )

    def _gradients(self, batch: Batch) -> Tensor:
        """Compute the batch gradient; return the loss on the host, (), when both are there."""
        inputs, labels = self.stream.inputs(batch.arrivals), batch.arrivals.labels
        there = (tensor.to(self._device) for tensor in (inputs, labels, batch.weights))
        return self.trainer.gradients(*there).to(HOST)  # waits for all that a GPU was asked before

    def _chosen(self) -> tuple[Batch, Facts]:
        """Wait for the batch that process 2 chooses: the fence, nobody reads w_t any more."""
        layout, facts = self._crew.chosen()
        return Batch.of(self._batches.take(layout)), facts

    def _draw(self, t: int) -> tuple[Batch, Facts]:
        """Draw a batch at random, for which nobody needs to be asked."""
        times = [perf_counter()]
        arrivals = self.stream.round(t)
        times.append(perf_counter())
        batch = random_batch(arrivals, self.batch_size, self.seed, t)
        times.append(perf_counter())
        seconds = {"stream": times[1] - times[0], "select": times[2] - times[1]}
        return batch, Facts(len(arrivals), 0, 0, {**dict.fromkeys(STAGES, 0.0), **seconds})

    def state_dict(self) -> dict[str, Any]:
        """Return weights, optimiser, filter and policy memory and the batch in flight."""
        training = training_state(self.network, self.trainer, self.in_flight)
        return {**training, "selector": self._crew.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict`, or that of another executor, returned."""
        self.in_flight = load_training_state(self.network, self.trainer, state, HOST)
        self._shared.publish()
        self._crew.load_state_dict(on_host(state["selector"]))

    def close(self) -> None:
        """End the other processes."""
        self._crew.close()


@torch.no_grad()
def _candidate_tray(network: BlockNetwork, selector: Selector, stream: Stream) -> Tray:
    """Return a tray with room for all that a selector may keep of a round."""
    budget = None if selector.filter is None else selector.filter.budget
    size = stream.velocity if budget is None else budget
    some = stream.round(0).take(torch.tensor([0]))
    with scoring_mode(network, "running"):
        row = network.features(stream.inputs(some), selector.blocks_passed)
    rows = dict.fromkeys(vars(some), size * WORD)
    about_round = {"stream_counts": selector.classes * WORD, "nonfinite": WORD}
    return Tray("candidates", {**rows, **about_round, "inputs": size * row.nbytes})


def _batch_tray(size: int) -> Tray:
    names = ("indices", "labels", "noisy", "weights", "probabilities")
    return Tray("batches", dict.fromkeys(names, size * WORD))
