"""What executors have in common: the contract, a round's record, batches at random, the state."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Protocol

import torch
from torch import Tensor

from titan_repro.models.base import BlockNetwork
from titan_repro.records.rounds import RoundRecord
from titan_repro.seeds import generator
from titan_repro.selection.base import Batch, Scores
from titan_repro.selection.selector import Selector
from titan_repro.selection.uniform import UniformSampling
from titan_repro.streams.base import Samples
from titan_repro.training import Trainer

STAGES = ("stream", "filter", "score", "select", "train")
"""What a round's time is spent on, in order."""


class Stopwatch:
    """Adds up the seconds of named stages: `with clock("filter"): ...`.

    seconds: by stage, 0 for those that have not been entered. A stage may be entered repeatedly.
    With tensors on a GPU they are those of giving out the work, not of doing it.
    """

    def __init__(self, *stages: str) -> None:
        self.seconds = dict.fromkeys(stages, 0.0)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Add the time that the block takes to the stage's."""
        began = perf_counter()
        yield
        self.seconds[stage] += perf_counter() - began

    def entries(self) -> dict[str, Any]:
        """Return the times as a RoundRecord names them."""
        return {f"seconds_{stage}": seconds for stage, seconds in self.seconds.items()}


def to_host(batch: Batch, loss: Tensor) -> dict[str, Any]:
    """Bring the batch that a round trained and its loss () to the host.

    One copy. Returns the entries of the round's record about them: `loss`, and `trained_*` as
    lists of B.
    """
    arrivals = batch.arrivals
    size = len(arrivals)
    columns = (
        arrivals.indices,
        arrivals.labels,
        batch.weights,
        batch.probabilities,
        arrivals.noisy,
        loss[None],
    )
    packed = torch.cat([column.double() for column in columns]).tolist()  # float64 is exact here
    indices, labels, weights, probabilities, noisy = (
        packed[i * size : (i + 1) * size] for i in range(5)
    )
    return {
        "loss": packed[-1],
        "trained_indices": [int(i) for i in indices],
        "trained_labels": [int(y) for y in labels],
        "trained_weights": weights,
        "trained_probabilities": probabilities,
        "trained_noisy": [n != 0 for n in noisy],
    }


def samples_touched(selector: Selector, arrived: int, candidates: int, size: int) -> dict[str, Any]:
    """Return how many samples each stage of a round touches, as a RoundRecord names it."""
    return {
        "samples_streamed": arrived,
        "samples_filtered": 0 if selector.filter is None or candidates == 0 else arrived,
        "samples_scored": candidates if selector.scores_candidates else 0,
        "samples_trained": size,
    }


def first_batch(arrivals: Samples, size: int, seed: int) -> Batch:
    """Draw the batch that round 0 of a delayed run trains: uniform, without replacement."""
    device = arrivals.labels.device
    order = torch.randperm(len(arrivals), generator=generator(seed, "first batch"))
    positions = order[:size].to(device)
    weights = torch.ones(size, device=device)
    return Batch(arrivals.take(positions), weights, weights * (size / len(arrivals)))


def random_batch(arrivals: Samples, size: int, seed: int, t: int) -> Batch:
    """Draw the batch of a round that leaves no time to select: the one that `rs` would draw."""
    known = Scores(arrivals.labels.cpu(), stream_counts=torch.zeros(0))
    drawn = UniformSampling().select(known, size, generator(seed, "selection", t))
    return drawn.batch(arrivals)


def training_state(
    network: BlockNetwork, trainer: Trainer, waiting: Batch | None
) -> dict[str, Any]:
    """Return weights, optimiser and the batch that waits to be trained."""
    return {
        "network": network.state_dict(),
        "optimizer": trainer.optimizer.state_dict(),
        "in_flight": None if waiting is None else waiting.tensors(),
    }


def load_training_state(
    network: BlockNetwork, trainer: Trainer, state: Mapping[str, Any], device: torch.device
) -> Batch | None:
    """Restore what `training_state` returned, wherever it was; return the batch on `device`."""
    network.load_state_dict(state["network"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    if state["in_flight"] is None:
        return None
    return Batch.of(state["in_flight"], device)


class Executor(Protocol):
    """Runs rounds one after the other; between two rounds everything stands still."""

    network: BlockNetwork

    def run(self, t: int) -> RoundRecord:
        """Run round t and return its record. Rounds are run in order, each once."""
        ...

    def state_dict(self) -> Mapping[str, Any]:
        """Return everything that round t + 1 depends on, as after round t."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        ...

    def close(self) -> None:
        """End whatever runs beside this process; the executor cannot be used after it."""
        ...
