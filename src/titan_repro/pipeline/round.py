"""What one round leaves behind, and the executor's side of the contract."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from titan_repro.models.base import BlockNetwork
from titan_repro.pipeline.selector import Batch


@dataclass(frozen=True)
class Work:
    """What a round cost.

    samples: by streamed, filtered, scored, trained: how many samples each of these touched.
    seconds: by stream, filter, score, select, train: wall-clock time of each stage.
    On a GPU the seconds are those of giving out the work, not of doing it.
    """

    samples: Mapping[str, int]
    seconds: Mapping[str, float]


TOUCHES = ("streamed", "filtered", "scored", "trained")
STAGES = ("stream", "filter", "score", "select", "train")


@dataclass(frozen=True)
class Round:
    """One round's result on the host.

    loss: weighted mean cross-entropy of the trained batch before the step.
    learning_rate: of this round's step.
    indices, labels, weights, probabilities, noisy: of the batch trained in this round, (B,).
    candidates, nonfinite: of this round's selection.
    """

    t: int
    loss: float
    learning_rate: float
    indices: list[int]
    labels: list[int]
    weights: list[float]
    probabilities: list[float]
    noisy: list[bool]
    candidates: int
    nonfinite: int
    work: Work = field(repr=False)


def to_host(
    t: int,
    loss: Tensor,
    learning_rate: float,
    batch: Batch,
    candidates: int,
    nonfinite: Tensor,
    work: Work,
) -> Round:
    """Bring a round's facts to the host in one copy: the only wait of a round on a GPU."""
    arrivals = batch.arrivals
    size = len(arrivals)
    columns = (
        arrivals.indices,
        arrivals.labels,
        batch.weights,
        batch.probabilities,
        arrivals.noisy,
        torch.stack([loss.double(), nonfinite.double()]),
    )
    packed = torch.cat([column.double() for column in columns]).tolist()  # float64 is exact here
    indices, labels, weights, probabilities, noisy = (
        packed[i * size : (i + 1) * size] for i in range(5)
    )
    return Round(
        t=t,
        loss=packed[-2],
        learning_rate=learning_rate,
        indices=[int(i) for i in indices],
        labels=[int(y) for y in labels],
        weights=weights,
        probabilities=probabilities,
        noisy=[n != 0 for n in noisy],
        candidates=candidates,
        nonfinite=int(packed[-1]),
        work=work,
    )


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
