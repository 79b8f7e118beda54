"""The candidates of largest gradient: grad_topk and, with the gradient of the logits, EL2N.

Paul, Ganguli and Dziugaite 2021 ("Deep Learning on a Data Diet") score a sample by the norm of its
gradient (GraNd) or of its error |p - y| (EL2N), which is the gradient of the logits, and keep the
highest. They average over several networks early in training and prune once; here the network as
it is scores each round.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from titan_repro.choices import Gradient
from titan_repro.selection.base import Scores, Selection, check_batch
from titan_repro.selection.gradients import gradient_norms, needs_of
from titan_repro.selection.sampling import select_highest


class GradientNormRanking:
    """Keeps the B candidates of largest gradient norm.

    gradient: last_layer | logits | full, whose norm is meant.
    """

    def __init__(self, gradient: Gradient = "last_layer") -> None:
        self.needs = needs_of(gradient)
        self.gradient = gradient

    @np.errstate(invalid="ignore", over="ignore")  # a gradient may be infinite or NaN
    def select(self, candidates: Scores, batch_size: int, generator: torch.Generator) -> Selection:
        """Rank by norm; of equal norms the earlier candidate."""
        check_batch(candidates, batch_size)
        norms = gradient_norms(candidates, self.gradient, lengths_in=torch.float32)
        return select_highest(torch.from_numpy(norms), batch_size, generator)

    def state_dict(self) -> Mapping[str, Any]:
        """Return nothing: rounds are independent."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore nothing."""
