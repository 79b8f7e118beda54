"""Theorem 1: the expected progress of a round falls with the variance of the batch gradient.

    E[|w - w*|^2 - |w' - w*|^2] = 2 eta (w - w*) . G - eta^2 |G|^2 - eta^2 V[g_B]
    w' = w - eta g_B

with G the mean gradient of S, for every batch gradient g_B whose expectation is G (appendix A.1).
"""

import itertools

import numpy as np

from titan_repro.theory.statement import Array, Statement, agrees, relative

SOURCE = "section 3.2, Theorem 1, A.1"


def progress(w: Array, optimum: Array, rate: float, mean: Array, variance: float) -> float:
    """Return the right-hand side. w, optimum, mean: (d,); variance: of the batch gradient."""
    first = 2 * rate * float((w - optimum) @ mean)
    return first - rate**2 * (float(mean @ mean) + variance)


def enumerated_progress(
    w: Array, optimum: Array, rate: float, batch_gradients: Array, probabilities: Array
) -> float:
    """Return the left-hand side over all batches: gradients (n, d), probabilities (n,)."""
    before = float((w - optimum) @ (w - optimum))
    after = ((w - rate * batch_gradients - optimum) ** 2).sum(axis=1)
    return float(probabilities @ (before - after))


def batches(
    gradients: Array, size: int, probabilities: Array, *, weighted: bool
) -> tuple[Array, Array]:
    """Return all ordered batches drawn with replacement: mean gradients (N^B, d), chances (N^B,).

    weighted: whether each pick is weighted by 1 / (N p), as A.2 has it, or the mean is plain.
    """
    n = len(gradients)
    picks = np.array(list(itertools.product(range(n), repeat=size)))
    weights = 1 / (n * probabilities) if weighted else np.ones(n)
    scaled = gradients * weights[:, None]
    return scaled[picks].mean(axis=1), probabilities[picks].prod(axis=1)


def _sides(seed: int, *, weighted: bool) -> tuple[float, float]:
    """Return both sides for IS on least squares |Xw - y|^2 / 2N with 5 samples and batches of 3."""
    rng = np.random.default_rng(seed)
    inputs, targets = rng.normal(size=(5, 3)), rng.normal(size=5)
    optimum: Array = np.linalg.lstsq(inputs, targets, rcond=None)[0].astype(np.float64)
    w, rate = rng.normal(size=3), 0.3
    gradients = inputs * (inputs @ w - targets)[:, None]  # (N, d)
    norms = np.linalg.norm(gradients, axis=1)
    drawn, chances = batches(gradients, 3, norms / norms.sum(), weighted=weighted)
    mean = gradients.mean(axis=0)
    expected = chances @ drawn
    variance = float(chances @ ((drawn - expected) ** 2).sum(axis=1))
    left = enumerated_progress(w, optimum, rate, drawn, chances)
    return left, progress(w, optimum, rate, mean, variance)


def _softmax_sides(seed: int) -> tuple[float, float]:
    """Return both sides for the last layer of a classifier: cross-entropy, 4 samples, 3 classes.

    The identity needs no optimum: any fixed w* will do, so it holds for networks as well.
    """
    rng = np.random.default_rng(seed)
    embeddings, labels = rng.normal(size=(4, 2)), np.array([0, 1, 2, 0])
    w, point = rng.normal(size=6), rng.normal(size=6)
    logits = embeddings @ w.reshape(2, 3)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    residuals = chances - np.eye(3)[labels]
    gradients = (embeddings[:, :, None] * residuals[:, None, :]).reshape(4, 6)
    uniform = np.full(4, 0.25)
    drawn, weights = batches(gradients, 2, uniform, weighted=True)
    mean = gradients.mean(axis=0)
    variance = float(weights @ ((drawn - mean) ** 2).sum(axis=1))
    left = enumerated_progress(w, point, 0.1, drawn, weights)
    return left, progress(w, point, 0.1, mean, variance)


def check() -> list[Statement]:
    """Return the rows of Theorem 1."""
    quadratic = max(relative(*_sides(seed, weighted=True)) for seed in range(20))
    softmax = max(relative(*_softmax_sides(seed)) for seed in range(20))
    plain = [_sides(seed, weighted=False) for seed in range(20)]
    left, right = max(plain, key=lambda sides: relative(*sides))
    condition = "the batch gradient is unbiased: picks are weighted by 1 / (N p)"
    says = "expected progress = fixed terms - eta^2 V[batch gradient]"
    return [
        Statement(
            "Theorem 1, quadratic",
            SOURCE,
            says,
            "all 125 batches of 3 of 5 samples, least squares, IS, 20 cases",
            agrees(quadratic, condition=condition),
            quadratic,
            condition,
            f"plain average of IS's picks (section 2.1): {left:.4f} where the formula says "
            f"{right:.4f}",
        ),
        Statement(
            "Theorem 1, last layer",
            SOURCE,
            says,
            "all 16 batches of 2 of 4 samples, softmax regression, RS, 20 cases",
            agrees(softmax, condition=condition),
            softmax,
            condition,
            "as above; and the last lines of the proof have the opposite sign of its first",
        ),
    ]
