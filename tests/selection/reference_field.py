"""The policies of the field once more, sample by sample, with explicit gradient vectors.

As `reference`: written from the definitions, and nothing here is shared with the package. The
weights of matching pursuit alone are a library's, on another form of the problem.
"""

import math

import numpy as np
from scipy.optimize import nnls

from selection.reference import Vector, cross_entropy, dot, float32, norm, softmax


def farthest_first(points: list[Vector], batch_size: int) -> list[int]:
    """Picks of k-center; the first sample first, then the farthest from its nearest pick."""
    picks = [0]
    while len(picks) < batch_size:
        rest = [i for i in range(len(points)) if i not in picks]
        away = {i: min(math.dist(points[i], points[k]) for k in picks) for i in rest}
        picks.append(min(rest, key=lambda i: (-float32(away[i]), i)))
    return picks


def diversified(gradients: list[Vector], batch_size: int) -> list[int]:
    """Picks of DivBS by Gram-Schmidt; fewer than B if nothing adds to the projection."""
    total = [math.fsum(column) for column in zip(*gradients, strict=True)]
    if norm(total) ** 2 <= 1e-13 * math.fsum(norm(g) for g in gradients) ** 2:
        return []
    basis: list[Vector] = []
    picks: list[int] = []
    while len(picks) < batch_size:
        directions = {}
        for i, g in enumerate(gradients):
            rest = g
            for e in [*basis, *basis]:  # twice, against rounding
                along = dot(rest, e)
                rest = [a - along * b for a, b in zip(rest, e, strict=True)]
            if i not in picks and norm(rest) ** 2 > 1e-9 * norm(g) ** 2:
                directions[i] = [a / norm(rest) for a in rest]
        gains = {i: round(abs(dot(e, total)) / norm(total), 9) for i, e in directions.items()}
        if not gains or max(gains.values()) == 0:
            break
        picks.append(min(gains, key=lambda i: (-gains[i], i)))
        basis.append(directions[picks[-1]])
    return picks


def matching_pursuit(
    gradients: list[Vector], batch_size: int, regulariser: float
) -> tuple[list[int], Vector]:
    """Picks and weights of GRAD-MATCH; fewer than B if nothing correlates with the error."""
    total = [math.fsum(column) for column in zip(*gradients, strict=True)]
    norms = [norm(g) for g in gradients]
    scale = max(norms) * math.fsum(norms) or 1.0
    picks: list[int] = []
    weights: Vector = []
    while len(picks) < batch_size:
        error = [
            t - math.fsum(w * gradients[i][k] for i, w in zip(picks, weights, strict=True))
            for k, t in enumerate(total)
        ]
        rest = [i for i in range(len(gradients)) if i not in picks]
        found = {i: round(dot(gradients[i], error) / scale, 9) for i in rest}
        best = min(rest, key=lambda i: (-found[i], i))
        if found[best] <= 0:
            break
        picks.append(best)
        rows = np.array([gradients[i] for i in picks]).T  # |rows w - total|^2 + regulariser |w|^2
        below = math.sqrt(regulariser) * np.eye(len(picks))
        stacked = np.vstack([rows, below]), np.concatenate([total, np.zeros(len(picks))])
        weights = nnls(*stacked)[0].tolist()
    return picks, weights


def utility_and_diversity(logits: list[Vector], before: list[Vector], alpha: float) -> Vector:
    """Scores of UDS, given the logits that are remembered."""
    scores = []
    for z in logits:
        away = math.fsum(math.dist(z, other) for other in before) / len(before) if before else 0.0
        scores.append(norm(z) + alpha * away)
    return scores


def least_chosen(positions: list[int], chosen: dict[int, int], order: list[int]) -> list[int]:
    """All candidates as RS2 takes them: by count, a copy's one higher; the first in `order`."""
    counts = [
        chosen.get(position, 0) + positions[:i].count(position)
        for i, position in enumerate(positions)
    ]
    return sorted(order, key=lambda i: (counts[i], order.index(i)))


class LinearSoftmax:
    """Softmax regression by gradient descent, on lists; inputs have a 1 appended here."""

    def __init__(self, length: int, classes: int) -> None:
        self.weights = [[0.0] * (length + 1) for _ in range(classes)]

    def loss(self, x: Vector, label: int) -> float:
        return cross_entropy([dot(row, [*x, 1.0]) for row in self.weights], label)

    def step(self, inputs: list[Vector], labels: list[int], rate: float) -> None:
        """One step on the mean cross-entropy, of length rate / mean(|x|^2 + 1)."""
        if not inputs:
            return
        rows = [[*x, 1.0] for x in inputs]
        size = math.fsum(dot(x, x) for x in rows) / len(rows)
        slope = [[0.0] * len(rows[0]) for _ in self.weights]
        for x, y in zip(rows, labels, strict=True):
            p = softmax([dot(row, x) for row in self.weights])
            for k, own in enumerate(slope):
                error = p[k] - (k == y)
                slope[k] = [a + error * b / len(rows) for a, b in zip(own, x, strict=True)]
        self.weights = [
            [w - rate / size * s for w, s in zip(row, down, strict=True)]
            for row, down in zip(self.weights, slope, strict=True)
        ]
