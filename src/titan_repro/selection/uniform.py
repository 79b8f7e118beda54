"""RS: uniform random selection without replacement, the baseline of every comparison."""

from collections.abc import Mapping
from typing import Any

import torch

from titan_repro.selection.base import Needs, Scores, Selection, check_batch
from titan_repro.selection.sampling import shuffled


class UniformSampling:
    """Draws B different candidates, all sets equally likely. Looks at nothing."""

    needs = Needs.NOTHING

    def select(self, candidates: Scores, batch_size: int, generator: torch.Generator) -> Selection:
        """Choose `batch_size` candidates uniformly; the batch gradient is unbiased."""
        check_batch(candidates, batch_size)
        weights = torch.ones(batch_size)
        return Selection(
            indices=shuffled(len(candidates), generator)[:batch_size],
            weights=weights,
            probabilities=weights * (batch_size / len(candidates)),
        )

    def state_dict(self) -> Mapping[str, Any]:
        """Return nothing: rounds are independent."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore nothing."""
