"""UDS: utility and diversity of logits (Zou et al. 2025, arXiv 2510.16882, and their code).

"Utility-Diversity Aware Online Batch Selection" scores a text by the nuclear norm of its matrix of
logits, one row a token, plus alpha times its mean distance to the texts chosen before, which a
first-in first-out memory holds as random projections of their logits; with an empty memory the
distance is 0. The highest scores are trained.

A sample with one row of logits z has the nuclear norm |z|. Ten classes need no projection, so
distances are between logits. Their alpha (0.0015 to 0.0025) belongs to projections that are not
normed: lengths grow by sqrt(tokens * vocabulary) / 2, some thousands, so it stands for 7 to 11 at
the logits' own length, beside a norm of hundreds of rows; 1 here, which gives both terms one unit.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from titan_repro.errors import ConfigurationError
from titan_repro.selection.base import Needs, Scores, Selection, check_batch, required
from titan_repro.selection.sampling import select_highest


class UtilityDiversitySampling:
    """Keeps the B candidates of highest |z| + alpha * mean distance to the remembered logits.

    alpha: weight of diversity, at least 0. memory: logits remembered, at least 1 (theirs: 1,024).
    """

    needs = Needs.LOGITS

    def __init__(self, alpha: float = 1.0, memory: int = 1024) -> None:
        if not 0 <= alpha < np.inf:
            raise ConfigurationError(f"alpha: found {alpha}; allowed: finite numbers of at least 0")
        if memory < 1:
            raise ConfigurationError(f"memory: found {memory}; allowed: whole numbers from 1 on")
        self.alpha = alpha
        self.memory = memory
        self._remembered: Tensor | None = None  # (at most memory, C) float32, the oldest first

    @np.errstate(invalid="ignore", over="ignore")  # a logit may be infinite or NaN
    def select(self, candidates: Scores, batch_size: int, generator: torch.Generator) -> Selection:
        """Rank by score, of equal scores the earlier candidate, and remember the picks' logits."""
        # The board knows every policy, and only runs of this one need what loads so long.
        from scipy.spatial.distance import cdist

        check_batch(candidates, batch_size)
        logits = required(candidates.logits, "logits")
        points = logits.double().numpy()  # (N, C)
        scores = np.sqrt((points**2).sum(axis=1))
        if self._remembered is not None:
            distances = cdist(points, self._remembered.double().numpy())
            scores = scores + self.alpha * distances.mean(axis=1)
        selection = select_highest(torch.from_numpy(scores), batch_size, generator)
        self._remember(logits[selection.indices])
        return selection

    def _remember(self, chosen: Tensor) -> None:
        """Put the finite rows of `chosen` (B, C) into the memory, and drop the oldest."""
        finite = chosen[chosen.isfinite().all(dim=1)]
        if len(finite) > 0:
            before = finite[:0] if self._remembered is None else self._remembered
            self._remembered = torch.cat([before, finite])[-self.memory :].clone()

    def state_dict(self) -> Mapping[str, Any]:
        """Return the remembered logits, {} before there are any."""
        return {} if self._remembered is None else {"remembered": self._remembered}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        remembered = state.get("remembered")
        self._remembered = None if remembered is None else remembered.cpu().clone()
