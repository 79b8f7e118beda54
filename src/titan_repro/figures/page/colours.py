"""The selectors' colours of figures/style.py, made readable on a light and on a dark page."""

from collections.abc import Iterable

from titan_repro.figures.contrast import readable
from titan_repro.figures.style import looks

LIGHT, DARK = "#ffffff", "#14171c"
"""Backgrounds of the page."""


def style_class(selector: str) -> str:
    """Return the class of all marks of a selector; names of own ones may hold anything."""
    return "s-" + "".join(c if c.isalnum() and c.isascii() else f"-{ord(c):x}-" for c in selector)


def colour_rules(selectors: Iterable[str]) -> str:
    """Return CSS that gives each selector's class its colour on both pages."""
    found = sorted(looks(selectors).items())
    light = "".join(f".{style_class(n)}{{--c:{readable(x.colour, LIGHT)}}}" for n, x in found)
    dark = "".join(f".{style_class(n)}{{--c:{readable(x.colour, DARK)}}}" for n, x in found)
    return f"{light}\n@media (prefers-color-scheme:dark){{{dark}}}"
