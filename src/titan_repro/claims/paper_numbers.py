"""The paper's number that ours is held against: as printed, or off its curves at our rounds."""

import math
from collections.abc import Sequence

from titan_repro.claims.groups import FEDERATED, RunGroup
from titan_repro.claims.pairs import STANDS_IN, Pair
from titan_repro.claims.rules import Question
from titan_repro.paper.published import (
    CURVES_TASK,
    FIGURE_OF_STREAM,
    accuracy_at,
    rounds_ratio_at,
)

FIGURES = {**FIGURE_OF_STREAM, FEDERATED: "10"}
"""The figure with the paper's training curves, by stream."""


def accuracy_of_paper(
    pair: Pair, group: RunGroup, rounds: int, printed: float | None
) -> float | None:
    """Return the paper's accuracy of such runs after so many rounds; None if it shows none.

    Figure 7 has a curve of C-IS in place of Titan's: the two end within 0.8 points of each other
    (Figure 8).
    """
    if pair.task in STANDS_IN:
        return None
    if pair.rounds == rounds:
        return printed
    return _drawn(group, pair.rounds) if pair.task == CURVES_TASK else None


def _drawn(group: RunGroup, rounds: int) -> float | None:
    """Return what a training curve of the paper shows; None if it has no such curve."""
    if not group.standard:
        return None
    figure = FIGURES[group.stream]
    name = "cis" if (figure, group.selector) == ("7", "titan") else group.selector
    shown = accuracy_at(group.model, name, rounds, figure)
    return None if math.isnan(shown) else shown


def gain_of_paper(
    pair: Pair, ours: RunGroup, others: Sequence[RunGroup], rounds: int, printed: float | None
) -> tuple[float | None, str]:
    """Return the paper's gain over the best of others after so many rounds, and what limits us.

    None, and why, if it shows none there.
    """
    if pair.task not in STANDS_IN and pair.rounds == rounds:
        return printed, ""
    why = pair.note(rounds)
    if pair.task != CURVES_TASK:
        return None, why
    own = _drawn(ours, pair.rounds)
    shown = [found for o in others if (found := _drawn(o, pair.rounds)) is not None]
    return (None, why) if own is None or not shown else (own - max(shown), "")


def ratio_of_paper(
    question: Question, pair: Pair, ours: RunGroup, part: str
) -> tuple[float | None, str]:
    """Return the paper's number after the rounds of a pair, and what limits us if it has none."""
    rounds = question.rule.rounds
    if question.rule.comparison == "match":  # rs over itself, at any length and on any data
        return question.number(part), ""
    if pair.task not in STANDS_IN and pair.rounds == rounds:
        return question.number(part), ""
    if question.rule.quantity == "speedup" and pair.task == CURVES_TASK and ours.standard:
        ratio = rounds_ratio_at(ours.model, ours.selector, pair.rounds, FIGURES[ours.stream])
        if math.isfinite(ratio):
            return 1 / ratio, ""
    return None, pair.note(rounds)
