"""How long importance lasts: norms of the same samples' gradients, rounds apart."""

import numpy as np
from scipy.stats import pearsonr, spearmanr

from titan_repro.models.base import BlockNetwork
from titan_repro.records.variance import Stability
from titan_repro.selection.gradients import gradient_norms
from titan_repro.selection.selector import Selector
from titan_repro.streams.base import Stream
from titan_repro.variance.states import every_score


def importance(
    scorer: Selector, network: BlockNetwork, stream: Stream, first: int, rounds: int
) -> np.ndarray:
    """Return the gradient norms of the last layer of all arrivals of so many rounds, (samples,)."""
    seen = (every_score(scorer, network, stream, first + place) for place in range(rounds))
    return np.concatenate([gradient_norms(each.scores, "last_layer") for each in seen])


def stability(state: int, lag: int, now: np.ndarray, later: np.ndarray) -> Stability:
    """Return the row of the samples' importance at `state` and `lag` rounds later, (samples,)."""
    return Stability(
        state,
        lag,
        float(pearsonr(now, later).statistic),
        float(spearmanr(now, later).statistic),
        len(now),
    )
