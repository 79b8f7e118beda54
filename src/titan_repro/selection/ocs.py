"""OCS: online coreset selection (Yoon et al., ICLR 2022), without a reference set.

A candidate scores its similarity to the mean gradient plus its diversity among the candidates:

    cos(mean g, g_i) - mean_j cos(g_i, g_j)        (j = i included)

Their third term, tau * cos(g_ref, g_i), keeps a memory of earlier tasks; there is none here.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from titan_repro.selection.base import Scores, Selection, check_batch
from titan_repro.selection.gradients import gradient_products, needs_of
from titan_repro.selection.sampling import select_highest

DECIMALS = 9
"""Scores are rounded: where similarity and diversity cancel, nothing but rounding would rank."""


def coreset_scores(products: Tensor) -> Tensor:
    """Return every candidate's score, (N,) float64; NaN where its gradient is not finite.

    products: (N, N) <g_i, g_j>, from which <mean g, g_i> is the mean of row i and |mean g|^2 the
        mean of all. The cosine with a zero gradient counts as zero.
    """
    norms = products.diagonal().sqrt()
    unusable = ~norms.isfinite()
    products = products.masked_fill(unusable.unsqueeze(0) | unusable.unsqueeze(1), 0.0)
    lengths = norms.masked_fill(unusable | (norms == 0), 1.0)
    total = math.sqrt(max(products.sum().item(), 0.0)) or 1.0  # N |mean g|
    similarity = products.sum(dim=1) / (lengths * total)
    cosines = products / (lengths.unsqueeze(0) * lengths.unsqueeze(1))
    redundancy = cosines.sum(dim=1) / (~unusable).sum().clamp_min(1)
    return (similarity - redundancy).round(decimals=DECIMALS).masked_fill(unusable, torch.nan)


class OnlineCoresetSelection:
    """Keeps the B candidates of highest similarity plus diversity.

    gradient: last_layer | logits.
    """

    def __init__(self, gradient: str = "last_layer") -> None:
        self.needs = needs_of(gradient, ("last_layer", "logits"))
        self.gradient = gradient

    def select(self, candidates: Scores, batch_size: int, generator: torch.Generator) -> Selection:
        """Rank by score; of equal scores the earlier candidate."""
        check_batch(candidates, batch_size)
        scores = coreset_scores(torch.from_numpy(gradient_products(candidates, self.gradient)))
        return select_highest(scores, batch_size, generator)

    def state_dict(self) -> Mapping[str, Any]:
        """Return nothing: rounds are independent."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore nothing."""
