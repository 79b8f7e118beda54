"""Settings of one seed, which decide nothing: in the table alone, and named below the picture."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pandas as pd

from titan_repro.figures.titles import short_title

Setting = TypeVar("Setting")


def part(
    settings: Sequence[Setting], seeds_of: Callable[[Setting], int]
) -> tuple[list[Setting], list[Setting]]:
    """Return the settings that are drawn, and those that are not.

    seeds_of: gives the largest number of seeds of a setting's lines. One with a single seed is
    drawn only where none has more.
    """
    seeds = [seeds_of(setting) for setting in settings]
    if max(seeds, default=0) < 2:
        return list(settings), []
    both = list(zip(settings, seeds, strict=True))
    return (
        [setting for setting, number in both if number > 1],
        [setting for setting, number in both if number < 2],
    )


def name_below(figure: Any, groups: Sequence[pd.DataFrame]) -> None:
    """Write below a picture which settings it leaves to the table, if any."""
    if groups:
        names = " and ".join(dict.fromkeys(short_title(group) for group in groups))
        figure.supxlabel(
            f"one seed, in the table alone: {names}", fontsize="small", color="#4d4d4d"
        )
