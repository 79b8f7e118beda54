"""What passes through a selector in a round, and the contract of policies: tensors, never files.

    Samples --admit--> Candidates --score--> Scores --select--> Selection, Batch

`Samples` (streams.base) are those of a round. Policies see `Scores` and return a `Selection`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import torch
from torch import Tensor

from titan_repro.errors import ConfigurationError
from titan_repro.streams.base import Samples


class Needs(Enum):
    """What a policy must be given about each candidate; one forward pass yields any of them."""

    NOTHING = "nothing"
    INPUTS = "inputs"
    LOGITS = "logits"
    EMBEDDINGS = "embeddings"  # logits and the input of the last layer
    INPUTS_AND_LOGITS = "inputs_and_logits"
    FULL_GRADIENTS = "full_gradients"  # moments of the gradients over all parameters


@dataclass(frozen=True)
class GradientMoments:
    """What importance sampling needs to know of per-sample gradients g_i.

    norms: (N,) |g_i|; NaN or infinite where the gradient is.
    class_mean_norms: (C,) |mean of g_i over the candidates of each class|, those with a non-finite
        gradient left out; 0 for classes without any.
    """

    norms: Tensor
    class_mean_norms: Tensor

    def cpu(self) -> "GradientMoments":
        """Return them on the host."""
        return GradientMoments(self.norms.cpu(), self.class_mean_norms.cpu())


@dataclass(frozen=True)
class Candidates:
    """The candidate set S of a round and the class counts of the stream that it came from.

    stream_counts: (C,) int64.
    inputs: (N, *input_shape) of the candidates, or their (N, *feature_shape) where the filter has
        taken them through the network's first blocks; None if neither is needed.
    nonfinite: arrivals whose feature was not finite.
    passed: the blocks that inputs have been through, 0 for inputs as they came.
    """

    arrivals: Samples
    stream_counts: Tensor
    inputs: Tensor | None
    nonfinite: int = 0
    passed: int = 0


@dataclass(frozen=True)
class Scores:
    """What a policy knows of the candidate set S of one round; all of it on the host.

    labels: (N,) int64.
    stream_counts: (C,) int64 or float, arrivals of each class in this round's stream.
    inputs: (N, *input_shape) float32, if INPUTS or INPUTS_AND_LOGITS are needed.
    logits: (N, C) float32, if LOGITS, INPUTS_AND_LOGITS or EMBEDDINGS are needed.
    embeddings: (N, d) float32, if EMBEDDINGS are needed.
    moments: if FULL_GRADIENTS are needed.
    positions: (N,) int64, which sample each is: its place in the training split. None where that
        is not known, in a loop that does not say (titan_repro.api).
    """

    labels: Tensor
    stream_counts: Tensor
    inputs: Tensor | None = None
    logits: Tensor | None = None
    embeddings: Tensor | None = None
    moments: GradientMoments | None = None
    positions: Tensor | None = None

    def __len__(self) -> int:
        return self.labels.shape[0]


@dataclass(frozen=True)
class Batch:
    """Samples to train on, with what the record says of them. All (B,)."""

    arrivals: Samples
    weights: Tensor
    probabilities: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """Return its tensors by name."""
        return {**vars(self.arrivals), "weights": self.weights, "probabilities": self.probabilities}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], device: torch.device | None = None) -> "Batch":
        """Return the batch that has these `tensors`, on `device` or where they are."""
        there = {name: tensor.to(device) for name, tensor in tensors.items()}
        weights, probabilities = there.pop("weights"), there.pop("probabilities")
        return cls(Samples(**there), weights, probabilities)


@dataclass(frozen=True)
class Selection:
    """The batch that a policy chose.

    indices: (B,) int64, positions in the candidate set; a position may repeat.
    weights: (B,) float32, the loss weight of each pick; the batch loss is mean(weights * losses).
    probabilities: (B,) float32, the expected number of times that each pick's candidate is
        chosen (its inclusion number pi_i); 1 for deterministic policies.
    nonfinite: candidates whose score was NaN or infinite and which the policy therefore could not
        rank.
    """

    indices: Tensor
    weights: Tensor
    probabilities: Tensor
    nonfinite: int = 0

    def batch(self, samples: Samples) -> Batch:
        """Return these picks of the candidates' samples, where those are."""
        device = samples.labels.device
        return Batch(
            samples.take(self.indices.to(device)),
            self.weights.to(device),
            self.probabilities.to(device),
        )


class Policy(Protocol):
    """Chooses a training batch from candidates: plain code on the host, with `if` and loops.

    Whatever device the network is on, tensors are on the CPU when they come here. A class with an
    attribute and three methods is a policy; a YAML file in conf/selector names it.

    needs: what must be known of each candidate. The rest of `Scores` is None, but for labels,
        counts and positions, which are always given.
    """

    needs: Needs

    def select(self, candidates: Scores, batch_size: int, generator: torch.Generator) -> Selection:
        """Choose `batch_size` of the candidates.

        generator: this round's own. All random numbers come from it, so that a run can be repeated
            and continued.
        The candidates' tensors are there during this call only: what is remembered of them must
        be copied. They are not to be changed.
        Raises ConfigurationError for a batch size that the candidates do not allow (`check_batch`).
        """
        ...

    def state_dict(self) -> Mapping[str, Any]:
        """Return what the policy remembers between rounds, {} if nothing; it goes into checkpoints.

        Tensors and plain values, which later rounds leave as they are.
        """
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        ...


def check_choice(key: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raise ConfigurationError naming `key` unless `value` is one of `allowed`."""
    if value not in allowed:
        raise ConfigurationError(f"{key}: found {value!r}; allowed: {', '.join(allowed)}")


def check_batch(candidates: Scores, batch_size: int) -> None:
    """Raise ConfigurationError unless 1 <= batch size <= number of candidates."""
    if not 1 <= batch_size <= len(candidates):
        raise ConfigurationError(
            f"batch_size: found {batch_size}; allowed: 1 to {len(candidates)}, the number of "
            "candidates in the round"
        )


def required(value: Tensor | None, name: str) -> Tensor:
    """Return a candidate tensor that the policy said it needs; ValueError if it is missing."""
    if value is None:
        raise ValueError(f"this policy needs the candidates' {name}, which are missing")
    return value


def known_positions(candidates: Scores) -> Tensor:
    """Return which sample each candidate is, (N,); ValueError if that is not known."""
    if candidates.positions is None:
        raise ValueError("ids: are missing; this selector knows samples again when they come back")
    return candidates.positions
