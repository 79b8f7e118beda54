"""What a stream yields: a round of labelled samples, by index until someone needs the inputs."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Samples:
    """The labelled samples of one round, or some of them, in arrival order.

    indices: (n,) int64, positions in the task's training split.
    labels: (n,) int64, as the stream shows them; wrong where label noise struck.
    noisy: (n,) bool, True where the stream disturbed the input or the label.
    """

    indices: Tensor
    labels: Tensor
    noisy: Tensor

    def __len__(self) -> int:
        return self.indices.shape[0]

    def take(self, positions: Tensor) -> "Samples":
        """Return the samples at `positions` (m,) of this round, in that order."""
        return Samples(self.indices[positions], self.labels[positions], self.noisy[positions])

    def to(self, device: torch.device) -> "Samples":
        """Return the same samples with all tensors on `device`."""
        return Samples(self.indices.to(device), self.labels.to(device), self.noisy.to(device))


class Stream(Protocol):
    """Rounds of fresh samples. Stateless: round t follows from the seed and t alone."""

    velocity: int
    """Samples that arrive in a round (paper section 4.1: 100)."""

    def round(self, t: int) -> Samples:
        """Return round t's `velocity` samples."""
        ...

    def inputs(self, arrivals: Samples) -> Tensor:
        """Return the normalised, possibly disturbed inputs (n, *input_shape), float32.

        The same sample has the same inputs at every visit: noise belongs to the sample.
        """
        ...
