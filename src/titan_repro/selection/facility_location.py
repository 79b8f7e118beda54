"""Greedy facility location: B candidates that lie near all others, each weighted by what it covers.

Choose S to make mean_i min_{j in S} |x_i - x_j| small; a pick stands for all that are nearest to
it. Camel does so with inputs, CRAIG with gradients.
"""

import torch
from torch import Tensor

from titan_repro.selection.base import Selection
from titan_repro.selection.sampling import ranking_probabilities, shuffled

SAME = 1e-13
"""Squared distances below this part of the squared norms are rounding: the points are the same."""


def covering(
    products: Tensor, finite: Tensor, batch_size: int, generator: torch.Generator
) -> Selection:
    """Select greedily the B points that cover all; weights are cluster sizes over their mean.

    products: (N, N) float64, inner products of the points.
    finite: (N,) bool, points that can be compared; the others fill a batch for want of these.
    """
    lottery = shuffled(len(finite), generator)
    between = distances(products).masked_fill(~finite.unsqueeze(1), torch.inf)
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


def distances(products: Tensor) -> Tensor:
    """Return Euclidean distances between points, (N, N), from their inner products (N, N)."""
    squares = products.diagonal()
    scale = squares.unsqueeze(0) + squares.unsqueeze(1)
    squared = scale - 2 * products
    return squared.masked_fill(squared <= SAME * scale, 0.0).sqrt()


def facilities(between: Tensor, finite: Tensor, lottery: Tensor, batch_size: int) -> Tensor:
    """Choose greedily the candidates that reduce the mean distance most; (B,) in order of choice.

    between: (N, N), from candidate (row) to sample (column); infinite rows and zero columns for
        points that are not finite. lottery: (N,) a random order in which such candidates fill a
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
