"""IS: importance sampling by gradient norm (Katharopoulos & Fleuret 2018; paper Lemma 1)."""

from collections.abc import Mapping
from typing import Any, get_args

import torch

from titan_repro.choices import Gradient, Sampling, Weighting
from titan_repro.selection.base import Candidates, Selection, check_batch, check_choice
from titan_repro.selection.inclusion import clean, inclusion_numbers
from titan_repro.selection.sampling import draw, pick_weights
from titan_repro.selection.statistics import gradient_norms, needs_of


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

    def select(
        self, candidates: Candidates, batch_size: int, generator: torch.Generator
    ) -> Selection:
        """Draw `batch_size` candidates; unbiased weights estimate their mean gradient."""
        check_batch(candidates, batch_size)
        scores = clean(gradient_norms(candidates, self.gradient))
        numbers = inclusion_numbers(
            scores,
            torch.zeros_like(candidates.labels),  # one stratum
            scores.values.new_ones(1),
            batch_size,
            distinct=self.sampling == "without_replacement",
        )
        indices = draw(numbers, candidates.labels, batch_size, self.sampling, generator)
        target = scores.usable / scores.usable.sum().double()
        return Selection(
            indices=indices,
            weights=pick_weights(numbers, target, indices, self.weighting),
            probabilities=numbers[indices].float(),
            nonfinite=scores.nonfinite,
        )

    def state_dict(self) -> Mapping[str, Any]:
        """Return nothing: rounds are independent."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore nothing."""
