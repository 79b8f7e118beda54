"""CE: the candidates that the model is least sure of (Settles 2009; Coleman et al. 2020)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from titan_repro.selection.base import Needs, Scores, Selection, check_batch, required
from titan_repro.selection.sampling import select_highest


def output_entropies(logits: Tensor) -> Tensor:
    """Return the entropy of each sample's softmax output in nats, (N,) float64."""
    terms: Tensor = torch.special.entr(logits.double().softmax(dim=1))  # (N, C)
    return terms.sum(dim=1)


class EntropyRanking:
    """Keeps the B candidates whose softmax output has the highest entropy. Ignores labels."""

    needs = Needs.LOGITS

    def select(self, candidates: Scores, batch_size: int, generator: torch.Generator) -> Selection:
        """Rank by entropy; of equal entropies the earlier candidate."""
        check_batch(candidates, batch_size)
        entropies = output_entropies(required(candidates.logits, "logits"))
        return select_highest(entropies, batch_size, generator)

    def state_dict(self) -> Mapping[str, Any]:
        """Return nothing: rounds are independent."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore nothing."""
