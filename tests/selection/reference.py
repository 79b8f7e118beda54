"""Every policy once more, sample by sample, with Python floats and explicit gradient vectors.

Written from the definitions, to be read beside them; nothing here is shared with the package.
Ties are broken towards the earlier sample after rounding to float32.
"""

import math
import struct

Vector = list[float]


def float32(x: float) -> float:
    return struct.unpack("f", struct.pack("f", x))[0]


def softmax(logits: Vector) -> Vector:
    top = max(logits)
    exps = [math.exp(z - top) for z in logits]
    total = math.fsum(exps)
    return [e / total for e in exps]


def cross_entropy(logits: Vector, label: int) -> float:
    top = max(logits)
    return top + math.log(math.fsum(math.exp(z - top) for z in logits)) - logits[label]


def entropy(logits: Vector) -> float:
    return -math.fsum(p * math.log(p) for p in softmax(logits) if p > 0)


def gradient(logits: Vector, embedding: Vector, label: int, kind: str) -> Vector:
    """The flattened gradient of one sample's cross-entropy."""
    p = softmax(logits)
    d = [p[k] - (k == label) for k in range(len(p))]
    if kind == "logits":
        return d
    return [dk * h for dk in d for h in [*embedding, 1.0]]


def dot(a: Vector, b: Vector) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def norm(a: Vector) -> float:
    return math.sqrt(dot(a, a))


def mean(vectors: list[Vector]) -> Vector:
    return [math.fsum(column) / len(vectors) for column in zip(*vectors, strict=True)]


def cosine(a: Vector, b: Vector) -> float:
    return 0.0 if norm(a) == 0 or norm(b) == 0 else dot(a, b) / (norm(a) * norm(b))


def highest(scores: Vector, batch_size: int) -> list[int]:
    """Indices of the highest scores, the earlier of equal ones."""
    return sorted(range(len(scores)), key=lambda i: (-float32(scores[i]), i))[:batch_size]


def coreset_scores(gradients: list[Vector]) -> Vector:
    """OCS: similarity to the mean gradient minus mean similarity to all."""
    centre = mean(gradients)
    n = len(gradients)
    return [
        round(cosine(centre, g) - math.fsum(cosine(g, other) for other in gradients) / n, 9)
        for g in gradients
    ]


def camel(inputs: list[Vector], batch_size: int) -> tuple[list[int], Vector]:
    """Greedy picks in order of choice, and their weights."""
    picks: list[int] = []
    everyone = range(len(inputs))

    def cost(chosen: list[int]) -> float:
        total = math.fsum(min(math.dist(inputs[i], inputs[j]) for j in chosen) for i in everyone)
        return float32(total)

    for _ in range(batch_size):
        rest = [j for j in everyone if j not in picks]
        picks.append(min(rest, key=lambda j: (cost([*picks, j]), j)))
    sizes = [0] * batch_size
    for x in inputs:
        nearest = min(range(batch_size), key=lambda k: (float32(math.dist(x, inputs[picks[k]])), k))
        sizes[nearest] += 1
    return picks, [s * batch_size / len(inputs) for s in sizes]


def squared_spreads(gradients: list[Vector], labels: list[int], kind: str) -> dict[int, float]:
    """(mean |g|)^2 - |mean g|^2 of every class present: plugin, or bessel with single samples."""
    spreads, means, counts = {}, {}, {}
    for y in sorted(set(labels)):
        own = [g for g, label in zip(gradients, labels, strict=True) if label == y]
        n = counts[y] = len(own)
        means[y] = math.fsum(norm(g) for g in own) / n
        plugin = means[y] ** 2 - norm(mean(own)) ** 2
        if n == 1 or plugin < 1e-6 * means[y] ** 2:
            plugin = 0.0
        spreads[y] = plugin if kind == "plugin" or n == 1 else plugin * n / (n - 1)
    if kind == "plugin":
        return spreads
    several = [y for y in spreads if counts[y] > 1]
    above = math.fsum((counts[y] - 1) * spreads[y] for y in several)
    below = math.fsum((counts[y] - 1) * means[y] ** 2 for y in several)
    ratio = min(1.0, above / below) if below > 0 else 1.0
    for y in spreads:
        if counts[y] == 1:
            spreads[y] = ratio * means[y] ** 2
    return spreads


def class_importance(
    norms: Vector, labels: list[int], squared: dict[int, float], mass: Vector, floor: float
) -> dict[int, float]:
    """I(y) of every class present, with the documented substitutes where all are zero."""
    present = sorted(set(labels))
    own = {y: [s for s, label in zip(norms, labels, strict=True) if label == y] for y in present}
    means = {y: math.fsum(own[y]) / len(own[y]) for y in present}
    for option in (
        {y: mass[y] * max(math.sqrt(squared[y]), floor * means[y]) for y in present},
        {y: mass[y] * means[y] for y in present},
    ):
        if sum(option.values()) > 0:
            return option
    return {y: float(len(own[y])) for y in present}


def inclusion_numbers(
    norms: Vector, labels: list[int], importance: dict[int, float], batch_size: int
) -> Vector:
    """pi_i = B * I(y_i) / sum I * (norm_i / sum of the class's norms)."""
    total = math.fsum(importance.values())
    numbers = []
    for score, y in zip(norms, labels, strict=True):
        own = [s for s, label in zip(norms, labels, strict=True) if label == y]
        within = score / math.fsum(own) if math.fsum(own) > 0 else 1 / len(own)
        numbers.append(batch_size * importance[y] / total * within)
    return numbers


def share(
    weights: dict[int, float], capacities: dict[int, float], total: float
) -> dict[int, float]:
    """Share `total` in proportion to weights; whoever is over its capacity is cut, and again."""
    full: set[int] = set()
    while True:
        left = total - math.fsum(capacities[k] for k in full)
        open_weight = math.fsum(w for k, w in weights.items() if k not in full)
        result = {
            k: capacities[k] if k in full else (left * w / open_weight if open_weight else 0.0)
            for k, w in weights.items()
        }
        over = {k for k in result if k not in full and result[k] > capacities[k] * (1 + 1e-12)}
        if not over:
            return result
        full |= over


def distinct_inclusion_numbers(
    norms: Vector, labels: list[int], importance: dict[int, float], batch_size: int
) -> Vector:
    """The same with no number above 1; excess first inside the class, then over classes."""
    everyone = range(len(norms))
    scores = list(norms)
    for y in set(labels):
        own = [i for i in everyone if labels[i] == y]
        if all(norms[i] == 0 for i in own):
            for i in own:
                scores[i] = 1.0
    open_to = {
        y: [i for i in everyone if labels[i] == y and scores[i] > 0]
        for y in importance
        if importance[y] > 0
    }
    capacities = {y: float(len(own)) for y, own in open_to.items()}
    placed = min(float(batch_size), sum(capacities.values()))
    quotas = share({y: importance[y] for y in open_to}, capacities, placed)
    numbers = [0.0] * len(norms)
    for y, own in open_to.items():
        for i, number in share(
            {i: scores[i] for i in own}, dict.fromkeys(own, 1.0), quotas[y]
        ).items():
            numbers[i] = number
    left = batch_size - placed
    taken = {i for own in open_to.values() for i in own}
    for tier in (norms, [1.0] * len(norms)):
        rest = [i for i in everyone if i not in taken and tier[i] > 0]
        taken |= set(rest)
        placed = min(left, float(len(rest)))
        for i, number in share(
            {i: tier[i] for i in rest}, dict.fromkeys(rest, 1.0), placed
        ).items():
            numbers[i] = number
        left -= placed
    return numbers


def on_the_line(numbers: Vector, labels: list[int], points: Vector) -> list[int]:
    """The candidates whose stretch of the line, class after class, holds each point."""
    order = sorted(range(len(numbers)), key=lambda i: (labels[i], i))
    picks = []
    for point in points:
        end = 0
        for i in order:
            end += numbers[i]
            if point < end:
                break
        picks.append(i)
    return picks
