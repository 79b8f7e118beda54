"""Camel: greedy facility location on raw inputs (Li, Shen and Chen, SIGMOD 2022).

Their coreset bounds the gradient error by distances between inputs, so it needs no model: choose S
to make mean_i min_{j in S} |x_i - x_j| small, and let a pick stand for all that are nearest to it.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from titan_repro.selection.base import Needs, Scores, Selection, check_batch, required
from titan_repro.selection.sampling import ranking_probabilities, shuffled

SAME = 1e-13
"""Squared distances below this part of the squared norms are rounding: the inputs are the same."""


def distances(points: Tensor) -> Tensor:
    """Return Euclidean distances between the rows of (N, D) float64, (N, N)."""
    products = points @ points.T
    squares = products.diagonal()
    scale = squares.unsqueeze(0) + squares.unsqueeze(1)
    squared = scale - 2 * products
    return squared.masked_fill(squared <= SAME * scale, 0.0).sqrt()


def facilities(between: Tensor, finite: Tensor, lottery: Tensor, batch_size: int) -> Tensor:
    """Choose greedily the candidates that reduce the mean distance most; (B,) in order of choice.

    between: (N, N), from candidate (row) to sample (column); infinite rows and zero columns for
        inputs that are not finite. lottery: (N,) a random order in which such candidates fill a
        batch that has used up the others.

    Costs are compared in float32, so that equal ones tie, to the earlier candidate.
    """
    last_resort = 1e300 * (1 + lottery.double() / len(finite))
    nearest = torch.full_like(between[0], torch.inf)
    chosen = torch.zeros_like(finite)
    picks: list[int] = []
    for _ in range(batch_size):
        costs = torch.minimum(between, nearest).sum(dim=1).float().double()
        costs = torch.where(finite, costs, last_resort).masked_fill(chosen, torch.inf)
        pick = int(costs.argmin(dim=0))  # the earliest of equal ones
        nearest = torch.minimum(nearest, between[pick])
        chosen[pick] = True
        picks.append(pick)
    return torch.tensor(picks)


def cluster_sizes(between: Tensor, finite: Tensor, picks: Tensor) -> Tensor:
    """Return how many finite samples are nearest to each pick, (B,); ties go to the first."""
    owners = between[picks].float().argmin(dim=0)  # (N,)
    return torch.zeros_like(between[picks, 0]).scatter_add(0, owners, finite.to(between.dtype))


class Camel:
    """Keeps the B candidates that cover the round's inputs best, weighted by what they cover."""

    needs = Needs.INPUTS

    def select(self, candidates: Scores, batch_size: int, generator: torch.Generator) -> Selection:
        """Choose greedily; weights are cluster sizes divided by their mean."""
        check_batch(candidates, batch_size)
        points = required(candidates.inputs, "inputs").flatten(1).double()  # (N, D)
        finite = points.sum(dim=1).isfinite()
        lottery = shuffled(len(candidates), generator)
        between = distances(points).masked_fill(~finite.unsqueeze(1), torch.inf)
        between = between.masked_fill(~finite.unsqueeze(0), 0.0)
        picks = facilities(between, finite, lottery, batch_size)
        sizes = cluster_sizes(between, finite, picks)
        if not finite.any():
            sizes = torch.ones_like(sizes)  # nothing to cover: equal weights
        return Selection(
            indices=picks,
            weights=(sizes / sizes.mean()).float(),
            probabilities=ranking_probabilities(finite.numpy(), picks.numpy()),
            nonfinite=int((~finite).sum()),
        )

    def state_dict(self) -> Mapping[str, Any]:
        """Return nothing: rounds are independent."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore nothing."""
