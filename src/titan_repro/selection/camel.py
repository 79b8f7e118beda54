"""Camel: greedy facility location on raw inputs (Li, Shen and Chen, SIGMOD 2022).

Their coreset bounds the gradient error by distances between inputs, so it needs no model.
"""

from collections.abc import Mapping
from typing import Any

import torch

from titan_repro.selection.base import Needs, Scores, Selection, check_batch, required
from titan_repro.selection.facility_location import covering


class Camel:
    """Keeps the B candidates that cover the round's inputs best, weighted by what they cover."""

    needs = Needs.INPUTS

    def select(self, candidates: Scores, batch_size: int, generator: torch.Generator) -> Selection:
        """Choose greedily; weights are cluster sizes divided by their mean."""
        check_batch(candidates, batch_size)
        points = required(candidates.inputs, "inputs").flatten(1).double()  # (N, D)
        finite = points.sum(dim=1).isfinite()
        return covering(points @ points.T, finite, batch_size, generator)

    def state_dict(self) -> Mapping[str, Any]:
        """Return nothing: rounds are independent."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore nothing."""
