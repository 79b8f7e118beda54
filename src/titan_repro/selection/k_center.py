"""K-center: the batch leaves no candidate's embedding far from it (Sener and Savarese, ICLR 2018).

Farthest-first traversal, whose largest distance is at most twice the least possible. They start
from the samples that are labelled already. A round has none: all distances are infinite then, so
the first centre is the earliest arrival, which a stream in random order makes a random one.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from titan_repro.selection.base import Needs, Scores, Selection, check_batch, required
from titan_repro.selection.facility_location import distances
from titan_repro.selection.sampling import completed, shuffled


class KCenter:
    """Keeps the B candidates of a farthest-first traversal of the embeddings. Ignores labels."""

    needs = Needs.EMBEDDINGS

    def select(self, candidates: Scores, batch_size: int, generator: torch.Generator) -> Selection:
        """Choose greedily the candidate farthest from its nearest pick; of equals the earlier."""
        check_batch(candidates, batch_size)
        points = required(candidates.embeddings, "embeddings").double()  # (N, d)
        lottery = shuffled(len(candidates), generator).numpy()
        finite = points.sum(dim=1).isfinite().numpy()
        between = distances(points @ points.T).float().numpy()  # float32, so that equal ones tie
        picks = farthest_first(between, finite, batch_size)
        return completed(picks, finite, batch_size, lottery)

    def state_dict(self) -> Mapping[str, Any]:
        """Return nothing: rounds are independent."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore nothing."""


def farthest_first(between: np.ndarray, finite: np.ndarray, batch_size: int) -> list[int]:
    """Return at most B picks among the `finite` (N,), in order of choice.

    between: (N, N) distances, of any value where a point is not finite.
    """
    nearest = np.where(finite, np.inf, -np.inf)  # to the picks; -inf: not to be picked
    picks: list[int] = []
    for _ in range(min(batch_size, int(np.count_nonzero(finite)))):
        pick = int(nearest.argmax())
        nearest = np.where(np.isneginf(nearest), nearest, np.minimum(nearest, between[pick]))
        nearest[pick] = -np.inf
        picks.append(pick)
    return picks
