"""Theorem 2: the variance of a batch drawn class by class is sum_y alpha_y (beta_y - gamma_y).

alpha_y = |S_y|^2 / (|S|^2 |B_y|)
beta_y  = sum_i |g_i|^2 / (|S_y|^2 P_y(i))        gamma_y = |mean g|^2 over S_y    (appendix A.2)
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np

from titan_repro.theory.statement import (
    Array,
    Statement,
    agrees,
    made_up_gradients,
    relative,
)

SOURCE = "section 3.2, Theorem 2, A.2"


def beta_minus_gamma(gradients: Array, probabilities: Array) -> float:
    """Return beta_y - gamma_y of one class. gradients: (n, d); probabilities: (n,), all > 0."""
    n = len(gradients)
    mean = gradients.mean(axis=0)
    beta = float(((gradients**2).sum(axis=1) / (n**2 * probabilities)).sum())
    return beta - float(mean @ mean)


def batch_variance(
    classes: Sequence[Array], probabilities: Sequence[Array], counts: Sequence[int]
) -> float:
    """Return sum_y alpha_y (beta_y - gamma_y).

    classes: gradients of each class, (n_y, d). probabilities: P_y, (n_y,). counts: |B_y|; a class
    of count 0 has an infinite alpha_y unless its term is zero.
    """
    total = sum(len(gradients) for gradients in classes)
    variance = 0.0
    for gradients, chances, count in zip(classes, probabilities, counts, strict=True):
        spread = beta_minus_gamma(gradients, chances)
        alpha = (len(gradients) / total) ** 2 / count if count else math.inf
        variance += alpha * spread if spread else 0.0
    return variance


def enumerated_variance(
    classes: Sequence[Array], probabilities: Sequence[Array], counts: Sequence[int]
) -> tuple[float, float]:
    """Return the variance over all batches, and |expectation - mean of S|, which should be zero.

    A batch holds counts[y] independent draws of each class; its gradient is the sum over classes of
    |S_y| / |S| times the mean of its weighted picks. A class of count 0 is left out of the sum.
    """
    total = sum(len(gradients) for gradients in classes)
    parts, chances = [], []
    for gradients, p, count in zip(classes, probabilities, counts, strict=True):
        if count == 0:
            continue
        n = len(gradients)
        weighted = gradients / (n * p)[:, None]
        picks = np.array(list(itertools.product(range(n), repeat=count)))
        parts.append(n / total * weighted[picks].mean(axis=1))  # (n^count, d)
        chances.append(p[picks].prod(axis=1))
    outcomes = list(itertools.product(*(range(len(part)) for part in parts)))
    drawn = np.array([sum(part[i] for part, i in zip(parts, o, strict=True)) for o in outcomes])
    weights = np.array([math.prod(c[i] for c, i in zip(chances, o, strict=True)) for o in outcomes])
    expected = weights @ drawn
    mean = np.concatenate(list(classes)).mean(axis=0)
    variance = float(weights @ ((drawn - expected) ** 2).sum(axis=1))
    return variance, float(np.linalg.norm(expected - mean))


def by_norm(gradients: Array) -> Array:
    """Return P_y proportional to the gradient norm, (n,)."""
    norms = np.linalg.norm(gradients, axis=1)
    return np.asarray(norms / norms.sum())


def check() -> list[Statement]:
    """Return the rows of Theorem 2."""
    worst = bias = 0.0
    for seed in range(10):
        classes = made_up_gradients(seed, (3, 2, 2))
        for chances in (
            [np.full(len(c), 1 / len(c)) for c in classes],
            [by_norm(c) for c in classes],
        ):
            found, off = enumerated_variance(classes, chances, (2, 1, 2))
            worst = max(worst, relative(batch_variance(classes, chances, (2, 1, 2)), found))
            bias = max(bias, off)
    classes = made_up_gradients(0, (3, 2, 2))
    chances = [by_norm(c) for c in classes]
    without, off = enumerated_variance(classes, chances, (3, 0, 2))
    condition = "every class with samples gets at least one of the batch"
    return [
        Statement(
            "Theorem 2",
            SOURCE,
            "variance of the batch gradient = sum of alpha (beta - gamma)",
            "all batches of 5 of classes of 3, 2 and 2 samples, uniform and by norm, 20 cases",
            agrees(max(worst, bias), condition=condition),
            worst,
            condition,
            f"a class of 2 of 7 samples without a pick: variance {without:.3f} (the formula: "
            f"infinite), and the gradient is off by {off:.3f}; ten picks over 10 or 20 classes "
            "leave classes out as a rule",
        )
    ]
