"""CRAIG: greedy facility location on gradients (Mirzasoleiman, Bilmes and Leskovec, ICML 2020).

The error of a weighted subset's gradient is at most the sum over samples of the distance from their
gradient to the nearest one in the subset. Theirs is a subset of the training set, chosen class by
class and now and then; here it is the batch, chosen among all candidates of the round.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch

from titan_repro.selection.base import Scores, Selection, check_batch
from titan_repro.selection.facility_location import covering
from titan_repro.selection.gradients import gradient_products, needs_of


class Craig:
    """Keeps the B candidates whose gradients cover the round's best, weighted by what they cover.

    gradient: last_layer | logits.
    """

    def __init__(self, gradient: Literal["last_layer", "logits"] = "last_layer") -> None:
        self.needs = needs_of(gradient, ("last_layer", "logits"))
        self.gradient = gradient

    @np.errstate(invalid="ignore", over="ignore")  # a gradient may be infinite or NaN
    def select(self, candidates: Scores, batch_size: int, generator: torch.Generator) -> Selection:
        """Choose greedily; weights are cluster sizes divided by their mean."""
        check_batch(candidates, batch_size)
        products = torch.from_numpy(gradient_products(candidates, self.gradient))
        return covering(products, products.diagonal().isfinite(), batch_size, generator)

    def state_dict(self) -> Mapping[str, Any]:
        """Return nothing: rounds are independent."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore nothing."""
