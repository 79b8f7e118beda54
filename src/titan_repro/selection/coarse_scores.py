"""How well a sample stands for its class, and how diverse it is in it (paper section 3.3)."""

from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from titan_repro.choices import Score

SCORES: tuple[str, ...] = get_args(Score)

ROUNDING = 1e-12
"""A squared distance below this share of its terms is their rounding error, and counts as 0."""


@dataclass(frozen=True)
class Moments:
    """What the scores need of each sample's feature f and, at its arrival, of its class.

    With m = E f' and q = E |f'|^2, the running averages over the sample's class including itself:

    finite: (v,) bool, False where f is NaN or infinite; the other fields mean nothing there.
    feature_square: (v,) float64, |f|^2.
    product: (v,) float64, <f, m>.
    centroid_square: (v,) float64, |m|^2.
    class_square: (v,) float64, q.
    """

    finite: Tensor
    feature_square: Tensor
    product: Tensor
    centroid_square: Tensor
    class_square: Tensor


def representativeness(moments: Moments) -> Tensor:
    """Return Rep = -|f - m|^2, (v,): closeness to the class centroid."""
    distance = moments.feature_square - 2 * moments.product + moments.centroid_square
    return -_above_rounding(distance, moments)


def diversity(moments: Moments) -> Tensor:
    """Return Div = |f|^2 + q - 2 <f, m>, (v,): mean squared distance to the class's samples."""
    distance = moments.feature_square - 2 * moments.product + moments.class_square
    return _above_rounding(distance, moments)


def class_variance(moments: Moments) -> Tensor:
    """Return Rep + Div = q - |m|^2, (v,): the sample's own feature cancels.

    Computed in this form, not as a sum, so that what is left of a sample in it is the state of
    its class's estimators at its arrival and not the rounding error of two cancelling terms.
    """
    return _above_rounding(moments.class_square - moments.centroid_square, moments)


def coarse_scores(score: str, moments: Moments) -> Tensor:
    """Return the score to rank by, (v,) float32; -inf for samples that are not finite.

    Rounded to single precision, about that of the features: so the order in which the double
    precision arithmetic behind it adds does not show in a ranking, and equal scores tie.
    `rank_mix` ranks by representativeness and keeps both ends of the ranking.
    """
    by_name = {
        "rep": representativeness,
        "div": diversity,
        "rep_plus_div": class_variance,
        "rank_mix": representativeness,
    }
    return by_name[score](moments).float().masked_fill(~moments.finite, -torch.inf)


def _above_rounding(distance: Tensor, moments: Moments) -> Tensor:
    scale = moments.feature_square + moments.class_square
    return distance.masked_fill(distance <= ROUNDING * scale, 0.0)
