"""Camel: greedy facility location on raw inputs (Li, Shen and Chen, SIGMOD 2022).

Their coreset bounds the gradient error by distances between inputs, so it needs no model.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, get_args

import torch

from titan_repro.selection.base import (
    Needs,
    Scores,
    Selection,
    check_batch,
    check_choice,
    required,
)
from titan_repro.selection.facility_location import covering

Weights = Literal["cluster_sizes", "equal"]


class Camel:
    """Keeps the B candidates that cover the round's inputs best, weighted by what they cover.

    weights: cluster_sizes (theirs: a pick weighs as much as it covers) | equal, one for all.
    """

    needs = Needs.INPUTS

    def __init__(self, weights: Weights = "cluster_sizes") -> None:
        check_choice("weights", weights, get_args(Weights))
        self.weights = weights

    def select(self, candidates: Scores, batch_size: int, generator: torch.Generator) -> Selection:
        """Choose greedily; cluster sizes are divided by their mean, so that weights add to B."""
        check_batch(candidates, batch_size)
        points = required(candidates.inputs, "inputs").flatten(1).double()  # (N, D)
        finite = points.sum(dim=1).isfinite()
        chosen = covering(points @ points.T, finite, batch_size, generator)
        if self.weights == "equal":
            return replace(chosen, weights=torch.ones(batch_size))
        return chosen

    def state_dict(self) -> Mapping[str, Any]:
        """Return nothing: rounds are independent."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore nothing."""
