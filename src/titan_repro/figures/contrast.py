"""Contrast of colours as WCAG 2 defines it, and colours made readable on a background."""

from matplotlib.colors import to_hex, to_rgb

TEXT_CONTRAST = 4.5
"""Of level AA; words at the ends of lines have their lines' colours."""


def readable(colour: str, background: str, least: float = TEXT_CONTRAST) -> str:
    """Return the colour, mixed with black or white as far as its contrast needs, as #rrggbb."""
    towards = 1.0 if luminance(background) < 0.5 else 0.0
    for step in range(51):
        part = step / 50
        red, green, blue = ((1 - part) * c + part * towards for c in to_rgb(colour))
        mixed = to_hex((red, green, blue))
        if contrast(mixed, background) >= least:
            return mixed
    raise ValueError(f"no mixture of {colour} has a contrast of {least} to {background}")


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21, as WCAG 2 defines it."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, 0 to 1, as WCAG 2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
