"""The one look of all figures: colours and lines of selectors, sizes, and no need of a screen."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

Dashes = str | tuple[int, tuple[float, ...]]
"""What matplotlib takes as a line style."""


@dataclass(frozen=True)
class Look:
    """How a selector is drawn: each has its own colour, and dashes that tell it apart in grey."""

    colour: str
    dashes: Dashes


LOOKS: Mapping[str, Look] = {
    "rs": Look("#4d4d4d", "solid"),
    "stratified": Look("#4cc9f0", (0, (5, 1.5))),
    "is": Look("#1b7f79", (0, (1, 1))),
    "ll": Look("#8c6bb1", (0, (3, 1, 1, 1))),
    "hl": Look("#c994c7", (0, (3, 1, 1, 1, 1, 1))),
    "ce": Look("#e6a117", (0, (7, 2))),
    "ocs": Look("#7f9c3b", (0, (1, 2.5))),
    "camel": Look("#a6611a", (0, (5, 1.5, 1, 1.5))),
    "cis": Look("#2b6cb0", (0, (3, 1.5))),
    "titan_literal": Look("#f4a582", (0, (7, 1.5, 1, 1.5))),
    "titan": Look("#c0392b", "solid"),
    "titan_random": Look("#901848", (0, (4, 1.5))),
    "titan_equal": Look("#ff6f00", (0, (2, 1.5))),
    "camel_equal": Look("#e8c090", (0, (3, 1.5, 1, 1.5))),
    "grad_topk": Look("#0000c8", (0, (6, 2))),
    "el2n": Look("#1e90ff", (0, (1.5, 1))),
    "rho_loss": Look("#007a00", (0, (4, 1, 1, 1))),
    "uds": Look("#7818c0", (0, (8, 1.5))),
    "divbs": Look("#e020e0", (0, (5, 1, 1, 1, 1, 1))),
    "craig": Look("#484800", (0, (3, 2))),
    "gradmatch": Look("#70d040", (0, (8, 1.5, 2, 1.5))),
    "kcenter": Look("#20d8b0", (0, (1, 1.8))),
    "rs2": Look("#8898c8", (0, (6, 1, 2, 1))),
    "ours": Look("#000000", (0, (10, 1.5))),
}

OWN_COLOURS = ("#009e73", "#ff5ca8", "#b8a100", "#5e3c99", "#111111")
OWN_DASHES: tuple[Dashes, ...] = (
    (0, (6, 1.5, 1, 1.5)),
    (0, (2, 1)),
    (0, (9, 2)),
    (0, (4, 1, 1, 1, 1, 1)),
)
OWN_LOOKS = tuple(Look(hue, dashes) for dashes, hue in product(OWN_DASHES, OWN_COLOURS))
"""Of selectors that are not this package's."""

VARIANTS: tuple[Dashes, ...] = ("dashed", "dotted", "dashdot", (0, (6, 1, 1, 1, 1, 1)))
"""Variants of one selector share its colour: the first is drawn as the selector is."""

PAPER_COLOUR = "#a8a8a8"
"""Of the paper's own curves, drawn thin below ours."""

QUIET_COLOUR = "#6f6f6f"
"""Of our lines that do not stand out; their dashes and the words at their ends tell them apart."""

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
    "legend.handlelength": 3.2,
    "lines.linewidth": 1.6,
    "svg.hashsalt": "titan-repro",  # else the names inside an SVG file are drawn at random
}


def colour(selector: str) -> str:
    """Return a selector's colour, the same in every figure."""
    return looks([selector])[selector].colour


def looks(selectors: Iterable[str]) -> dict[str, Look]:
    """Return how each selector is drawn, no two alike.

    Those of this package look the same in every figure. Any other takes its place in OWN_LOOKS by
    its name, so that it looks the same in every figure too, unless another one of the same figure
    that comes before it in the alphabet has the same place: it then takes the next that is free.
    """
    names = sorted(set(selectors))
    found = {name: LOOKS[name] for name in names if name in LOOKS}
    taken: set[int] = set()
    for name in names:
        if name in LOOKS:
            continue
        wanted = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
        places = [(wanted + step) % len(OWN_LOOKS) for step in range(len(OWN_LOOKS))]
        place = next((place for place in places if place not in taken), places[0])
        taken.add(place)
        found[name] = OWN_LOOKS[place]
    return found


def pyplot() -> Any:
    """Return matplotlib.pyplot with the project's style on a renderer that needs no screen."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    plt.rcParams.update(SETTINGS)
    return plt
