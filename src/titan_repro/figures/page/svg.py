"""Charts as SVG text: small, without a script, in the colours that the page's style gives.

Every mark has a class; the page's style sheet says which colour it is, by day and by night. Numbers
have one decimal, so the same data give the same bytes.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

from titan_repro.figures.end_labels import apart

Point = tuple[float, float]
MOST_POINTS = 60
"""Of a line; more are thinned evenly, the first and the last stay."""


@dataclass(frozen=True)
class Axis:
    """From numbers to a stretch of pixels. ticks: numbers and their words."""

    low: float
    high: float
    label: str
    ticks: Sequence[tuple[float, str]]
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Return where a number lies, 0 to 1 on the axis."""
        low, high, at = self.low, self.high, value
        if self.logarithmic:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return (at - low) / (high - low)


@dataclass
class Chart:
    """A chart that marks are added to, in the order in which they are drawn.

    title: what it shows, for those who cannot see it. left, right, top, bottom: room beside the
    plot, in pixels.
    """

    title: str
    x: Axis
    y: Axis
    width: int = 560
    height: int = 300
    left: int = 46
    right: int = 136
    top: int = 12
    bottom: int = 42
    _marks: list[str] = field(default_factory=list)

    def place(self, point: Point) -> Point:
        """Return the pixels of a point."""
        across = self.width - self.left - self.right
        down = self.height - self.top - self.bottom
        return (
            self.left + across * self.x.share(point[0]),
            self.height - self.bottom - down * self.y.share(point[1]),
        )

    def line(self, points: Iterable[Point], style: str, dashes: str = "") -> None:
        """Add a line of at most MOST_POINTS points; gaps where y is not finite."""
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        path = self._path(thinned(list(points)))
        if path:
            self._marks.append(f'<path class="line {style}"{dashed} d="{path}"/>')

    def band(self, low: Sequence[Point], high: Sequence[Point], style: str) -> None:
        """Add the area between two lines with the same x."""
        path = self._path([*thinned(list(low)), *reversed(thinned(list(high)))])
        if path:
            self._marks.append(f'<path class="band {style}" d="{path}Z"/>')

    def dot(self, point: Point, style: str, says: str = "") -> None:
        """Add a dot; `says` is shown where a mouse rests on it."""
        x, y = self.place(point)
        title = f"<title>{escape(says)}</title>" if says else ""
        drawn = f'<circle class="dot {style}" cx="{x:.1f}" cy="{y:.1f}" r="3.5">'
        self._marks.append(f"{drawn}{title}</circle>")

    def diamond(self, point: Point, style: str) -> None:
        """Add a diamond."""
        x, y = self.place(point)
        path = f"M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6Z"
        self._marks.append(f'<path class="mean {style}" d="{path}"/>')

    def text(
        self,
        point: Point,
        words: str,
        style: str = "",
        *,
        anchor: str = "start",
        shift: tuple[float, float] = (0, 4),
    ) -> None:
        """Add words at a point, `shift` pixels aside of it."""
        x, y = self.place(point)
        self._marks.append(_text(x + shift[0], y + shift[1], words, anchor, style))

    def labels(self, ends: Sequence[tuple[Point, str, str]]) -> None:
        """Add words at the right ends of lines, (point, words, style), moved apart where needed."""
        placed = sorted((self.place(point)[1], words, style) for point, words, style in ends)
        heights = apart([y for y, _, _ in placed], 13, self.top, self.height - self.bottom)
        for y, (_, words, style) in zip(heights, placed, strict=True):
            self._marks.append(_text(self.width - self.right + 6, y + 4, words, "start", style))

    def svg(self) -> str:
        """Return the chart as an <svg> element."""
        size = f'viewBox="0 0 {self.width} {self.height}"'
        head = f'<svg class="chart" role="img" aria-label="{escape(self.title)}" {size}>'
        return "".join([head, *self._axes(), *self._marks, "</svg>"])

    def _axes(self) -> Iterator[str]:
        bottom, right = self.height - self.bottom, self.width - self.right
        for at, words in self.x.ticks:
            x = self.place((at, self.y.low))[0]
            yield f'<path class="grid" d="M{x:.1f} {self.top}V{bottom}"/>'
            yield _text(x, bottom + 15, words, "middle")
        for at, words in self.y.ticks:
            y = self.place((self.x.low, at))[1]
            yield f'<path class="grid" d="M{self.left} {y:.1f}H{right}"/>'
            yield _text(self.left - 6, y + 4, words, "end")
        yield _text((self.left + right) / 2, self.height - 6, self.x.label, "middle")
        if self.y.label:
            turned = f"translate(11 {(self.top + bottom) / 2:.1f}) rotate(-90)"
            words = escape(self.y.label)
            yield f'<text transform="{turned}" text-anchor="middle">{words}</text>'

    def segment(self, start: Point, end: Point, style: str) -> None:
        """Add a straight line between two points."""
        self._marks.append(f'<path class="{style}" d="{self._path([start, end])}"/>')

    def _path(self, points: Sequence[Point]) -> str:
        parts, pen = [], "M"
        for point in points:
            if math.isfinite(point[0]) and math.isfinite(point[1]):
                x, y = self.place(point)
                parts.append(f"{pen}{x:.1f} {y:.1f}")
                pen = "L"
            else:
                pen = "M"
        return "".join(parts)


def thinned(points: list[Point], most: int = MOST_POINTS) -> list[Point]:
    """Return at most `most` of the points, evenly, with the first and the last."""
    if len(points) <= most:
        return points
    return [points[round(i * (len(points) - 1) / (most - 1))] for i in range(most)]


def nice_ticks(low: float, high: float, about: int = 5) -> list[tuple[float, str]]:
    """Return round numbers from low to high, about so many, with their words."""
    from matplotlib.ticker import MaxNLocator

    found = MaxNLocator(nbins=about, steps=[1, 2, 5, 10]).tick_values(low, high)
    inside = [float(tick) for tick in found if low - 1e-9 <= tick <= high + 1e-9]
    places = 0 if all(tick.is_integer() for tick in inside) else 1
    return [(tick, f"{tick:,.{places}f}") for tick in inside]


def dash_array(dashes: str | tuple[int, tuple[float, ...]], width: float = 1.8) -> str:
    """Return a line style of figures/style.py as SVG has it: "" for a solid line."""
    known = {"solid": (), "dashed": (4.0, 2.0), "dotted": (1.0, 1.5), "dashdot": (5.0, 1.5, 1, 1.5)}
    lengths = known[dashes] if isinstance(dashes, str) else dashes[1]
    return " ".join(f"{length * width:g}" for length in lengths)


def _text(x: float, y: float, words: str, anchor: str, style: str = "") -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text{kind} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
