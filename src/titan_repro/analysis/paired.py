"""What selectors gain over another one: differences of final accuracy, paired by seed.

Runs with one seed see the same data in the same order and begin with the same weights, so that a
difference of two of them is the selectors' alone; its spread over seeds is what an interval is of.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from titan_repro.analysis.comparison import order_labels
from titan_repro.analysis.statistics import (
    FEWEST_FLIPPED,
    MOST_FLIPPED,
    Interval,
    holm,
    mean_interval,
    sign_flip_p,
)


@dataclass(frozen=True)
class Gain:
    """What one selector gains, in points of final accuracy on the whole test set.

    deltas: (n,) one a seed. interval: of their mean, 95 %, by the t distribution.
    p: exact sign flip, adjusted by Holm for the selectors of the setting with FEWEST_FLIPPED seeds
        or more; NaN for the others, whose tests can find nothing and would only weaken these.
    """

    label: str
    selector: str
    deltas: np.ndarray
    interval: Interval
    p: float


def gains(runs: pd.DataFrame, reference: str) -> list[Gain]:
    """Return the gain of every other label of one setting over the runs of `reference`, in order.

    runs: as `Runs.summaries`. reference: a label. Labels without a common seed have no deltas;
    diverged runs have no accuracy and make no pair.
    """
    finished = runs[runs["status"] == "finished"]
    accuracy = 100 * finished.pivot_table(
        index="seed", columns="label", values="final_accuracy", aggfunc="first"
    ).astype(float)
    labels = [label for label in order_labels(runs["label"]) if label != reference]
    selector_of = dict(zip(runs["label"], runs["selector"], strict=True))
    deltas = {label: _deltas(accuracy, label, reference) for label in labels}
    tested = [label for label in labels if FEWEST_FLIPPED <= len(deltas[label]) <= MOST_FLIPPED]
    adjusted = holm([sign_flip_p(deltas[label]) for label in tested])
    p_of = dict(zip(tested, adjusted, strict=True))
    return [
        Gain(
            label,
            str(selector_of[label]),
            deltas[label],
            mean_interval(deltas[label]),
            float(p_of.get(label, np.nan)),
        )
        for label in labels
    ]


def gains_by_rounds(runs: pd.DataFrame, label: str, reference: str) -> dict[int, Interval]:
    """Return what a label gains over `reference` at each milestone that a pair of runs shares.

    runs: as `Runs.summaries`, of one setting; their milestones beyond its rounds count, too. In
    points, 95 %, by the t distribution.
    """
    accuracy: dict[str, dict[tuple[int, int], float]] = {label: {}, reference: {}}
    for run in runs[runs["label"].isin([label, reference])].to_dict("records"):
        for milestone in run["milestones"]:
            point = int(milestone["rounds"]), int(run["seed"])
            accuracy[run["label"]][point] = 100 * float(milestone["accuracy"])
    deltas: dict[int, list[float]] = {}
    for point in sorted(accuracy[label].keys() & accuracy[reference].keys()):
        deltas.setdefault(point[0], []).append(accuracy[label][point] - accuracy[reference][point])
    return {rounds: mean_interval(found) for rounds, found in deltas.items()}


def _deltas(accuracy: pd.DataFrame, label: str, reference: str) -> np.ndarray:
    if label not in accuracy or reference not in accuracy:
        return np.empty(0)
    return (accuracy[label] - accuracy[reference]).dropna().to_numpy(dtype=float)
