"""Equation 2: under which distribution do its variances give the class importance of A.3?

I(y) = |S_y| sqrt(V[g] - V[|g|]);   A.3 needs V[g] - V[|g|] = (mean |g|)^2 - |mean g|^2
"""

import numpy as np

from titan_repro.theory.statement import Array, Statement, agrees, made_up_gradients, relative
from titan_repro.theory.theorem2 import by_norm

SOURCE = "section 3.2, Equation 2"


def difference_of_variances(gradients: Array, probabilities: Array) -> float:
    """Return V[g] - V[|g|] under `probabilities`, (n,), of the gradients, (n, d)."""
    norms = np.linalg.norm(gradients, axis=1)
    mean, mean_norm = probabilities @ gradients, float(probabilities @ norms)
    # E|g|^2 - |E g|^2 - E|g|^2 + (E|g|)^2
    return mean_norm**2 - float(mean @ mean)


def needed(gradients: Array) -> float:
    """Return (mean |g|)^2 - |mean g|^2 over the class, which Lemma 2 is about."""
    mean = gradients.mean(axis=0)
    return float(np.linalg.norm(gradients, axis=1).mean() ** 2 - mean @ mean)


def check() -> list[Statement]:
    """Return the rows of Equation 2."""
    cases = [made_up_gradients(seed, (6,))[0] for seed in range(20)]
    uniform = max(
        relative(difference_of_variances(g, np.full(len(g), 1 / len(g))), needed(g)) for g in cases
    )
    literal = [relative(difference_of_variances(g, by_norm(g)), needed(g)) for g in cases]
    weighted = max(
        relative(difference_of_variances(_weighted(g), by_norm(g)), needed(g)) for g in cases
    )
    worst = int(np.argmax(literal))
    found = difference_of_variances(cases[worst], by_norm(cases[worst]))
    says = "V[g] - V[|g|] is beta* - gamma of Theorem 2"
    return [
        Statement(
            "Equation 2, uniform on S_y",
            SOURCE,
            says,
            "closed form, 6 samples, 20 cases",
            agrees(uniform),
            uniform,
        ),
        Statement(
            "Equation 2, under P_t,y as printed",
            SOURCE,
            says,
            "the same cases, P by norm",
            agrees(max(literal)),
            max(literal),
            counterexample=f"{found:.3f} where A.3 needs {needed(cases[worst]):.3f}",
        ),
        Statement(
            "Equation 2, under P_t,y, picks weighted",
            SOURCE,
            says,
            "the same cases, g / (n P) in place of g",
            agrees(weighted, condition="weighted"),
            weighted,
            "g stands for the weighted gradient g / (n P): its norm is then constant",
        ),
    ]


def _weighted(gradients: Array) -> Array:
    chances = by_norm(gradients)
    return np.asarray(gradients / (len(gradients) * chances)[:, None])
