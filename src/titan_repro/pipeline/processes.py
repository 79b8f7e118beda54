"""The three-process executor (paper section 3.4): selection runs beside training.

The filter process filters the stream, the selection process scores and selects, and the training
process, which is this one, trains: in round t the batch that round t - 1 chose, while the others
choose with the same weights w_t. Batches, weights and accuracies are those of the reference
executor to the last bit.

Training, and filter with selection, each have a device. What processes share is in the host's
memory: the data, the weights (`SharedNetwork`), candidates and batches (`SharedBuffer`).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from titan_repro.models.base import BlockNetwork
from titan_repro.models.inference.scoring import scoring_mode
from titan_repro.pipeline.budget import FIXED, CandidateBudget
from titan_repro.pipeline.messages import on_host
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
from titan_repro.pipeline.shared_memory import HOST, SharedBuffer, area_of, shared_copies
from titan_repro.pipeline.shared_weights import SharedNetwork
from titan_repro.pipeline.stages import WorkerSetup
from titan_repro.pipeline.workers import WorkerPool
from titan_repro.records.rounds import RoundRecord
from titan_repro.selection.base import Batch
from titan_repro.selection.selector import Selector
from titan_repro.streams.base import Stream
from titan_repro.tasks.base import Split, Task
from titan_repro.training import Trainer

WORD = 8
"""Bytes of a number of the widest type."""


def share_task(task: Task) -> Task:
    """Return the task with its training split in shared memory, for a stream that workers get too.

    A task that is there already is returned as it is.
    """
    train = task.train
    if area_of(train.inputs) is not None:
        return task
    user_ids = () if train.user_ids is None else (train.user_ids,)
    parts = (train.inputs, train.labels, *user_ids)
    return replace(task, train=Split(*shared_copies("data", parts)))


class ProcessesExecutor:
    """Runs filter and selection of a round in two other processes while this one trains.

    workers: the started worker processes; the executor ends them with `close`.
    network: its parameters and buffers are moved, see `SharedNetwork`; it is on `train`.
    stream: its data are on the host. A copy of it goes to the filter process; with `share_task` the
        data are in memory once.
    selector: copies of it go to both processes. Its own filter and policy are not used here.
    train, select: the devices of this process and of the two others.

    The delay between choosing a batch and training on it is one round. Every method raises
    PipelineError, and both processes are gone, if one of them fails.
    """

    def __init__(
        self,
        workers: WorkerPool,
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
        self._workers = workers
        self._device = train
        self._shared = SharedNetwork(network, train)
        self._batches = _batch_buffer(batch_size)
        self._trained, filtered = shared_copies("progress", [torch.tensor(-1)] * 2)
        workers.set_up(
            WorkerSetup(
                network=self._shared.reader,
                device=select,
                selector=selector,
                stream=stream,
                candidates=_candidate_buffer(self._shared.reader, selector, stream),
                batches=self._batches,
                filtered=filtered,
                trained=self._trained,
                until_trained=budget.until_trained,
                batch_size=batch_size,
                seed=seed,
                threads=workers.threads,
            )
        )

    def run(self, t: int) -> RoundRecord:
        """Run round t and return its record."""
        clock = Stopwatch("train", "wait")
        keep = self.budget.candidates(t)
        if keep != 0:
            self._workers.begin(t, keep)
        with clock("train"):
            batch = self.in_flight or first_batch(self.stream.round(t), self.batch_size, self.seed)
            trained = to_host(batch, self._gradients(batch))
            self._trained.fill_(t)
        with clock("wait"):
            chosen, streamed, entries = self._draw(t) if keep == 0 else self._chosen()
        with clock("train"):
            self.trainer.update(t)
            self._shared.publish()
        self.in_flight = chosen
        return RoundRecord(
            round=t,
            learning_rate=self.trainer.schedule(t),
            **trained,
            **entries,
            **samples_touched(self.selector, streamed, entries["candidates"], self.batch_size),
            **clock.entries(),
        )

    def _gradients(self, batch: Batch) -> Tensor:
        """Compute the batch gradient; return the loss on the host, (), when both are there."""
        inputs, labels = self.stream.inputs(batch.arrivals), batch.arrivals.labels
        there = (tensor.to(self._device) for tensor in (inputs, labels, batch.weights))
        return self.trainer.gradients(*there).to(HOST)  # waits for all that a GPU was asked before

    def _chosen(self) -> tuple[Batch, int, dict[str, Any]]:
        """Wait for the batch that the selection process chooses.

        This is the fence: from here on no worker reads w_t. Returns the batch, the number of
        samples streamed, and the entries of the round's record about its selection.
        """
        layout, streamed, entries = self._workers.chosen()
        return Batch.of(self._batches.read(layout)), streamed, entries

    def _draw(self, t: int) -> tuple[Batch, int, dict[str, Any]]:
        """Draw a batch at random, for which no worker is needed; return what `_chosen` does."""
        clock = Stopwatch(*(stage for stage in STAGES if stage != "train"))
        with clock("stream"):
            arrivals = self.stream.round(t)
        with clock("select"):
            batch = random_batch(arrivals, self.batch_size, self.seed, t)
        return batch, len(arrivals), {"candidates": 0, "nonfinite": 0, **clock.entries()}

    def state_dict(self) -> dict[str, Any]:
        """Return weights, optimiser, filter and policy memory and the batch in flight."""
        training = training_state(self.network, self.trainer, self.in_flight)
        return {**training, "selector": self._workers.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict`, or that of another executor, returned."""
        self.in_flight = load_training_state(self.network, self.trainer, state, HOST)
        self._shared.publish()
        self._workers.load_state_dict(on_host(state["selector"]))

    def close(self) -> None:
        """End the other processes."""
        self._workers.close()


@torch.no_grad()
def _candidate_buffer(network: BlockNetwork, selector: Selector, stream: Stream) -> SharedBuffer:
    """Return a buffer with room for all that a selector may keep of a round."""
    budget = None if selector.filter is None else selector.filter.budget
    size = stream.velocity if budget is None else budget
    some = stream.round(0).take(torch.tensor([0]))
    with scoring_mode(network, "running"):
        row = network.features(stream.inputs(some), selector.blocks_passed)
    rows = dict.fromkeys(vars(some), size * WORD)
    about_round = {"stream_counts": selector.classes * WORD, "nonfinite": WORD}
    return SharedBuffer("candidates", {**rows, **about_round, "inputs": size * row.nbytes})


def _batch_buffer(size: int) -> SharedBuffer:
    names = ("indices", "labels", "noisy", "weights", "probabilities")
    return SharedBuffer("batches", dict.fromkeys(names, size * WORD))
