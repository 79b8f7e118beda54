"""Panels of different heights in two columns, each as high as what it shows."""

from collections.abc import Sequence
from typing import Any

from titan_repro.figures.style import pyplot


def packed(heights: Sequence[float], width: float) -> tuple[Any, Sequence[Any]]:
    """Return a figure with an axes for each height, in their order.

    heights: of the panels with title and axis, at least one; width: of a column; in inches.
    """
    columns = _columns(heights)
    height = max(sum(column.values()) for column in columns)
    figure = pyplot().figure(figsize=(width * len(columns), height))
    made: dict[int, Any] = {}
    for place, column in zip(figure.add_gridspec(1, len(columns)), columns, strict=True):
        empty = height - sum(column.values())
        ratios = [*column.values(), *([empty] if empty > 0 else [])]
        grid = place.subgridspec(len(ratios), 1, height_ratios=ratios)
        made |= {number: figure.add_subplot(grid[row]) for row, number in enumerate(column)}
    return figure, [made[number] for number in range(len(heights))]


def _columns(heights: Sequence[float]) -> list[dict[int, float]]:
    """Share panels out to one or two columns, the highest first, to the column that is lower.

    Returns each column's panels, by their number, from the top, with their heights.
    """
    columns: list[dict[int, float]] = [{} for _ in heights[:2]]
    for number in sorted(range(len(heights)), key=lambda number: (-heights[number], number)):
        lowest = min(columns, key=lambda column: sum(column.values()))
        lowest[number] = heights[number]
    return columns
