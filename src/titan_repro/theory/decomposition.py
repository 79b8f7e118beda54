"""How much of the batch gradient's variance there is to win, and by what.

With replacement and unbiased, a batch of B of N samples with class shares n_y / N has the variance

    RS           (between + within) / B       between = sum_y n_y/N |mean_y - mean|^2
    stratified   within / B                   within  = sum_y n_y/N mean_i |g_i - mean_y|^2
    IS           ((mean |g|)^2 - |mean|^2) / B
    C-IS         (sum_y n_y/N sqrt((mean_y |g|)^2 - |mean_y g|^2))^2 / B

if quotas may be fractions (Theorem 2, Lemma 2). None is above RS's, and none
below C-IS's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from titan_repro.theory.lemma2 import class_importance
from titan_repro.theory.statement import Array, Statement, made_up_gradients, relative
from titan_repro.theory.theorem2 import batch_variance


@dataclass(frozen=True)
class Decomposition:
    """Variances of one pick; a batch of B has 1 / B of each."""

    rs: float
    stratified: float
    importance_sampling: float
    cis: float

    @property
    def between(self) -> float:
        """What a class-stratified batch removes, and costs nothing."""
        return self.rs - self.stratified


def decompose(classes: Sequence[Array]) -> Decomposition:
    """Return the variances. classes: gradients of each class, (n_y, d), none empty."""
    everyone = np.concatenate(list(classes))
    total, mean = len(everyone), everyone.mean(axis=0)
    within = sum(float(((g - g.mean(axis=0)) ** 2).sum()) for g in classes) / total
    norms = np.linalg.norm(everyone, axis=1)
    return Decomposition(
        rs=float(((everyone - mean) ** 2).sum()) / total,
        stratified=within,
        importance_sampling=float(norms.mean() ** 2 - mean @ mean),
        cis=(sum(map(class_importance, classes)) / total) ** 2,
    )


def check() -> list[Statement]:
    """Return the rows of the decomposition: it agrees with Theorem 2, and C-IS's is the least."""
    worst, least = 0.0, True
    for seed in range(50):
        classes = made_up_gradients(seed, (4, 4, 4))
        found = decompose(classes)
        chances = [np.full(4, 0.25)] * 3
        worst = max(
            worst, relative(batch_variance(classes, chances, (1, 1, 1)) * 3, found.stratified)
        )
        bounds = (found.rs, found.stratified, found.importance_sampling)
        least &= all(found.cis <= bound * (1 + 1e-12) for bound in bounds)
    equal = [np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[-1.0, 0.0], [-1.0, 0.0]])]
    apart = decompose(equal)
    return [
        Statement(
            "C-IS against a stratified batch",
            "from Theorem 2 and Lemma 2",
            "C-IS has the least variance of RS, a stratified batch, IS and C-IS",
            "closed forms against Theorem 2 with one pick a class, 50 cases",
            "holds" if least and worst <= 1e-9 else "does not hold",
            worst,
            counterexample="what C-IS adds to a stratified batch may be nothing: with equal "
            f"gradients inside classes RS has {apart.rs:.0f}, IS {apart.importance_sampling:.0f}, "
            f"stratified {apart.stratified:.0f}, C-IS {apart.cis:.0f}",
        )
    ]
