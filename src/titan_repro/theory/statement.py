"""One row of the theory table: what is said, how it was checked and what came out."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Outcome = Literal["holds", "holds under a condition", "does not hold"]

EXACT = 1e-9
"""Largest relative difference between a formula and an enumeration that counts as equal."""

NEAR = 1e-4
"""The same between a formula and the end of a numerical optimiser."""


@dataclass(frozen=True)
class Statement:
    """A row of the theory table.

    name: theorem, lemma or equation, and which part of it. source: where the paper states it.
    says: the statement in words. check: how it was checked, and on how many cases.
    outcome: what came out. condition: that the outcome depends on; empty if on none.
    worst: largest relative difference met. counterexample: a case where it fails without the
        condition, in words and numbers; empty if there is none.
    """

    name: str
    source: str
    says: str
    check: str
    outcome: Outcome
    worst: float
    condition: str = ""
    counterexample: str = ""

    @property
    def difference(self) -> float:
        """The largest relative difference met; 0 up to EXACT, where digits are the processor's."""
        return 0.0 if self.worst <= EXACT else self.worst


def relative(found: float, expected: float) -> float:
    """Return |found - expected| over the larger of |expected| and 1e-12."""
    return abs(found - expected) / max(abs(expected), 1e-12)


def agrees(worst: float, tolerance: float = EXACT, *, condition: str = "") -> Outcome:
    """Return the outcome of an equality whose largest relative difference is `worst`."""
    if not worst <= tolerance:  # NaN does not agree
        return "does not hold"
    return "holds under a condition" if condition else "holds"


def made_up_gradients(seed: int, sizes: tuple[int, ...], dimension: int = 3) -> list[Array]:
    """Return gradients of classes of the given sizes, each (n_y, d), of unequal spread and norm."""
    rng = np.random.default_rng(seed)
    return [
        rng.normal(size=dimension) + rng.gamma(1.0) * rng.normal(size=(size, dimension))
        for size in sizes
    ]
