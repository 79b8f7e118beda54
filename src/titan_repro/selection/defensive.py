"""Defensive importance sampling: a share of the batch by what is still wrong, the rest at random.

A selector of this project's own, not of the paper; docs/selector.md has its reasons and its trials.
Of M candidates, number i is expected in the batch of B

    pi_i = min(1, c (share s_i / sum of all s + (1 - share) / M)),    s_i = |g_i|^power,

times, with the c for which the sum of pi is B, and trained with weight 1. By default s = |p - y|^2,
the candidate's Brier score, which costs a forward pass and is at most 2. The batch is meant to be
biased: it leans towards what the network still gets wrong, classes and samples alike. A share below
1 bounds how far: as c >= B, nobody is expected less than (1 - share) times as often as in a random
batch, and no class is; nobody comes twice. Mixing the uniform distribution into a proposal is
Hesterberg's defensive mixture (Technometrics 1995), who bounds the weights of an estimate by it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from titan_repro.choices import Gradient
from titan_repro.errors import ConfigurationError
from titan_repro.selection.base import Scores, Selection, check_batch
from titan_repro.selection.gradients import gradient_norms, needs_of
from titan_repro.selection.sampling import distinct_inclusion_numbers, draw, usable_scores


class DefensiveImportanceSampling:
    """Draws B different candidates, by a mixture of gradient norms and the uniform distribution.

    gradient: last_layer | logits (default) | full, whose norm |g| is meant.
    share: of the batch that norms distribute, 0 to 1 (default); 0 is a class-stratified random
        batch.
    power: of the norm, above 0; the larger, the more goes to the largest norms.

    The draw is systematic along the classes (`sampling.draw`): how many of a class are in the batch
    is within one of the sum of their pi. Candidates without a finite norm are taken for want of
    others only.
    """

    def __init__(
        self, gradient: Gradient = "logits", share: float = 1.0, power: float = 2.0
    ) -> None:
        self.needs = needs_of(gradient)
        if not 0 <= share <= 1:
            raise ConfigurationError(f"share: found {share}; allowed: 0 to 1")
        if not 0 < power < np.inf:
            raise ConfigurationError(f"power: found {power}; allowed: finite numbers above 0")
        self.gradient = gradient
        self.share = share
        self.power = power

    @np.errstate(invalid="ignore", over="ignore")  # a gradient may be infinite or NaN
    def select(self, candidates: Scores, batch_size: int, generator: torch.Generator) -> Selection:
        """Draw `batch_size` different candidates, all of weight 1."""
        check_batch(candidates, batch_size)
        norms = gradient_norms(candidates, self.gradient)
        numbers = self._inclusion_numbers(norms, batch_size)
        labels = candidates.labels.numpy()
        picks = draw(numbers, labels, batch_size, "without_replacement", generator)
        return Selection(
            indices=torch.from_numpy(picks),
            weights=torch.ones(batch_size),
            probabilities=torch.from_numpy(numbers[picks].astype(np.float32)),
            nonfinite=int(np.count_nonzero(~np.isfinite(norms))),
        )

    def _inclusion_numbers(self, norms: np.ndarray, batch_size: int) -> np.ndarray:
        """Return pi, (M,) of sum B, given norms (M,)."""
        scores, usable = usable_scores(norms**self.power)
        mixed = self.share * scores + (1 - self.share) * usable * scores[usable].mean()
        one_class, importance = np.zeros(len(norms), dtype=np.int64), np.ones(1)
        return distinct_inclusion_numbers(mixed, usable, one_class, importance, batch_size)

    def state_dict(self) -> Mapping[str, Any]:
        """Return nothing: rounds are independent."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore nothing."""
