"""Numbers of several seeds: their mean and range."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Spread:
    """Mean, lowest and highest of some numbers, and how many there are; NaN for none."""

    mean: float
    low: float
    high: float
    number: int

    @classmethod
    def of(cls, values: Iterable[float | None]) -> "Spread":
        """Return that of the numbers that are there."""
        known = np.array([v for v in values if v is not None and not math.isnan(v)], dtype=float)
        if len(known) == 0:
            return cls(math.nan, math.nan, math.nan, 0)
        return cls(float(known.mean()), float(known.min()), float(known.max()), len(known))
