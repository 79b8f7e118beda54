"""The one look of all figures: colours per selector, sizes, and a renderer without a screen."""

from collections.abc import Mapping
from typing import Any

COLOURS: Mapping[str, str] = {
    "rs": "#4d4d4d",
    "stratified": "#4cc9f0",
    "is": "#1b7f79",
    "ll": "#8c6bb1",
    "hl": "#c994c7",
    "ce": "#e6a117",
    "ocs": "#7f9c3b",
    "camel": "#a6611a",
    "cis": "#2b6cb0",
    "titan_literal": "#f4a582",
    "titan": "#c0392b",
}
FALLBACK_COLOUR = "#999999"

SETTINGS: Any = {
    "figure.dpi": 150,
    "figure.constrained_layout.use": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e5e5e5",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "font.size": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}


def colour(selector: str) -> str:
    """Return a selector's colour, the same in every figure."""
    return COLOURS.get(selector, FALLBACK_COLOUR)


def pyplot() -> Any:
    """Return matplotlib.pyplot with the project's style on a renderer that needs no screen."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    plt.rcParams.update(SETTINGS)
    return plt
