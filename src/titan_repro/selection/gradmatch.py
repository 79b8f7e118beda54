"""GRAD-MATCH: a weighted batch whose gradient matches the round's (Killamsetty et al., ICML 2021).

Orthogonal matching pursuit. With G the sum of all candidates' gradients, make

    |sum_{i in S} w_i g_i - G|^2 + regulariser * |w|^2,    w >= 0,

small: add the candidate with which the error correlates most, <g_i, G - sum w g>, solve for all
weights again, and so on. Of the gradients only their inner products are needed. Where they choose a
part of the training set (or of its batches), every few epochs, this chooses each round's batch.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch

from titan_repro.errors import ConfigurationError
from titan_repro.selection.base import Scores, Selection, check_batch
from titan_repro.selection.gradients import finite_products, needs_of
from titan_repro.selection.sampling import completed, shuffled

DECIMALS = 9
"""Correlations are divided by the largest norm and the sum of norms, and rounded, so that equal
ones tie and no rounding error is matched."""

RESOLUTION = 1e-10
"""RESOLUTION: a regulariser below this part of the largest squared norm would be lost in rounding,
and is raised to it: gradients of a network that diverges would have no solution."""


class GradientMatching:
    """Keeps the B candidates of matching pursuit, with its weights divided by their mean.

    gradient: last_layer | logits.
    regulariser: on the squared weights, above 0; 0.5 as in their experiments. It keeps weights
        apart from 0 and finite where gradients depend on each other.

    If no other candidate correlates with the error, the rest of the batch is drawn uniformly and
    counts once each, as in their code; all weights are equal if no gradient can be matched.
    """

    def __init__(
        self,
        gradient: Literal["last_layer", "logits"] = "last_layer",
        regulariser: float = 0.5,
    ) -> None:
        self.needs = needs_of(gradient, ("last_layer", "logits"))
        if not 0 < regulariser < np.inf:
            raise ConfigurationError(
                f"regulariser: found {regulariser}; allowed: finite numbers above 0"
            )
        self.gradient = gradient
        self.regulariser = regulariser

    @np.errstate(invalid="ignore", over="ignore")  # a gradient may be infinite or NaN
    def select(self, candidates: Scores, batch_size: int, generator: torch.Generator) -> Selection:
        """Choose greedily; of equal correlations the earlier candidate."""
        check_batch(candidates, batch_size)
        lottery = shuffled(len(candidates), generator).numpy()
        products, finite = finite_products(candidates, self.gradient)
        picks, matched = pursuit(products, batch_size, self.regulariser)
        weights = np.ones(batch_size)
        weights[: len(picks)] = matched
        selection = completed(picks, finite, batch_size, lottery)
        return replace(selection, weights=torch.from_numpy(weights / weights.mean()).float())

    def state_dict(self) -> Mapping[str, Any]:
        """Return nothing: rounds are independent."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore nothing."""


def pursuit(
    products: np.ndarray, batch_size: int, regulariser: float
) -> tuple[list[int], np.ndarray]:
    """Return at most B picks in order of choice, and their weights, the last solution's.

    products: (N, N) <g_i, g_j>. Fewer picks if no other gradient correlates with the error.
    """
    norms = np.sqrt(products.diagonal())
    scale = norms.max() * norms.sum() or 1.0
    target = products.sum(axis=1)  # <g_i, G>
    picks: list[int] = []
    weights = np.zeros(0)
    while len(picks) < batch_size:
        error = target - (products[:, picks] * weights).sum(axis=1)
        correlations = (error / scale).round(DECIMALS)
        correlations[picks] = -np.inf
        pick = int(correlations.argmax())
        if correlations[pick] <= 0:
            break
        picks.append(pick)
        weights = matching_weights(products[np.ix_(picks, picks)], target[picks], regulariser)
    return picks, weights


def matching_weights(products: np.ndarray, target: np.ndarray, regulariser: float) -> np.ndarray:
    """Return the w >= 0, (k,), that minimises w (K + regulariser) w - 2 w target.

    products: (k, k) K. With K + regulariser = L L^T that is |L^T w - L^-1 target|^2 and a constant.
    """
    # The board knows every policy, and only runs of this one need a solver that loads so long.
    from scipy.linalg import solve_triangular
    from scipy.optimize import nnls

    added = max(regulariser, RESOLUTION * products.diagonal().max())
    lower = np.linalg.cholesky(products + added * np.eye(len(products)))
    weights: np.ndarray = nnls(lower.T, solve_triangular(lower, target, lower=True))[0]
    return weights
