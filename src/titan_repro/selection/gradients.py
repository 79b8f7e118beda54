"""Closed forms of per-sample gradients and of their class means (paper section 3.2).

The gradient of one sample's cross-entropy with respect to the last layer's weight and bias is the
outer product of d = softmax - onehot (C,) and [h, 1], where h is the layer's input. Hence
<g_i, g_j> = <d_i, d_j> (1 + <h_i, h_j>), and no matrix is formed for a sample.

All of it is float64: class importance is a difference of nearly equal numbers. Matrices are
multiplied by torch: numpy's BLAS has threads of its own, on whose number its rounding depends.
"""

from typing import get_args

import numpy as np
import torch
from torch import Tensor

from titan_repro.choices import Gradient
from titan_repro.selection.base import GradientMoments, Needs, Scores, check_choice, required

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


def logit_gradients(logits: Tensor, labels: Tensor) -> Tensor:
    """Return d = softmax - onehot, (N, C) float64, each entry accurate to rounding.

    The label's entry is minus the sum of the others, because softmax - 1 has no digits left for a
    sample that the model is sure of.
    """
    d: np.ndarray = logits.detach().softmax(dim=1, dtype=torch.float64).numpy()
    samples, own = np.arange(len(d)), labels.numpy()
    d[samples, own] = 0.0
    d[samples, own] = -d.sum(axis=1)
    return torch.from_numpy(d)


def gradient_norms(
    candidates: Scores, gradient: str, *, lengths_in: torch.dtype = torch.float64
) -> np.ndarray:
    """Return |g_i|, (N,) float64; NaN or infinite where a gradient is.

    lengths_in: of the embeddings; float32 takes a tenth of the time and will do to rank by.
    """
    if gradient == "full":
        return _moments(candidates).norms.double().numpy()
    d = logit_gradients(required(candidates.logits, "logits"), candidates.labels)
    norms: Tensor = torch.linalg.vector_norm(d, dim=1)
    if gradient == "last_layer":
        h = required(candidates.embeddings, "embeddings").detach()
        lengths: Tensor = torch.linalg.vector_norm(h, dim=1, dtype=lengths_in)
        norms = norms * (1 + lengths.double().square()).sqrt()
    found: np.ndarray = norms.numpy()
    return found


def gradient_products(candidates: Scores, gradient: str) -> np.ndarray:
    """Return <g_i, g_j> for `gradient` last_layer or logits, (N, N) float64.

    Not finite in the rows and columns of candidates without a finite gradient.
    """
    d = logit_gradients(required(candidates.logits, "logits"), candidates.labels)
    products: np.ndarray = (d @ d.T).numpy()
    if gradient == "last_layer":
        h = required(candidates.embeddings, "embeddings").detach().double()
        products *= 1 + (h @ h.T).numpy()
    return products


def finite_products(candidates: Scores, gradient: str) -> tuple[np.ndarray, np.ndarray]:
    """Return `gradient_products` with zeros for gradients that are not finite, and which are.

    (N, N) float64 and (N,) bool.
    """
    products = gradient_products(candidates, gradient)
    finite = np.isfinite(products.diagonal())
    if not finite.all():
        products = np.where(finite & finite[:, None], products, 0.0)
    return products, finite


def norms_and_class_means(candidates: Scores, gradient: str) -> tuple[np.ndarray, np.ndarray]:
    """Return |g_i|, (N,), and |mean of g over the candidates of each class|, (C,), both float64.

    Norms are NaN where a gradient is not finite; such gradients are left out of the means, and
    the mean of no gradients is 0. |sum of g over a class|^2 is the sum of all its <g_i, g_j>.
    """
    if gradient == "full":
        given = _moments(candidates)
        means = given.class_mean_norms.double().nan_to_num(0.0)
        return given.norms.double().numpy(), means.numpy()
    products, finite = finite_products(candidates, gradient)
    norms = np.sqrt(products.diagonal())
    norms[~finite] = np.nan
    labels, classes = candidates.labels.numpy(), len(candidates.stream_counts)
    sums = products.sum(axis=1, where=labels[:, None] == labels)  # (N,) over j of the class of i
    squares = np.maximum(np.bincount(labels, sums, classes), 0.0)  # (C,)
    counts = np.maximum(np.bincount(labels, finite, classes), 1.0)
    return norms, np.sqrt(squares) / counts


def _moments(candidates: Scores) -> GradientMoments:
    """Return the moments of full gradients; ValueError if they are missing."""
    if candidates.moments is None:
        raise ValueError("gradient=full needs the candidates' moments, which are missing")
    return candidates.moments
