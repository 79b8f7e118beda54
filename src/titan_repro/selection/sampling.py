"""From inclusion numbers or scores to a batch: draws, weights, rankings.

Random numbers are drawn on the CPU and moved, so that every device sees the same ones, and moved
without waiting for the device.
"""

import torch
from torch import Tensor

from titan_repro.selection.base import Selection

GRID = 2**40
"""A systematic start is the middle of one of so many cells of [0, 1): u + k is then exact, and no
rounding of cumulative sums moves an end that should be a whole number across a point."""


def draw(
    numbers: Tensor, labels: Tensor, batch_size: int, sampling: str, generator: torch.Generator
) -> Tensor:
    """Draw B candidates so that candidate i is expected numbers[i] times; return indices (B,).

    numbers: (N,) float64 >= 0 with sum B; at most 1 each for without_replacement.
    labels: (N,) int64. The candidates are put on a line, class after class and in arrival order
    inside a class, each as long as its number.

    systematic: the points u + 0, ..., u + B - 1 with one uniform u: class counts are always within
        one of the sum of the class's numbers, and a candidate's count within one of its own.
    without_replacement: the same points; with numbers of at most 1 no candidate is hit twice.
    multinomial: B independent uniform points.
    """
    device = numbers.device
    steps = torch.arange(batch_size, device=device)
    if sampling == "multinomial":
        uniform = torch.rand(batch_size, dtype=torch.float64, generator=generator)
        points = uniform.to(device, non_blocking=True) * batch_size
    else:
        start = torch.randint(GRID, (1,), generator=generator)
        points = (start.to(device, non_blocking=True).double() + 0.5) / GRID + steps
    order = labels.argsort(stable=True)
    positions = _locate(numbers[order], points)
    if sampling == "without_replacement":
        positions = _strictly_increasing(positions, steps, len(numbers))
    return order[positions]


def _locate(lengths: Tensor, points: Tensor) -> Tensor:
    """Return which of the intervals laid end to end each point falls into, never an empty one."""
    places = torch.arange(len(lengths), device=lengths.device)
    last = (places * (lengths > 0)).amax()  # rounding may leave the ends short of the last point
    found = torch.searchsorted(lengths.cumsum(dim=0), points, right=True)
    return torch.minimum(found, last)


def _strictly_increasing(positions: Tensor, steps: Tensor, size: int) -> Tensor:
    """Part the two points that rounding can put into one interval of length one."""
    parted = (positions - steps).cummax(dim=0).values + steps
    return torch.minimum(parted, steps + (size - len(steps)))


def pick_weights(numbers: Tensor, target: Tensor, indices: Tensor, weighting: str) -> Tensor:
    """Return the loss weight of each pick, (B,) float32.

    none: 1. unbiased: B target_i / pi_i, for which the mean of w_i g_i over the batch has the
    expectation sum_i target_i g_i, as long as pi_i > 0 wherever target_i g_i is not zero (paper
    A.2). self_normalised: the same divided by their mean.

    numbers: (N,) pi. target: (N,) coefficients of the gradient that is estimated.
    """
    if weighting == "none":
        return torch.ones_like(indices, dtype=torch.float32)
    weights = len(indices) * target[indices] / numbers[indices]
    if weighting == "self_normalised":
        mean = weights.mean()
        weights = weights / mean.masked_fill(mean == 0, 1.0)
    return weights.float()


def shuffled(size: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Return a random order of 0, ..., size - 1, (size,) int64."""
    return torch.randperm(size, generator=generator).to(device, non_blocking=True)


def select_highest(scores: Tensor, batch_size: int, generator: torch.Generator) -> Selection:
    """Select the B candidates of highest score, (N,); of equal ones the earlier.

    Scores are compared in float32, so that candidates that are equal but for the rounding of their
    float64 scores (duplicates above all) tie on every device. A non-finite score is never
    preferred to a finite one: if fewer than B are finite, the rest is drawn uniformly.
    """
    finite = scores.isfinite()
    places = torch.arange(len(scores), device=scores.device)
    lottery = shuffled(len(scores), generator, scores.device) + len(scores)
    order = torch.where(finite, places, lottery).argsort()
    ranks = scores.float().masked_fill(~finite, -torch.inf)[order]
    indices = order[ranks.argsort(descending=True, stable=True)[:batch_size]]
    return Selection(
        indices=indices,
        weights=torch.ones_like(indices, dtype=torch.float32),
        probabilities=ranking_probabilities(finite, indices),
        nonfinite=(~finite).sum(),
    )


def ranking_probabilities(finite: Tensor, indices: Tensor) -> Tensor:
    """Return 1 for picks of a ranking, (B,) float32, and the fill-ins' share for the others.

    finite: (N,) bool, candidates that could be ranked; the others fill a batch uniformly.
    """
    usable = finite.sum()
    share = (len(indices) - usable).clamp_min(0) / (len(finite) - usable).clamp_min(1)
    ranked = finite[indices].float()
    return ranked + (1 - ranked) * share
