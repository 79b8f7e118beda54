"""LL and HL: the candidates of lowest or highest loss.

LL follows Shah, Wu and Sanghavi 2020, who draw k samples for each place in the batch and keep the
one of lowest loss; with a round's candidates as the draw that is one ranking. HL is the common
opposite (Coleman et al. 2020, "Selection via Proxy").
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from titan_repro.selection.base import (
    Needs,
    Scores,
    Selection,
    check_batch,
    check_choice,
    required,
)
from titan_repro.selection.sampling import select_highest


def cross_entropies(logits: Tensor, labels: Tensor) -> Tensor:
    """Return each sample's cross-entropy, (N,) float64."""
    return -logits.double().log_softmax(dim=1).gather(1, labels.unsqueeze(1)).squeeze(1)


class LossRanking:
    """Keeps the B candidates of lowest (`prefer` "low") or highest ("high") cross-entropy."""

    needs = Needs.LOGITS

    def __init__(self, prefer: str) -> None:
        check_choice("prefer", prefer, ("low", "high"))
        self.prefer = prefer

    def select(self, candidates: Scores, batch_size: int, generator: torch.Generator) -> Selection:
        """Rank by loss; of equal losses the earlier candidate."""
        check_batch(candidates, batch_size)
        losses = cross_entropies(required(candidates.logits, "logits"), candidates.labels)
        scores = losses if self.prefer == "high" else -losses
        return select_highest(scores, batch_size, generator)

    def state_dict(self) -> Mapping[str, Any]:
        """Return nothing: rounds are independent."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore nothing."""
