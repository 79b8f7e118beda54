"""DivBS: picks that add the most to the mean gradient's projection (Hong et al., ICML 2024).

"Diversified Batch Selection for Training Acceleration" judges a batch as a group, by what of the
candidates' summed gradient G lies in the span of its own gradients, |P_S G|: what two picks share
counts once. The greedy rule adds the candidate whose part orthogonal to the picks so far has the
largest projection,

    <e_i, G>    with e_i = (g_i - P_S g_i) / |g_i - P_S g_i|

since |P_{S+i} G|^2 = |P_S G|^2 + <e_i, G>^2. Of the gradients only their inner products are needed.
This is the objective's own greedy maximiser; published code draws picks in proportion to
|<g_i, G - P_S G>| instead of taking the largest.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch

from titan_repro.selection.base import Scores, Selection, check_batch
from titan_repro.selection.gradients import finite_products, needs_of
from titan_repro.selection.sampling import completed, shuffled

DEPENDENT = 1e-9
"""DEPENDENT: less than this part of a squared gradient outside the picks' span is rounding."""

CANCELLED = 1e-13
"""CANCELLED: a squared sum of gradients below this part of the squared sum of norms is rounding."""

DECIMALS = 9
"""Gains over |G| are rounded, so that equal ones tie."""


class DiversifiedBatchSelection:
    """Keeps the B candidates that span most of the summed gradient; weights are 1.

    gradient: last_layer | logits.

    If no other candidate adds anything, the rest of the batch is drawn uniformly.
    """

    def __init__(self, gradient: Literal["last_layer", "logits"] = "last_layer") -> None:
        self.needs = needs_of(gradient, ("last_layer", "logits"))
        self.gradient = gradient

    @np.errstate(invalid="ignore", over="ignore")  # a gradient may be infinite or NaN
    def select(self, candidates: Scores, batch_size: int, generator: torch.Generator) -> Selection:
        """Choose greedily; of equal gains the earlier candidate."""
        check_batch(candidates, batch_size)
        lottery = shuffled(len(candidates), generator).numpy()
        products, finite = finite_products(candidates, self.gradient)
        return completed(spanning(products, batch_size), finite, batch_size, lottery)

    def state_dict(self) -> Mapping[str, Any]:
        """Return nothing: rounds are independent."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore nothing."""


def spanning(products: np.ndarray, batch_size: int) -> list[int]:
    """Return at most B picks in order of choice, fewer if no other adds to the projection.

    products: (N, N) <g_i, g_j>, which are orthogonalised pick by pick (pivoted Cholesky).
    """
    squares = products.diagonal()
    total = products.sum()  # |G|^2
    if total <= CANCELLED * np.sqrt(squares).sum() ** 2:
        return []
    rest = squares.copy()  # |g_i - P_S g_i|^2
    along = products.sum(axis=1)  # <g_i - P_S g_i, G>
    parts = np.zeros((len(products), batch_size))  # <g_i, e_k> of the picks so far
    picks: list[int] = []
    while len(picks) < batch_size:
        open_to = rest > DEPENDENT * squares
        gains = np.abs(along) / np.sqrt(np.where(open_to, rest, 1.0) * total)
        gains = np.where(open_to, gains, 0.0).round(DECIMALS)
        pick = int(gains.argmax())
        if gains[pick] == 0:
            break
        length = np.sqrt(rest[pick])
        own = (products[pick] - (parts * parts[pick]).sum(axis=1)) / length
        along = along - own * (along[pick] / length)
        rest = rest - own**2
        rest[pick] = 0.0
        parts[:, len(picks)] = own
        picks.append(pick)
    return picks
