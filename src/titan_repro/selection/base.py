"""The contract between candidates, scores and policies: tensors, never files or configuration."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import torch
from torch import Tensor

from titan_repro.errors import ConfigurationError


class Needs(Enum):
    """What a policy must be given about each candidate; one forward pass yields any of them."""

    NOTHING = "nothing"
    INPUTS = "inputs"
    LOGITS = "logits"
    EMBEDDINGS = "embeddings"  # logits and the input of the last layer
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


@dataclass(frozen=True)
class Candidates:
    """The candidate set S of one round with what the policy needs of it.

    labels: (N,) int64.
    stream_counts: (C,) int64 or float, arrivals of each class in this round's stream.
    inputs: (N, *input_shape) float32, if INPUTS are needed.
    logits: (N, C) float32, if LOGITS or EMBEDDINGS are needed.
    embeddings: (N, d) float32, if EMBEDDINGS are needed.
    moments: if FULL_GRADIENTS are needed.
    """

    labels: Tensor
    stream_counts: Tensor
    inputs: Tensor | None = None
    logits: Tensor | None = None
    embeddings: Tensor | None = None
    moments: GradientMoments | None = None

    def __len__(self) -> int:
        return self.labels.shape[0]


@dataclass(frozen=True)
class Selection:
    """The batch that a policy chose.

    indices: (B,) int64, positions in the candidate set; a position may repeat.
    weights: (B,) float32, the loss weight of each pick; the batch loss is mean(weights * losses).
    probabilities: (B,) float32, the expected number of times that each pick's candidate is
        chosen (its inclusion number pi_i); 1 for deterministic policies.
    nonfinite: () int64, candidates whose score was NaN or infinite and which the policy
        therefore could not rank.
    """

    indices: Tensor
    weights: Tensor
    probabilities: Tensor
    nonfinite: Tensor


class Policy(Protocol):
    """Chooses a training batch from candidates. Everything runs on the candidates' device.

    No method may force a host synchronisation on a GPU (no .item(), nonzero, boolean indexing).
    """

    needs: Needs

    def select(
        self, candidates: Candidates, batch_size: int, generator: torch.Generator
    ) -> Selection:
        """Choose `batch_size` of the candidates; `generator` is a CPU generator for this round.

        The candidates' tensors are there during this call only: what is remembered of them must
        be copied.
        """
        ...

    def state_dict(self) -> Mapping[str, Any]:
        """Return what the policy remembers between rounds, {} if nothing."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        ...


def check_choice(key: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raise ConfigurationError naming `key` unless `value` is one of `allowed`."""
    if value not in allowed:
        raise ConfigurationError(f"{key}: found {value!r}; allowed: {', '.join(allowed)}")


def check_batch(candidates: Candidates, batch_size: int) -> None:
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
