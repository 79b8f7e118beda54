"""What a few paired seeds allow to say: intervals, tests, pooled scores, times without an end.

Pure functions on arrays. Runs with one seed see the same data in the same order, so selectors are
compared by their paired differences: (n,) deltas, one a seed. With 3 to 10 seeds the paired t
interval covers what it should (simulated in tests/analysis/test_statistics.py); a bootstrap of
single cells does not, and serves only where seeds of many models are pooled.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimate and its confidence interval; the ends are infinite where nothing is known.

    number: of seeds behind it.
    """

    estimate: float
    low: float
    high: float
    number: int

    def excludes(self, value: float) -> bool:
        """Return whether `value` lies outside the interval."""
        return value < self.low or value > self.high


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return the mean of (n,) values, such as paired deltas, with its t interval.

    One value has an infinite interval; none has NaN for an estimate.
    """
    x = _finite(values)
    if len(x) == 0:
        return Interval(np.nan, -np.inf, np.inf, 0)
    mean = float(x.mean())
    if len(x) == 1:
        return Interval(mean, -np.inf, np.inf, 1)
    half = float(stats.t.ppf((1 + confidence) / 2, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)))
    return Interval(mean, mean - half, mean + half, len(x))


MOST_FLIPPED = 16
"""Deltas up to which all sign flips are tried: 65,536."""

FEWEST_FLIPPED = 6
"""Deltas from which on a test by sign flips can pass 0.05: n of them give 2 / 2^n at the least."""


def sign_flip_p(deltas: ArrayLike) -> float:
    """Return the exact two-sided p value of paired deltas (n,) for no difference.

    The share of the 2^n ways to flip signs whose sum is as far from zero. The least that n seeds
    can give is 2 / 2^n, so 5 seeds cannot pass 0.05 and 6 can. Raises ValueError for no deltas or
    more than MOST_FLIPPED.
    """
    x = _finite(deltas)
    if not 1 <= len(x) <= MOST_FLIPPED:
        raise ValueError(f"{len(x)} deltas; allowed: 1 to {MOST_FLIPPED}")
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=len(x))))
    observed = abs(float(x.sum()))
    return float((np.abs(signs @ x) >= observed * (1 - 1e-12)).mean())


def holm(p_values: ArrayLike) -> Array:
    """Return p values (m,) adjusted for m tests by Holm's step-down method, at most 1."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    steps = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def interquartile_mean(scores: ArrayLike) -> float:
    """Return the mean of the middle half of all scores, whatever their shape (25 % trimmed)."""
    return float(stats.trim_mean(np.asarray(scores, dtype=np.float64).ravel(), 0.25))


def probability_of_improvement(ours: ArrayLike, theirs: ArrayLike) -> float:
    """Return how often a run of `ours` beats one of `theirs`, ties half: (n,) against (m,)."""
    a, b = _finite(ours), _finite(theirs)
    difference = a[:, None] - b[None, :]
    return float((difference > 0).mean() + 0.5 * (difference == 0).mean())


def pooled_improvement(
    models: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    draws: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """Return the probability of improvement, averaged over models, and its bootstrap interval.

    models: by name, the paired (n,) accuracies of a selector and of random selection. Seeds are
    drawn with replacement within each model, pairs together (stratified paired bootstrap,
    percentiles). number: of all pairs.
    """
    rng = np.random.default_rng(seed)
    pairs = [
        (np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64))
        for a, b in models.values()
    ]
    estimate = float(np.mean([probability_of_improvement(a, b) for a, b in pairs]))
    found = []
    for _ in range(draws):
        picks = [rng.integers(len(a), size=len(a)) for a, _ in pairs]
        found.append(
            np.mean(
                [
                    probability_of_improvement(a[i], b[i])
                    for (a, b), i in zip(pairs, picks, strict=True)
                ]
            )
        )
    edge = (1 - confidence) / 2
    low, high = np.quantile(found, [edge, 1 - edge])
    return Interval(estimate, float(low), float(high), sum(len(a) for a, _ in pairs))


def median_time(times: ArrayLike) -> float:
    """Return the median of (n,) times to accuracy, of which those never reached are infinite.

    Of an even number, the larger of the middle two: half of the runs arrive by then.
    """
    return float(np.sort(np.asarray(times, dtype=np.float64))[len(np.atleast_1d(times)) // 2])


def restricted_mean_time(times: ArrayLike, horizon: float) -> float:
    """Return the mean of (n,) times cut off at `horizon`: the area under the survival curve."""
    return float(np.minimum(np.asarray(times, dtype=np.float64), horizon).mean())


def arrived_by(times: ArrayLike, at: Sequence[float]) -> Array:
    """Return the share of runs that have arrived by each of the times `at`, (m,).

    All runs are watched to their end, so the Kaplan-Meier estimate is this share.
    """
    x = np.asarray(times, dtype=np.float64)
    return np.array([(x <= t).mean() for t in at])


def _finite(values: ArrayLike) -> Array:
    x = np.asarray(values, dtype=np.float64).ravel()
    return x[np.isfinite(x)]
