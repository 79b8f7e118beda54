"""Mean and range over seeds, in tables and in pictures."""

from collections.abc import Sequence
from typing import Any

from titan_repro.analysis.spread import Spread
from titan_repro.figures.style import colour

RANGE = "mean and range over seeds"


def spread_cells(spread: Spread) -> list[str]:
    """Return mean, range and how many there are as cells of a table."""
    if spread.number == 0:
        return ["none", "", "0"]
    ends = f"{spread.low:.2f} to {spread.high:.2f}" if spread.number > 1 else "one seed"
    return [f"{spread.mean:.2f}", ends, str(spread.number)]


def errors(
    axes: Any, places: Sequence[float], spreads: Sequence[Spread], name: str, **style: Any
) -> None:
    """Draw points with bars from lowest to highest, in the colour of the selector `name`."""
    means = [spread.mean for spread in spreads]
    below = [spread.mean - spread.low for spread in spreads]
    above = [spread.high - spread.mean for spread in spreads]
    looks = {"fmt": "o-", "color": colour(name), "capsize": 3, "label": name, **style}
    axes.errorbar(places, means, [below, above], **looks)


def band(axes: Any, spread: Spread, name: str, label: str) -> None:
    """Draw a horizontal line at the mean, the range shaded."""
    axes.axhline(spread.mean, color=colour(name), linestyle="dashed", label=label)
    axes.axhspan(spread.low, spread.high, color=colour(name), alpha=0.12, linewidth=0)
