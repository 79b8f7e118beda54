"""Lemma 1: of independent draws, those in proportion to the gradient norm have the least variance.

With weights 1 / (N p) the variance of one pick is sum_i |g_i|^2 / (N^2 p_i) - |mean g|^2, least at
p_i proportional to |g_i|; a batch of B independent picks has 1 / B of it.
"""

import numpy as np
from scipy.optimize import minimize

from titan_repro.theory.statement import NEAR, Array, Statement, agrees, made_up_gradients, relative
from titan_repro.theory.theorem2 import batch_variance, beta_minus_gamma, by_norm

SOURCE = "section 3.2, Lemma 1"


def optimal_probabilities(gradients: Array) -> Array:
    """Return the probabilities, (n,), at which a numerical optimiser finds the least variance.

    It searches over logits from the uniform distribution; it is told nothing of norms.
    """

    def variance(logits: Array) -> float:
        chances = np.exp(logits - logits.max())
        return beta_minus_gamma(gradients, chances / chances.sum())

    found = minimize(variance, np.zeros(len(gradients)), method="BFGS", options={"gtol": 1e-10})
    chances = np.exp(found.x - found.x.max())
    return np.asarray(chances / chances.sum())


def check() -> list[Statement]:
    """Return the rows of Lemma 1."""
    worst = 0.0
    for seed in range(20):
        [gradients] = made_up_gradients(seed, (6,))
        least = beta_minus_gamma(gradients, optimal_probabilities(gradients))
        worst = max(worst, relative(beta_minus_gamma(gradients, by_norm(gradients)), least))
    better, independent = _one_pick_a_class()
    condition = "picks are weighted by 1 / (N p), and are independent"
    return [
        Statement(
            "Lemma 1",
            SOURCE,
            "independent draws have the least variance at p proportional to the gradient norm",
            "against BFGS over the logits of p, 6 samples, 20 cases",
            agrees(worst, NEAR, condition=condition),
            worst,
            condition,
            "averaged plainly, always drawing one and the same sample has variance 0; and one "
            f"uniform pick a class of like gradients has {better:.3f} where independent picks by "
            f"norm have {independent:.3f}",
        )
    ]


def _one_pick_a_class() -> tuple[float, float]:
    """Return the variance of a dependent draw and of the best independent one, two picks each."""
    classes = [np.array([[1.0, 0.1], [1.0, -0.1]]), np.array([[-1.0, 0.1], [-1.0, -0.1]])]
    everyone = np.concatenate(classes)
    uniform = [np.full(2, 0.5)] * 2
    return (
        batch_variance(classes, uniform, (1, 1)),
        beta_minus_gamma(everyone, by_norm(everyone)) / 2,
    )
