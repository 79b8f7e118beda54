"""Section 3.3: Rep + Div of the coarse filter is the same for all samples of a class.

Rep + Div = -|f - m|^2 + |f|^2 + q - 2 f.m = q - |m|^2,   m = E f', q = E |f'|^2
"""

import numpy as np

from titan_repro.theory.statement import Array, Statement, made_up_gradients

SOURCE = "section 3.3"


def rep_plus_div(features: Array, mean: Array, mean_square: float) -> Array:
    """Return the score of each sample, (n,). features: (n, d); mean: (d,), E f'; E |f'|^2."""
    rep = -((features - mean) ** 2).sum(axis=1)
    div = (features**2).sum(axis=1) + mean_square - 2 * features @ mean
    return np.asarray(rep + div)


def check() -> list[Statement]:
    """Return the row of the filter's score."""
    worst, scores = 0.0, []
    for seed in range(20):
        [features] = made_up_gradients(seed, (8,), dimension=5)
        mean, square = features.mean(axis=0), float((features**2).sum(axis=1).mean())
        found = rep_plus_div(features, mean, square)
        constant = square - float(mean @ mean)
        worst = max(worst, float(np.abs(found - constant).max()) / max(abs(constant), 1e-12))
        scores.append(constant)
    return [
        Statement(
            "Rep + Div",
            SOURCE,
            "buffering the highest Rep + Div keeps representative and diverse samples",
            "the score of 8 samples of a class, 20 cases: all equal q - |m|^2",
            "does not hold",
            worst,
            counterexample="the sample's own feature cancels: the score ranks classes by the "
            f"variance of their features ({min(scores):.2f} to {max(scores):.2f} in these cases), "
            "never samples",
        )
    ]
