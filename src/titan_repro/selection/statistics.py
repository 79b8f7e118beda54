"""Closed forms of per-sample gradients and their class statistics (paper section 3.2).

The gradient of one sample's cross-entropy with respect to the last layer's weight and bias is the
outer product of d = softmax - onehot (C,) and [h, 1], where h is the layer's input. Hence
<g_i, g_j> = <d_i, d_j> (1 + <h_i, h_j>), and no matrix is formed for a sample.

All of it is float64: class importance is a difference of nearly equal numbers.
"""

from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from titan_repro.choices import Gradient
from titan_repro.selection.base import Candidates, GradientMoments, Needs, check_choice, required

RESOLUTION = 1e-3
"""Spreads below this part of the class's mean norm cannot be told from zero: their squares are
differences of numbers that float32 gradients give to about six digits."""

_NEEDS = {
    "last_layer": Needs.EMBEDDINGS,
    "logits": Needs.LOGITS,
    "full": Needs.FULL_GRADIENTS,
}


def needs_of(gradient: str, allowed: tuple[str, ...] = get_args(Gradient)) -> Needs:
    """Return what must be known of candidates for a value of the key `gradient`.

    Raises ConfigurationError if the value is not one of `allowed`.
    """
    check_choice("gradient", gradient, allowed)
    return _NEEDS[gradient]


def membership(labels: Tensor, num_classes: int) -> Tensor:
    """Return (N, C) bool, True where sample i is of class y."""
    return labels.unsqueeze(1) == torch.arange(num_classes, device=labels.device)


def logit_gradients(logits: Tensor, labels: Tensor) -> Tensor:
    """Return d = softmax - onehot, (N, C) float64, each entry accurate to rounding.

    The label's entry is minus the sum of the others, because softmax - 1 has no digits left for a
    sample that the model is sure of.
    """
    own = membership(labels, logits.shape[1])
    others = logits.double().softmax(dim=1).masked_fill(own, 0.0)  # (N, C)
    return others - own * others.sum(dim=1, keepdim=True)


def gradient_norms(candidates: Candidates, gradient: str) -> Tensor:
    """Return |g_i|, (N,) float64; NaN or infinite where a gradient is."""
    if gradient == "full":
        return given_moments(candidates).norms.double()
    d = logit_gradients(required(candidates.logits, "logits"), candidates.labels)
    norms: Tensor = torch.linalg.vector_norm(d, dim=1)
    if gradient == "logits":
        return norms
    h = required(candidates.embeddings, "embeddings")
    lengths: Tensor = torch.linalg.vector_norm(h, dim=1, dtype=torch.float64)
    return norms * (1 + lengths.square()).sqrt()


def gradient_products(candidates: Candidates, gradient: str) -> Tensor:
    """Return <g_i, g_j> for `gradient` last_layer or logits, (N, N) float64.

    Not finite in the rows and columns of candidates without a finite gradient.
    """
    d = logit_gradients(required(candidates.logits, "logits"), candidates.labels)
    products = d @ d.T
    if gradient == "logits":
        return products
    h = required(candidates.embeddings, "embeddings").double()
    return products * (1 + h @ h.T)


def without(unusable: Tensor, products: Tensor) -> Tensor:
    """Return the products (N, N) with the gradients at `unusable` (N,) bool taken as zero."""
    return products.masked_fill(unusable.unsqueeze(0) | unusable.unsqueeze(1), 0.0)


def gradient_moments(candidates: Candidates, gradient: str) -> GradientMoments:
    """Return norms and class mean norms of the candidates' gradients, in float64.

    |mean of g over class y|^2 = sum_ij w_iy w_jy <g_i, g_j> with w_iy = [y_i = y] / n_y.
    """
    if gradient == "full":
        given = given_moments(candidates)
        return GradientMoments(given.norms.double(), given.class_mean_norms.double())
    products = gradient_products(candidates, gradient)
    norms = products.diagonal().sqrt()
    unusable = ~norms.isfinite()
    members = membership(candidates.labels, candidates.stream_counts.shape[0])
    members = members & ~unusable.unsqueeze(1)
    w = members / members.sum(dim=0).clamp_min(1).double()  # (N, C)
    squared = ((without(unusable, products) @ w) * w).sum(dim=0)  # (C,)
    return GradientMoments(norms, squared.clamp_min(0.0).sqrt())


def given_moments(candidates: Candidates) -> GradientMoments:
    """Return the candidates' moments; ValueError if they are missing."""
    if candidates.moments is None:
        raise ValueError("gradient=full needs the candidates' moments, which are missing")
    return candidates.moments


@dataclass(frozen=True)
class ClassStatistics:
    """Statistics of the gradients g of each class's candidates S_y, under the uniform distribution.

    All (C,) float64, 0 for classes without a candidate.
    counts: candidates of the class. mean_norms: mean |g|. mean_gradient_norms: |mean g|.
    """

    counts: Tensor
    mean_norms: Tensor
    mean_gradient_norms: Tensor

    @property
    def squared_spread(self) -> Tensor:
        """V[g] - V[|g|] = (mean |g|)^2 - |mean g|^2 >= 0: Equation 2 under the uniform P, squared.

        Under any other P the difference of variances is another number, and Theorem 2's
        beta* - gamma is this one.
        """
        low, high = self.mean_gradient_norms, self.mean_norms
        return ((high - low) * (high + low)).clamp_min(0.0)


def class_statistics(
    moments: GradientMoments, labels: Tensor, num_classes: int, usable: Tensor | None = None
) -> ClassStatistics:
    """Gather per-class statistics from gradient moments.

    usable: (N,) bool, the candidates to count; by default those with a finite norm.
    """
    norms = moments.norms.double()
    finite = norms.isfinite()
    members = membership(labels, num_classes)
    members = (members & (finite if usable is None else usable).unsqueeze(1)).double()  # (N, C)
    counts = members.sum(dim=0)
    mean_norms = norms.masked_fill(~finite, 0.0) @ members / counts.clamp_min(1.0)
    return ClassStatistics(counts, mean_norms, moments.class_mean_norms.double().nan_to_num(0.0))


def class_variances(
    moments: GradientMoments, labels: Tensor, num_classes: int
) -> tuple[Tensor, Tensor]:
    """Return V[g] and V[|g|] of each class under the uniform distribution on S_y, both (C,).

    V[g] = E|g - E g|^2 is summed from V[|g|], which is centred before squaring, and the squared
    spread: E|g|^2 - |E g|^2 would lose its digits.
    """
    statistics = class_statistics(moments, labels, num_classes)
    finite = moments.norms.isfinite()
    members = (membership(labels, num_classes) & finite.unsqueeze(1)).double()
    centred = moments.norms.double() - statistics.mean_norms[labels]
    squares = centred.square().masked_fill(~finite, 0.0)
    norm_variances = squares @ members / statistics.counts.clamp_min(1.0)
    return norm_variances + statistics.squared_spread, norm_variances
