"""Inclusion numbers: how often each candidate is expected to be in the batch.

pi_i = B * I(y_i) / sum I * P(i | y_i), with class importance I and P proportional to the
candidate's score inside its class (paper Lemma 2). Drawn without replacement, no pi_i may pass 1.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from titan_repro.selection.statistics import membership


@dataclass(frozen=True)
class Scores:
    """Scores of candidates, cleaned of what cannot be ranked.

    values: (N,) float64 >= 0, zero where not usable.
    usable: (N,) bool, the finite ones; all of them if none is finite.
    nonfinite: () int64, how many were NaN or infinite.
    """

    values: Tensor
    usable: Tensor
    nonfinite: Tensor


def clean(scores: Tensor) -> Scores:
    """Set non-finite scores to zero and count them. If none is finite all count as equal."""
    finite = scores.isfinite()
    return Scores(
        scores.double().masked_fill(~finite, 0.0), finite | ~finite.any(), (~finite).sum()
    )


def first_positive(*options: Tensor) -> Tensor:
    """Return the first of the options (each (C,), >= 0) that is not zero everywhere; the last."""
    chosen = options[-1]
    for option in reversed(options[:-1]):
        chosen = torch.where(option.sum() > 0, option, chosen)
    return chosen


def inclusion_numbers(
    scores: Scores, labels: Tensor, importance: Tensor, batch_size: int, *, distinct: bool
) -> Tensor:
    """Return pi, (N,) float64 with sum B and pi >= 0.

    labels: (N,) int64, the class of each candidate. importance: (C,) >= 0 with a positive sum,
    zero for classes without a usable candidate. Inside a class whose scores are all zero the
    usable candidates are equal.

    distinct: keep pi <= 1. The excess of a capped candidate goes to its class in proportion to
    the scores, that of an exhausted class to the other classes in proportion to importance. If
    the classes of positive importance hold fewer than B candidates of positive score, the rest
    goes to the other positive scores, then to usable candidates of score zero, then to the
    unusable ones.
    """
    members = membership(labels, importance.shape[0])  # (N, C)
    class_sums = scores.values @ members.double()
    flat = (class_sums == 0)[labels] & scores.usable
    values = scores.values + flat  # (N,)
    if distinct:
        return _distinct(values, scores, members, labels, importance, batch_size)
    class_sums = values @ members.double()
    within = values / class_sums.masked_fill(class_sums == 0, 1.0)[labels]
    quotas = importance * (batch_size / importance.sum())
    return quotas[labels] * within


def _distinct(
    values: Tensor,
    scores: Scores,
    members: Tensor,
    labels: Tensor,
    importance: Tensor,
    batch_size: int,
) -> Tensor:
    """Fill classes by quota, then the tiers of candidates outside them one after the other."""
    eligible = (importance > 0)[labels] & (values > 0)
    inside = members & eligible.unsqueeze(1)  # (N, C)
    capacity = inside.sum(dim=0).double()
    placed = capacity.sum().clamp_max(batch_size)
    quotas = capped_shares(importance * (capacity > 0), capacity, placed)
    scored, usable = scores.values > 0, scores.usable
    tiers = torch.stack([scored, usable & ~scored, ~usable & ~scored], dim=1)
    tiers = tiers & ~eligible.unsqueeze(1)  # (N, 3)
    room = tiers.sum(dim=0).double()
    # whole numbers, so that rounding leaves nothing over for a lower tier
    left = (batch_size - placed - (room.cumsum(dim=0) - room)).clamp_min(0.0)
    weights = torch.where(eligible, values, scores.values)
    weights = weights + (~eligible & ~scored)
    return capped_shares(
        weights,
        torch.ones_like(weights),
        torch.cat([quotas, torch.minimum(left, room)]),
        torch.cat([inside, tiers], dim=1),
    )


def capped_shares(
    weights: Tensor, capacities: Tensor, totals: Tensor, groups: Tensor | None = None
) -> Tensor:
    """Share each group's total in proportion to weights, no share above its capacity.

    weights, capacities: (n,) >= 0, weight zero where capacity is. totals: (G,), at most the
    capacity of the group's positive weights. groups: (n, G) bool, one True a row; None for a
    single group with totals (). Returns (n,) shares min(capacity, factor of the group * weight)
    that add up to the totals.

    Sorted by weight / capacity, the capped entries of a group are a prefix: entry j is capped if
    proportional sharing of what the entries before it leave would give it its capacity.
    """
    if groups is None:
        groups = torch.ones_like(weights, dtype=torch.bool).unsqueeze(1)
        totals = totals.unsqueeze(0)
    ratios = weights / capacities.masked_fill(capacities == 0, 1.0)
    order = ratios.argsort(descending=True, stable=True)
    w, c, inside = weights[order].unsqueeze(1), capacities[order].unsqueeze(1), groups[order]
    from_here = (w * inside).flip(0).cumsum(dim=0).flip(0)  # (n, G)
    before = (c * inside).cumsum(dim=0) - c * inside  # (n, G)
    capped = inside & (w > 0) & (w * (totals - before) >= c * from_here)
    open_weights = (w * (inside & ~capped)).sum(dim=0)  # (G,)
    open_totals = (totals - (c * capped).sum(dim=0)).clamp_min(0.0)
    factors = open_totals / open_weights.masked_fill(open_weights == 0, 1.0)
    shares = torch.where(capped, c, torch.minimum(c, w * factors)) * inside
    return torch.zeros_like(weights).scatter(0, order, shares.sum(dim=1))
