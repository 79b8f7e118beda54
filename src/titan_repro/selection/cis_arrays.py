"""C-IS on arrays (paper section 3.2, Lemma 2): how `cis` selects from a few candidates on a CPU.

A tensor operation costs some microseconds however small its tensors are, C-IS is ninety of them,
and a training step of a small network takes little longer; one on arrays costs a fraction of it.
The tensor functions of `statistics`, `cis`, `inclusion` and `sampling` are the reference and give
the reasons. Here is the same arithmetic, in float64: only rounding differs.
"""

from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from titan_repro.selection import class_statistics
from titan_repro.selection.base import Candidates, Selection, required
from titan_repro.selection.sampling import GRID, pick_weights
from titan_repro.selection.statistics import RESOLUTION, given_moments


class Keys(Protocol):
    """The keys of `cis.ClassifiedImportanceSampling`, where they are explained."""

    gradient: str
    class_importance: str
    class_mass: str
    weighting: str
    sampling: str
    memory: float


class Gradients(NamedTuple):
    """What is known of the candidates' gradients g_i.

    norms: (N,) |g_i|, zero where it is not finite.
    usable: (N,) bool, the finite ones; all of them if none is finite.
    nonfinite: how many are not finite.
    class_mean_norms: (C,) |mean of g_i over each class|, 0 for classes without a finite one.
    """

    norms: np.ndarray
    usable: np.ndarray
    nonfinite: int
    class_mean_norms: np.ndarray


class ClassStatistics(NamedTuple):
    """Statistics of each class's usable candidates, all (C,): number, mean |g| and |mean g|."""

    counts: np.ndarray
    mean_norms: np.ndarray
    mean_gradient_norms: np.ndarray


def serves(candidates: Candidates, sampling: str) -> bool:
    """Whether `select` knows this sampling, and the candidates are where it is the faster way."""
    known = sampling != "without_replacement"
    return known and class_statistics.on_arrays(candidates.labels)


@np.errstate(invalid="ignore", over="ignore")  # a gradient may be infinite or NaN
def select(
    keys: Keys,
    average: Tensor | None,
    candidates: Candidates,
    batch_size: int,
    generator: torch.Generator,
) -> tuple[Selection, Tensor | None]:
    """Draw `batch_size` candidates; return them, and what `average` is after this round.

    average: (C,) the memory of `ema`, None before the first round, and always without `ema`.
    """
    labels = candidates.labels.numpy()
    gradients = known_gradients(candidates, labels, keys.gradient)
    classes = gather_statistics(gradients, labels)
    squared, average = squared_spread(keys, classes, average)
    mass = class_mass(keys.class_mass, classes.counts, candidates.stream_counts)
    importance = class_importance(classes, squared, mass, keys.weighting)
    numbers = inclusion_numbers(gradients, labels, importance, batch_size)
    picks = draw(numbers, labels, points(keys.sampling, batch_size, generator))
    indices, weights = torch.from_numpy(picks), torch.ones(batch_size, dtype=torch.float32)
    if keys.weighting != "none":
        share = mass / mass.sum() / np.maximum(classes.counts, 1.0)  # (C,)
        target = torch.from_numpy(share[labels])  # what is not usable is never drawn
        weights = pick_weights(torch.from_numpy(numbers), target, indices, keys.weighting)
    probabilities = torch.from_numpy(numbers[picks].astype(np.float32))
    nonfinite = torch.from_numpy(np.array(gradients.nonfinite, dtype=np.int64))
    return Selection(indices, weights, probabilities, nonfinite), average


def known_gradients(candidates: Candidates, labels: np.ndarray, gradient: str) -> Gradients:
    """Return what is known of the candidates' gradients, without what is not finite."""
    norms, class_mean_norms = gradient_moments(candidates, labels, gradient)
    finite = np.isfinite(norms)
    number = int(np.count_nonzero(finite))
    usable = finite if number else ~finite
    return Gradients(np.where(finite, norms, 0.0), usable, len(norms) - number, class_mean_norms)


def gradient_moments(
    candidates: Candidates, labels: np.ndarray, gradient: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return |g_i|, (N,), NaN or infinite where g_i is, and |mean of g_i over each class|, (C,).

    |sum of g_i over a class|^2 is the sum of <g_i, g_j> over all its finite i and j.
    """
    if gradient == "full":
        given = given_moments(candidates)
        means = given.class_mean_norms.double().nan_to_num(0.0)
        return given.norms.double().numpy(), means.numpy()
    products = gradient_products(candidates, labels, gradient)
    norms = np.sqrt(products.diagonal())
    finite = np.isfinite(norms)
    if not finite.all():
        products = np.where(finite & finite[:, None], products, 0.0)
    sums = products.sum(axis=1, where=labels[:, None] == labels)  # (N,) over j of the class of i
    classes = len(candidates.stream_counts)
    squares = np.maximum(np.bincount(labels, sums, classes), 0.0)  # (C,)
    sizes = np.maximum(np.bincount(labels, finite, classes), 1.0)
    return norms, np.sqrt(squares) / sizes


def gradient_products(candidates: Candidates, labels: np.ndarray, gradient: str) -> np.ndarray:
    """Return <g_i, g_j> = <d_i, d_j>, for last_layer times 1 + <h_i, h_j>, (N, N).

    torch multiplies the matrices: numpy's BLAS has threads of its own, on whose number its
    rounding depends.
    """
    d = torch.from_numpy(logit_gradients(required(candidates.logits, "logits"), labels))
    products: np.ndarray = (d @ d.T).numpy()
    if gradient == "last_layer":
        h = required(candidates.embeddings, "embeddings").detach().double()
        products *= 1 + (h @ h.T).numpy()
    return products


def logit_gradients(logits: Tensor, labels: np.ndarray) -> np.ndarray:
    """Return d = softmax - onehot, (N, C), each entry accurate to rounding."""
    d: np.ndarray = logits.detach().softmax(dim=1, dtype=torch.float64).numpy()
    own = np.arange(0, d.size, d.shape[1]) + labels
    d.put(own, 0.0)
    d.put(own, -d.sum(axis=1))
    return d


def gather_statistics(gradients: Gradients, labels: np.ndarray) -> ClassStatistics:
    """Return the statistics of each class."""
    classes = len(gradients.class_mean_norms)
    counts = np.bincount(labels, gradients.usable, classes)
    mean_norms = np.bincount(labels, gradients.norms, classes) / np.maximum(counts, 1.0)
    return ClassStatistics(counts, mean_norms, gradients.class_mean_norms)


def squared_spread(
    keys: Keys, classes: ClassStatistics, average: Tensor | None
) -> tuple[np.ndarray, Tensor | None]:
    """Return the squared spread of each class, (C,), and what `average` is after this round."""
    plugin = plugin_spread(classes)
    if keys.class_importance == "plugin":
        return plugin, average
    bessel = bessel_spread(classes, plugin)
    if keys.class_importance == "bessel":
        return bessel, average
    before = np.full_like(bessel, np.nan) if average is None else average.cpu().numpy()
    moved = keys.memory * before + (1 - keys.memory) * bessel
    moved = np.where(np.isnan(before), bessel, moved)
    after = np.where(classes.counts > 1, moved, before)
    return np.where(np.isnan(after), bessel, after), torch.from_numpy(after)


def plugin_spread(classes: ClassStatistics) -> np.ndarray:
    """Return (mean |g|)^2 - |mean g|^2 (Equation 2, squared), (C,), zero below RESOLUTION."""
    low, high = classes.mean_gradient_norms, classes.mean_norms
    squared: np.ndarray = (high - low) * (high + low)
    squared[squared < (RESOLUTION * high) ** 2] = 0.0
    return squared


def bessel_spread(classes: ClassStatistics, plugin: np.ndarray) -> np.ndarray:
    """Return plugin n / (n - 1), (C,), and for single candidates the pooled ratio of |g|^2."""
    counts, squared_means = classes.counts, classes.mean_norms**2
    freedom = np.maximum(counts - 1, 0.0)
    spread = plugin * counts / np.maximum(freedom, 1.0)
    pooled = freedom.dot(squared_means)
    ratio = min(freedom.dot(spread) / pooled, 1.0) if pooled > 0 else 1.0
    return np.where(counts == 1, ratio * squared_means, spread)


def class_mass(kind: str, counts: np.ndarray, stream_counts: Tensor) -> np.ndarray:
    """Return |S_y|, (C,): the candidates', or the stream's if it counted any of their classes."""
    if kind == "candidates":
        return counts
    mass: np.ndarray = stream_counts.double().numpy()
    return mass if (mass * counts).sum() > 0 else counts


def class_importance(
    classes: ClassStatistics, squared: np.ndarray, mass: np.ndarray, weighting: str
) -> np.ndarray:
    """Return I(y) = mass_y * spread_y, (C,); if all are zero mass times mean norm, then counts."""
    spread = np.sqrt(squared)
    if weighting != "none":
        spread = np.maximum(spread, RESOLUTION * classes.mean_norms)
    importance: np.ndarray = mass * spread * (classes.counts > 0)
    if not importance.any():
        importance = mass * classes.mean_norms
    return importance if importance.any() else classes.counts


def inclusion_numbers(
    gradients: Gradients, labels: np.ndarray, importance: np.ndarray, batch_size: int
) -> np.ndarray:
    """Return pi_i = B * I(y_i) / sum I * |g_i| / sum of |g| over the class, (N,)."""
    flat = np.bincount(labels, gradients.norms, len(importance)) == 0  # (C,)
    values = gradients.norms + (flat[labels] & gradients.usable)
    sums = np.bincount(labels, values, len(importance))
    sums[sums == 0] = 1.0
    quotas = importance * (batch_size / importance.sum())
    numbers: np.ndarray = quotas[labels] * (values / sums[labels])
    return numbers


def points(sampling: str, batch_size: int, generator: torch.Generator) -> np.ndarray:
    """Return the points of [0, B) at which a batch is drawn, (B,), as `sampling.draw` does."""
    if sampling == "multinomial":
        uniform = torch.rand(batch_size, dtype=torch.float64, generator=generator)
        scaled: np.ndarray = (uniform * batch_size).numpy()
        return scaled
    start = torch.randint(GRID, (1,), generator=generator).item()
    return (start + 0.5) / GRID + np.arange(batch_size)


def draw(numbers: np.ndarray, labels: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return whose length each point falls into, (B,), with the candidates laid class by class."""
    order = labels.argsort(kind="stable")
    lengths = numbers[order]
    last = lengths.nonzero()[0][-1]  # rounding may leave the ends short of the last point
    positions = np.minimum(lengths.cumsum().searchsorted(at, side="right"), last)
    picks: np.ndarray = order[positions]
    return picks
