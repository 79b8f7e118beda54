"""From scores to a batch: inclusion numbers, draws, weights, rankings. Plain code on the host.

The inclusion number pi_i says how often candidate i is expected to be in the batch. A systematic
draw puts the candidates on a line, class after class, each as long as its number, and picks those
that B points one apart fall upon.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from titan_repro.selection.base import Selection

GRID = 2**40
"""GRID: a systematic start is the middle of one of so many cells of [0, 1): u + k is then exact,
and no rounding of cumulative sums moves an end that should be a whole number across a point."""


def usable_scores(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return scores (N,) with zeros for those that are not finite, and which may be picked (N,).

    Those with a finite score may be; if there is none, all may, as equals.
    """
    finite = np.isfinite(scores)
    usable = finite if finite.any() else ~finite
    return np.where(finite, scores, 0.0), usable


def inclusion_numbers(
    scores: np.ndarray,
    usable: np.ndarray,
    labels: np.ndarray,
    importance: np.ndarray,
    batch_size: int,
) -> np.ndarray:
    """Return pi_i = B * I(y_i) / sum of I * score_i / sum of scores in class y_i, (N,) of sum B.

    This is Lemma 2 of the paper, where scores are gradient norms.
    scores, usable: (N,), as of `usable_scores`. labels: (N,) int64.
    importance: (C,) I >= 0 with a positive sum, zero for classes without a usable candidate.
    Inside a class whose scores are all zero the usable candidates are equal.
    """
    values = _shares_in_class(scores, usable, labels, len(importance))
    sums = np.bincount(labels, values, len(importance))
    sums[sums == 0] = 1.0
    quotas = importance * (batch_size / importance.sum())
    numbers: np.ndarray = quotas[labels] * (values / sums[labels])
    return numbers


def distinct_inclusion_numbers(
    scores: np.ndarray,
    usable: np.ndarray,
    labels: np.ndarray,
    importance: np.ndarray,
    batch_size: int,
) -> np.ndarray:
    """Return the same with pi_i <= 1, for draws without replacement.

    The excess of a candidate goes to its class in proportion to the scores, that of an exhausted
    class to the other classes in proportion to importance. If the classes of positive importance
    hold fewer than B candidates of positive score, the rest goes to the other positive scores,
    then to usable candidates of score zero, then to those that are not usable.
    """
    values = _shares_in_class(scores, usable, labels, len(importance))
    numbers = np.zeros(len(scores))
    eligible = (importance > 0)[labels] & (values > 0)
    sizes = np.bincount(labels[eligible], minlength=len(importance))  # (C,)
    placed = min(batch_size, int(sizes.sum()))
    quotas = capped_shares(np.where(sizes > 0, importance, 0.0), sizes, placed)
    for y in quotas.nonzero()[0]:
        own = eligible & (labels == y)
        numbers[own] = capped_shares(values[own], np.ones(sizes[y]), quotas[y])
    equal = np.ones(len(scores))
    for tier, weights in ((scores > 0, scores), (usable & (scores == 0), equal), (~usable, equal)):
        others = tier & ~eligible
        share = min(batch_size - placed, int(np.count_nonzero(others)))
        if share > 0:
            numbers[others] = capped_shares(weights[others], equal[others], share)
            placed += share
    return numbers


def capped_shares(weights: np.ndarray, capacities: np.ndarray, total: float) -> np.ndarray:
    """Share `total` in proportion to weights (n,) >= 0, no share above its capacity (n,).

    total: at most the capacities of positive weights. Returns min(capacity, factor * weight) with
    one factor for all: a share above its capacity is cut to it, and what is left over is shared
    out among the others, until none exceeds its own.
    """
    shares = np.zeros(len(weights))
    free = weights > 0
    left = float(total)
    while left > 0 and free.any():
        offered = weights * (left / weights[free].sum())
        full = free & (offered >= capacities)
        if not full.any():
            shares[free] = offered[free]
            break
        shares[full] = capacities[full]
        left -= float(capacities[full].sum())
        free &= ~full
    return shares


def _shares_in_class(
    scores: np.ndarray, usable: np.ndarray, labels: np.ndarray, classes: int
) -> np.ndarray:
    """Return scores, (N,), with ones for the usable candidates of classes that have only zeros."""
    flat = np.bincount(labels, scores, classes) == 0  # (C,)
    values: np.ndarray = scores + (flat[labels] & usable)
    return values


def draw(
    numbers: np.ndarray,
    labels: np.ndarray,
    batch_size: int,
    sampling: str,
    generator: torch.Generator,
) -> np.ndarray:
    """Draw B candidates so that candidate i is expected numbers[i] times; return positions (B,).

    numbers: (N,) float64 >= 0 with sum B; at most 1 each for without_replacement.
    labels: (N,) int64. The candidates are put on a line, class after class and in arrival order
    inside a class, each as long as its number.

    systematic: the points u + 0, ..., u + B - 1 with one uniform u: class counts are always within
        one of the sum of the class's numbers, and a candidate's count within one of its own.
    without_replacement: the same points; with numbers of at most 1 no candidate is hit twice.
    multinomial: B independent uniform points.
    """
    order = labels.argsort(kind="stable")
    places = hit(numbers[order], points(sampling, batch_size, generator))
    if sampling == "without_replacement":  # rounding can put two points into one of length one
        steps = np.arange(batch_size)
        parted = np.maximum.accumulate(places - steps) + steps
        places = np.minimum(parted, steps + len(numbers) - batch_size)
    picks: np.ndarray = order[places]
    return picks


def points(sampling: str, batch_size: int, generator: torch.Generator) -> np.ndarray:
    """Return the points of [0, B) at which a batch is drawn, (B,)."""
    if sampling == "multinomial":
        uniform = torch.rand(batch_size, dtype=torch.float64, generator=generator)
        scaled: np.ndarray = (uniform * batch_size).numpy()
        return scaled
    start = torch.randint(GRID, (1,), generator=generator).item()
    return (start + 0.5) / GRID + np.arange(batch_size)


def hit(lengths: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return into which of the intervals laid end to end each point falls, never an empty one."""
    last = lengths.nonzero()[0][-1]  # rounding may leave the ends short of the last point
    found: np.ndarray = np.minimum(lengths.cumsum().searchsorted(at, side="right"), last)
    return found


def pick_weights(
    numbers: np.ndarray, target: np.ndarray, picks: np.ndarray, weighting: str
) -> Tensor:
    """Return the loss weight of each pick, (B,) float32.

    none: 1. unbiased: B target_i / pi_i, for which the mean of w_i g_i over the batch has the
    expectation sum_i target_i g_i, as long as pi_i > 0 wherever target_i g_i is not zero (paper
    A.2). self_normalised: the same divided by their mean.

    numbers: (N,) pi. target: (N,) coefficients of the gradient that is estimated. picks: (B,).
    """
    if weighting == "none":
        return torch.ones(len(picks), dtype=torch.float32)
    weights = torch.from_numpy(len(picks) * target[picks] / numbers[picks])
    if weighting == "self_normalised" and weights.any():
        weights = weights / weights.mean()
    return weights.float()


def shuffled(size: int, generator: torch.Generator) -> Tensor:
    """Return a random order of 0, ..., size - 1, (size,) int64."""
    return torch.randperm(size, generator=generator)


def select_highest(scores: Tensor, batch_size: int, generator: torch.Generator) -> Selection:
    """Select the B candidates of highest score, (N,); of equal ones the earlier.

    Scores are compared in float32, so that candidates that are equal but for the rounding of their
    float64 scores (duplicates above all) tie. A non-finite score is never preferred to a finite
    one: if fewer than B are finite, the rest is drawn uniformly.
    """
    known, lottery = scores.numpy(), shuffled(len(scores), generator).numpy()
    finite = np.isfinite(known)
    ranked, others = finite.nonzero()[0], (~finite).nonzero()[0]
    ranked = ranked[(-known[ranked].astype(np.float32)).argsort(kind="stable")]
    others = others[lottery[others].argsort()]
    picks = np.concatenate([ranked, others])[:batch_size]
    return Selection(
        indices=torch.from_numpy(picks),
        weights=torch.ones(batch_size),
        probabilities=ranking_probabilities(finite, picks),
        nonfinite=len(others),
    )


def ranking_probabilities(finite: np.ndarray, picks: np.ndarray) -> Tensor:
    """Return 1 for picks of a ranking, (B,) float32, and the fill-ins' share for the others.

    finite: (N,) bool, candidates that could be ranked; the others fill a batch uniformly.
    """
    rankable = int(np.count_nonzero(finite))
    share = max(len(picks) - rankable, 0) / max(len(finite) - rankable, 1)
    return torch.from_numpy(np.where(finite[picks], 1.0, share).astype(np.float32))


def completed(
    picks: Sequence[int], finite: np.ndarray, batch_size: int, lottery: np.ndarray
) -> Selection:
    """Select `picks`, at most B, and fill the batch uniformly from the others; weights are 1.

    finite: (N,) bool, candidates that could be compared; of the others some are drawn only where
        there are none of these left. lottery: (N,) a random order.
    """
    rest = np.ones(len(finite), dtype=bool)
    rest[picks] = False
    drawn, chances = [np.array(picks, dtype=np.int64)], [np.ones(len(picks))]
    left = batch_size - len(picks)
    for tier in (rest & finite, rest & ~finite):
        members = tier.nonzero()[0]
        taken = members[lottery[members].argsort()][:left]
        drawn.append(taken)
        chances.append(np.full(len(taken), len(taken) / max(len(members), 1)))
        left -= len(taken)
    return Selection(
        indices=torch.from_numpy(np.concatenate(drawn)),
        weights=torch.ones(batch_size),
        probabilities=torch.from_numpy(np.concatenate(chances).astype(np.float32)),
        nonfinite=int(np.count_nonzero(~finite)),
    )
