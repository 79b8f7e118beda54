"""Words at the ends of lines, in place of a legend, moved apart where they would overlap."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from titan_repro.figures.contrast import readable

SIZE = 7.5
"""Of the words, in points."""

LINE_HEIGHT = 1.25
"""Distance of two words, in their size."""

PAPER = "#ffffff"
"""The background of every figure."""


@dataclass(frozen=True)
class EndLabel:
    """Words for the line that ends at (x, y), in the data's units."""

    x: float
    y: float
    words: str
    colour: str
    bold: bool = False


def apart(
    places: Sequence[float], gap: float, low: float = -np.inf, high: float = np.inf
) -> np.ndarray:
    """Return places (n,) moved as little as it takes to lie at least `gap` apart in [low, high].

    Their order stays. This is the least-squares solution: with the gaps taken off, what remains
    must not fall, and the closest sequence that does not fall is the isotonic regression; cut at
    both ends, it is the closest within them. Too many for the room begin at `low`.
    """
    from scipy.optimize import isotonic_regression

    wanted = np.asarray(places, dtype=float)
    order = np.argsort(wanted, kind="stable")
    steps = gap * np.arange(len(wanted))
    moved = np.empty_like(wanted)
    if len(wanted):
        level = isotonic_regression(wanted[order] - steps).x
        moved[order] = np.maximum(np.minimum(level, high - steps[-1]), low) + steps
    return moved


def write_at_ends(axes: Any, labels: Sequence[EndLabel]) -> None:
    """Write each label right of the axes at the height of its line's end; fixes the y limits.

    A line that ends well before the axes' right edge has its words beside its end.
    """
    if not labels:
        return
    axes.autoscale_view()
    axes.set_ylim(axes.get_ylim())
    ends = axes.transLimits.transform([(label.x, label.y) for label in labels])
    right = [number for number, (x, _) in enumerate(ends) if x > EARLY]
    height = axes.get_window_extent().height / axes.figure.dpi * 72  # in points
    places = apart([ends[number][1] for number in right], LINE_HEIGHT * SIZE / height)
    for number, place in zip(right, places.tolist(), strict=True):
        line = {"arrowstyle": "-", "color": labels[number].colour, "linewidth": 0.5, "alpha": 0.6}
        line |= {"relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 0}
        _write(axes, labels[number], (1.03, place), axes.transAxes, arrowprops=line)
    for number in set(range(len(labels))) - set(right):
        _write(axes, labels[number], (5, 0), "offset points")


EARLY = 0.9
"""Part of the axes' width that a line must cover for its words to stand outside."""


def _write(axes: Any, label: EndLabel, place: Any, coordinates: Any, **more: Any) -> None:
    axes.annotate(
        label.words,
        xy=(label.x, label.y),
        xytext=place,
        textcoords=coordinates,
        va="center",
        fontsize=SIZE,
        color=readable(label.colour, PAPER),
        fontweight="bold" if label.bold else "normal",
        annotation_clip=False,
        **more,
    )
