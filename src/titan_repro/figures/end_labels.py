"""Words at the ends of lines, in place of a legend, moved apart where they would overlap."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SIZE = 7.5
"""Of the words, in points."""

LINE_HEIGHT = 1.25
"""Distance of two words, in their size."""


@dataclass(frozen=True)
class EndLabel:
    """Words for the line that ends at (x, y), in the data's units."""

    x: float
    y: float
    words: str
    colour: str
    bold: bool = False


def apart(places: Sequence[float], gap: float) -> np.ndarray:
    """Return places (n,) moved as little as it takes to lie at least `gap` apart.

    Their order stays. This is the least-squares solution: with the gaps taken off, what remains
    must not fall, and the closest sequence that does not fall is the isotonic regression.
    """
    from scipy.optimize import isotonic_regression

    wanted = np.asarray(places, dtype=float)
    order = np.argsort(wanted, kind="stable")
    steps = gap * np.arange(len(wanted))
    moved = np.empty_like(wanted)
    if len(wanted):
        moved[order] = isotonic_regression(wanted[order] - steps).x + steps
    return moved


def readable(colour: str) -> tuple[float, float, float]:
    """Return a colour darkened as far as words on white need: a contrast of 4.5 to 1 (WCAG 2)."""
    from matplotlib.colors import to_rgb

    shade = np.array(to_rgb(colour))
    while contrast_on_white(shade) < 4.5:
        shade *= 0.97
    red, green, blue = shade.tolist()
    return red, green, blue


def contrast_on_white(shade: np.ndarray) -> float:
    """Return the contrast of a colour (3,), red, green and blue from 0 to 1, with white."""
    linear = np.where(shade <= 0.04045, shade / 12.92, ((shade + 0.055) / 1.055) ** 2.4)
    return 1.05 / (float(linear @ [0.2126, 0.7152, 0.0722]) + 0.05)


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
        color=readable(label.colour),
        fontweight="bold" if label.bold else "normal",
        annotation_clip=False,
        **more,
    )
