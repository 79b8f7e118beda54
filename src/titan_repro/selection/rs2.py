"""RS2: random subsets, no sample again before all have been (Okanovic et al., ICLR 2024).

"Repeated Random Sampling for Minimizing the Time-to-Accuracy of Learning" trains each epoch on
another random part of the training set; without replacement, parts follow one another through one
permutation of it. A stream does not let us choose from the whole set. Read as the same aim: of the
samples of a round, those that were chosen least often so far, at random among equals.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from titan_repro.selection.base import Needs, Scores, Selection, check_batch, required
from titan_repro.selection.sampling import shuffled


class RepeatedRandomSubsets:
    """Keeps B candidates that were chosen least often before. Looks at which sample each is."""

    needs = Needs.NOTHING

    def __init__(self) -> None:
        self._chosen = torch.zeros(0, dtype=torch.int32)  # how often, by position

    def select(self, candidates: Scores, batch_size: int, generator: torch.Generator) -> Selection:
        """Choose by the number of earlier choices, equal ones at random, and count this one.

        A copy that comes twice in a round counts as chosen once more with each copy before it.
        """
        check_batch(candidates, batch_size)
        positions = required(candidates.positions, "positions")
        self._grow(positions)
        order = shuffled(len(candidates), generator).numpy()
        samples = np.unique(positions.numpy(), return_inverse=True)[1]
        counts = self._chosen.numpy()[positions.numpy()] + copies_before(samples, order)
        picks = order[counts[order].argsort(kind="stable")][:batch_size]
        numbers = smallest_chances(counts, batch_size)
        shared = np.bincount(samples, numbers) / np.bincount(samples)  # copies are alike
        self._chosen = self._chosen.index_add(
            0, positions[picks], torch.ones(batch_size, dtype=torch.int32)
        )
        return Selection(
            indices=torch.from_numpy(picks),
            weights=torch.ones(batch_size),
            probabilities=torch.from_numpy(shared[samples[picks]].astype(np.float32)),
        )

    def _grow(self, positions: Tensor) -> None:
        """Make room for the counts of these positions."""
        missing = int(positions.max()) + 1 - len(self._chosen)
        if missing > 0:
            more = torch.zeros(missing, dtype=torch.int32)
            self._chosen = torch.cat([self._chosen, more])

    def state_dict(self) -> Mapping[str, Any]:
        """Return how often each sample was chosen."""
        return {"chosen": self._chosen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._chosen = state["chosen"].cpu().clone()


def copies_before(samples: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return how many copies of the same sample come before each candidate in `order`, (N,).

    samples: (N,) int64 from 0 on, which sample each candidate is.
    """
    grouped = order[samples[order].argsort(kind="stable")]  # sample after sample, each in order
    sizes = np.bincount(samples)
    before = np.empty_like(order)
    before[grouped] = np.arange(len(order)) - np.repeat(sizes.cumsum() - sizes, sizes)
    return before


def smallest_chances(values: np.ndarray, batch_size: int) -> np.ndarray:
    """Return with what probability each is among the B smallest values (N,), ties at random."""
    last = np.sort(values)[batch_size - 1]
    below, equal = values < last, values == last
    left = batch_size - np.count_nonzero(below)
    return np.where(below, 1.0, np.where(equal, left / np.count_nonzero(equal), 0.0))
