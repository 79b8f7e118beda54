"""Rounds to every accuracy, against random selection of the same seed.

Time to rs's final accuracy is one point of this curve; the rest of it shows whether a selector is
ahead early, late, or only where one happens to look.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from titan_repro.analysis.statistics import median_time

Array = NDArray[np.float64]

EARLY = 5
"""Evaluations within which a ratio of two rounds would be that of two small whole numbers."""


@dataclass(frozen=True)
class RoundsToAny:
    """Rounds that one label needs for each accuracy, over those that rs of the same seed needs.

    targets: (m,) accuracies, 0 to 1, which every run of rs reaches, after its first evaluations.
    ratios: (m,) medians over seeds; infinite where half of the runs do not get there.
    seeds: pairs behind each of them.
    """

    label: str
    targets: Array
    ratios: Array
    seeds: int


def rounds_to(curve: pd.DataFrame, targets: Sequence[float] | Array) -> Array:
    """Return the round at which a curve was first measured at each target (m,); inf if never.

    curve: a row an evaluation with round and accuracy (0 to 1).
    """
    ordered = curve.sort_values("round")
    best = np.maximum.accumulate(ordered["accuracy"].to_numpy(dtype=float))
    rounds = np.append(ordered["round"].to_numpy(dtype=float), np.inf)
    reached: Array = rounds[np.searchsorted(best, np.asarray(targets, dtype=float))]
    return reached


def rounds_to_any(
    curves: pd.DataFrame, step: float = 0.01, first: int = EARLY
) -> list[RoundsToAny]:
    """Return the curve of every label of one setting but rs; none without runs of rs.

    curves: as `Runs.curves`, of one setting. step: between targets, which are whole multiples.
    first: evaluations of rs that targets lie above. Labels without a seed in common with rs are
    left out.
    """
    random = {int(str(seed)): own for seed, own in curves[curves["label"] == "rs"].groupby("seed")}
    targets = _targets(list(random.values()), step, first)
    if len(targets) == 0:
        return []
    base = {seed: rounds_to(own, targets) for seed, own in random.items()}
    found = []
    for label, own in curves[curves["label"] != "rs"].groupby("label"):
        ratios = [
            rounds_to(curve, targets) / base[int(str(seed))]
            for seed, curve in own.groupby("seed")
            if seed in base
        ]
        if ratios:
            medians = np.array([median_time(column) for column in np.array(ratios).T])
            found.append(RoundsToAny(str(label), targets, medians, len(ratios)))
    return found


def _targets(random: Sequence[pd.DataFrame], step: float, first: int) -> Array:
    """Return the multiples of `step` above every run's first accuracies and within its best."""
    if not random:
        return np.empty(0)
    ordered = [curve.sort_values("round")["accuracy"] for curve in random]
    low = max(float(curve.iloc[:first].max()) for curve in ordered)
    high = min(float(curve.max()) for curve in ordered)
    multiples = np.arange(np.floor(low / step) + 1, np.floor(high / step + 1e-9) + 1)
    return np.round(multiples * step, 9)  # as the same share of samples is, to the last bit
