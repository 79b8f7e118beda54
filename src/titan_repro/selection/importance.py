"""IS: importance sampling by gradient norm (Katharopoulos & Fleuret 2018; paper Lemma 1)."""

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
import torch

from titan_repro.selection.base import Scores, Selection, check_batch, check_choice
from titan_repro.selection.gradients import Gradient, gradient_norms, needs_of
from titan_repro.selection.sampling import (
    Sampling,
    Weighting,
    distinct_inclusion_numbers,
    draw,
    inclusion_numbers,
    pick_weights,
    usable_scores,
)


class ImportanceSampling:
    """Draws candidates with probability proportional to their gradient norm.

    gradient: last_layer | logits | full, whose norm is meant.
    weighting: unbiased (theirs: a pick weighs 1 / (N p)) | none | self_normalised.
    sampling: multinomial (theirs: independent draws with replacement) | systematic |
        without_replacement.

    The defaults are the method as published; they do not follow the keys of C-IS. If all norms
    are zero, or none is finite, the draw is uniform.
    """

    def __init__(
        self,
        gradient: Gradient = "last_layer",
        weighting: Weighting = "unbiased",
        sampling: Sampling = "multinomial",
    ) -> None:
        self.needs = needs_of(gradient)
        check_choice("weighting", weighting, get_args(Weighting))
        check_choice("sampling", sampling, get_args(Sampling))
        self.gradient = gradient
        self.weighting = weighting
        self.sampling = sampling

    @np.errstate(invalid="ignore", over="ignore")  # a gradient may be infinite or NaN
    def select(self, candidates: Scores, batch_size: int, generator: torch.Generator) -> Selection:
        """Draw `batch_size` candidates; unbiased weights estimate their mean gradient."""
        check_batch(candidates, batch_size)
        norms, labels = gradient_norms(candidates, self.gradient), candidates.labels.numpy()
        scores, usable = usable_scores(norms)
        distinct = self.sampling == "without_replacement"
        allot = distinct_inclusion_numbers if distinct else inclusion_numbers
        one_class, importance = np.zeros_like(labels), np.ones(1)
        numbers = allot(scores, usable, one_class, importance, batch_size)
        picks = draw(numbers, labels, batch_size, self.sampling, generator)
        return Selection(
            indices=torch.from_numpy(picks),
            weights=pick_weights(numbers, usable / usable.sum(), picks, self.weighting),
            probabilities=torch.from_numpy(numbers[picks].astype(np.float32)),
            nonfinite=int(np.count_nonzero(~np.isfinite(norms))),
        )

    def state_dict(self) -> Mapping[str, Any]:
        """Return nothing: rounds are independent."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore nothing."""
