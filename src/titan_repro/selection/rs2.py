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

from titan_repro.selection.base import Needs, Scores, Selection, check_batch, known_positions
from titan_repro.selection.sampling import shuffled


class RepeatedRandomSubsets:
    """Keeps B candidates that were chosen least often before. Looks at which sample each is."""

    needs = Needs.NOTHING

    def __init__(self) -> None:
        self._chosen = np.zeros(0, dtype=np.int32)  # how often, by position

    def select(self, candidates: Scores, batch_size: int, generator: torch.Generator) -> Selection:
        """Choose by the number of earlier choices, equal ones at random, and count this one.

        Where a sample comes twice in a round, the second copy stands as if the first were chosen.
        """
        check_batch(candidates, batch_size)
        positions = known_positions(candidates).numpy()
        self._grow(int(positions.max()) + 1)
        order = shuffled(len(candidates), generator).numpy()
        counts = self._chosen[positions] + copies_before(positions)
        picks = order[counts[order].argsort(kind="stable")][:batch_size]
        chances = smallest_chances(counts, batch_size)
        np.add.at(self._chosen, positions[picks], 1)
        return Selection(
            indices=torch.from_numpy(picks),
            weights=torch.ones(batch_size),
            probabilities=torch.from_numpy(chances[picks].astype(np.float32)),
        )

    def _grow(self, size: int) -> None:
        """Make room for the counts of `size` positions."""
        missing = max(size - len(self._chosen), 0)
        self._chosen = np.pad(self._chosen, (0, missing))

    def state_dict(self) -> Mapping[str, Any]:
        """Return how often each sample was chosen."""
        return {"chosen": torch.tensor(self._chosen)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._chosen = state["chosen"].cpu().numpy().copy()


def copies_before(positions: np.ndarray) -> np.ndarray:
    """Return how many earlier candidates are the same sample as each, (N,), given (N,) int64."""
    grouped = positions.argsort(kind="stable")
    ordered = positions[grouped]
    before = np.empty_like(positions)
    before[grouped] = np.arange(len(positions)) - ordered.searchsorted(ordered)
    return before


def smallest_chances(values: np.ndarray, batch_size: int) -> np.ndarray:
    """Return with what probability each is among the B smallest values (N,), ties at random."""
    last = np.sort(values)[batch_size - 1]
    below, equal = values < last, values == last
    left = batch_size - np.count_nonzero(below)
    return np.where(below, 1.0, np.where(equal, left / np.count_nonzero(equal), 0.0))
