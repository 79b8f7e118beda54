"""Numbers as sentences have them."""

import math
from collections.abc import Sequence

from titan_repro.analysis.statistics import Interval

MINUS = "\N{MINUS SIGN}"


def signed(value: float, places: int = 1) -> str:
    """Write a number with its sign."""
    return f"{round(value, places) + 0.0:+.{places}f}".replace("-", MINUS)


def plain_number(value: float, places: int = 1) -> str:
    """Write a number, with a sign only below zero."""
    return f"{round(value, places) + 0.0:.{places}f}".replace("-", MINUS)


def gained(interval: Interval, places: int = 1) -> str:
    """Write a mean difference in points with its interval and the number of seeds."""
    seeds = count_of(interval.number, "seed")
    if math.isinf(interval.low):
        return f"{signed(interval.estimate, places)} points ({seeds})"
    ends = f"{signed(interval.low, places)} to {signed(interval.high, places)}"
    return f"{signed(interval.estimate, places)} points (95 %: {ends}, {seeds})"


def bracketed(interval: Interval, places: int = 1) -> str:
    """Write a mean difference and its interval in brackets, for lists."""
    if math.isinf(interval.low):
        return signed(interval.estimate, places)
    low, high = signed(interval.low, places), signed(interval.high, places)
    return f"{signed(interval.estimate, places)} [{low}, {high}]"


def count_of(number: int, noun: str) -> str:
    """Write a number and what is counted."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def side(interval: Interval) -> str:
    """Say on which side of zero an interval lies: above, below or beside; "open" of one seed."""
    if math.isinf(interval.low) or interval.number < 2:
        return "open"
    return "beside" if not interval.excludes(0) else "above" if interval.estimate > 0 else "below"


def numbers_in_words(numbers: Sequence[int]) -> str:
    """Write rising whole numbers, three and more in a row as "first to last"."""
    parts: list[str] = []
    begin = 0
    for place in range(1, len(numbers) + 1):
        if place < len(numbers) and numbers[place] == numbers[place - 1] + 1:
            continue
        row = numbers[begin:place]
        parts += [f"{row[0]} to {row[-1]}"] if len(row) > 2 else [str(n) for n in row]
        begin = place
    return ", ".join(parts)
