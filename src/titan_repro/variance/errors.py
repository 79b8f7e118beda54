"""The error of batches as estimators of the mean gradient: variance and squared bias, named apart.

A batch of biased picks may vary little and still be far off, so neither alone says enough:

    E |batch - mean|^2  =  E |batch - E batch|^2  +  |E batch - mean|^2
    mean squared error  =  variance               +  squared bias
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TINY = 1e-300
"""Instead of a squared length of zero, to divide by."""


@dataclass(frozen=True)
class ErrorParts:
    """Estimates from draws, unbiased each. standard_error: of mean_squared."""

    mean_squared: float
    variance: float
    squared_bias: float
    standard_error: float

    @classmethod
    def of(cls, squared: np.ndarray, squared_of_mean: float) -> "ErrorParts":
        """Return the parts of R draws.

        squared: (R,) |batch - mean|^2. squared_of_mean: the same of the mean of the batches. A
        single draw stands for a policy that draws nothing: its variance is zero.
        """
        draws, total = len(squared), float(squared.mean())
        if draws == 1:
            return cls(total, 0.0, total, 0.0)
        variance = (total - squared_of_mean) * draws / (draws - 1)
        error = float(squared.std(ddof=1)) / np.sqrt(draws)
        return cls(total, variance, total - variance, float(error))


def error_of(coefficients: np.ndarray, products: np.ndarray) -> ErrorParts:
    """Return the error of batches of one round from the mean gradient of its samples.

    coefficients: (R, N), of each sample in each batch's gradient. products: (N, N), <g_i, g_j>.
    """
    off = coefficients - 1 / len(products)
    mean = off.mean(axis=0)
    return ErrorParts.of(((off @ products) * off).sum(axis=1), float(mean @ products @ mean))


def combined(parts: Sequence[ErrorParts]) -> ErrorParts:
    """Return the mean over rounds; the draws of different rounds are independent."""
    errors = np.array([each.standard_error for each in parts])
    return ErrorParts(
        float(np.mean([each.mean_squared for each in parts])),
        float(np.mean([each.variance for each in parts])),
        float(np.mean([each.squared_bias for each in parts])),
        float(np.sqrt((errors**2).sum()) / len(parts)),
    )


def greedy_batch(products: np.ndarray, size: int) -> np.ndarray:
    """Return coefficients, (1, N), of a plainly averaged batch picked to be near the mean gradient.

    Pick after pick that sample which brings the average nearest to the mean of all. No selector can
    do this at the price of scores; it shows how near a batch of `size` can come.
    """
    count = len(products)
    to_mean, lengths = products.mean(axis=1), products.diagonal()
    sums, chosen = np.zeros(count), np.zeros(count, dtype=bool)
    for number in range(1, size + 1):
        cost = np.where(chosen, np.inf, 2 * (sums - number * to_mean) + lengths)
        pick = int(cost.argmin())
        chosen[pick] = True
        sums = sums + products[pick]
    return chosen[None] / size


def weighted_greedy_batch(products: np.ndarray, size: int) -> np.ndarray:
    """Return coefficients, (1, N), of the same kind of batch with the best weights for its samples.

    Orthogonal matching pursuit: pick after pick that sample whose gradient has the largest product
    with what is missing, then weights of all picks anew by least squares; weights may be negative.
    """
    count = len(products)
    to_mean = products.mean(axis=1)
    found, chosen = np.zeros(count), list[int]()
    for _ in range(size):
        missing = np.abs(to_mean - products @ found) / np.sqrt(
            np.maximum(products.diagonal(), TINY)
        )
        missing[chosen] = -1.0
        chosen.append(int(missing.argmax()))
        own = products[np.ix_(chosen, chosen)]
        found[chosen] = np.linalg.lstsq(own, to_mean[chosen], rcond=None)[0]
    return found[None]
