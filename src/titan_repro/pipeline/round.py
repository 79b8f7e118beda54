"""What executors have in common: a round's result, its first batch, its state, the contract."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from titan_repro.models.base import BlockNetwork
from titan_repro.seeds import generator
from titan_repro.selection.base import Batch, Needs, Scores
from titan_repro.selection.selector import Selector
from titan_repro.selection.uniform import UniformSampling
from titan_repro.streams.base import Samples
from titan_repro.training import Trainer


@dataclass(frozen=True)
class Work:
    """What a round cost.

    samples: by streamed, filtered, scored, trained: how many samples each of these touched.
    seconds: by stream, filter, score, select, train: wall-clock time of each stage.
    On a GPU the seconds are those of giving out the work, not of doing it.
    wait_seconds: how long training stood still for selection that runs beside it; 0 where it
        does not.
    """

    samples: Mapping[str, int]
    seconds: Mapping[str, float]
    wait_seconds: float = 0.0


STAGES = ("stream", "filter", "score", "select", "train")


@dataclass(frozen=True)
class Trained:
    """The batch that a round trained, on the host; lists of B.

    loss: its weighted mean cross-entropy before the step.
    """

    loss: float
    indices: list[int]
    labels: list[int]
    weights: list[float]
    probabilities: list[float]
    noisy: list[bool]


@dataclass(frozen=True)
class Round(Trained):
    """One round's result on the host: what it trained, and about the selection during it.

    learning_rate: of this round's step.
    candidates, nonfinite: of this round's selection; no candidates: it was drawn at random.
    """

    t: int
    learning_rate: float
    candidates: int
    nonfinite: int
    work: Work = field(repr=False)


def to_host(batch: Batch, loss: Tensor) -> Trained:
    """Bring a trained batch and its loss () to the host in one copy."""
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
    return Trained(
        loss=packed[-1],
        indices=[int(i) for i in indices],
        labels=[int(y) for y in labels],
        weights=weights,
        probabilities=probabilities,
        noisy=[n != 0 for n in noisy],
    )


def samples_touched(selector: Selector, arrived: int, candidates: int, size: int) -> dict[str, int]:
    """Return how many samples each stage of a round touches, for `Work`."""
    return {
        "streamed": arrived,
        "filtered": 0 if selector.filter is None or candidates == 0 else arrived,
        "scored": 0 if selector.policy.needs in (Needs.NOTHING, Needs.INPUTS) else candidates,
        "trained": size,
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

    def run(self, t: int) -> Round:
        """Run round t. Rounds are run in order, each once."""
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
