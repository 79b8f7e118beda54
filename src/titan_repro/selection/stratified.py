"""Stratified: a class-proportional random batch, the control of every policy that splits by class.

Whatever a policy with class quotas gains over this one, it does not owe to steadier class counts.
"""

from collections.abc import Mapping
from typing import Any

import torch

from titan_repro.selection.base import Needs, Scores, Selection, check_batch
from titan_repro.selection.sampling import shuffled


class StratifiedSampling:
    """Draws B different candidates, of every class its share to within one. Looks at labels only.

    The N candidates stand in a row, class after class and in random order inside a class, and a
    systematic draw goes through the row. Everyone has the inclusion number B/N, so the batch
    gradient is unbiased. Positions are whole numbers (`sampling.draw` rounds, which at a thousand
    candidates can put the end of a class on the wrong side of a point).
    """

    needs = Needs.NOTHING

    def select(self, candidates: Scores, batch_size: int, generator: torch.Generator) -> Selection:
        """Choose `batch_size` candidates, of class y the floor or ceiling of B n_y / N."""
        check_batch(candidates, batch_size)
        labels, size = candidates.labels, len(candidates)
        order = shuffled(size, generator)
        row = order[labels[order].argsort(stable=True)]
        start = torch.randint(size, (1,), generator=generator)
        points = start + size * torch.arange(batch_size)
        weights = torch.ones(batch_size)
        return Selection(
            indices=row[points // batch_size],  # place j of the row is B long: from jB to (j + 1)B
            weights=weights,
            probabilities=weights * (batch_size / size),
        )

    def state_dict(self) -> Mapping[str, Any]:
        """Return nothing: rounds are independent."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore nothing."""
