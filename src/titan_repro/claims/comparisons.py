"""From a finding to a verdict: which side it is on, and whether it meets the paper's number.

A claim holds only if at least three seeds are behind it (or none are needed), its interval meets
the paper's number by the rule's comparison, and nothing limits it to a direction. It has the
direction only if its interval lies wholly on the paper's side of the threshold. It does not hold if
the interval lies wholly on the other side, or excludes the paper's number without a direction.
What limits a finding (another data set, constants fitted to the paper) limits it either way: it has
the other direction then, and refutes nothing.
"""

from enum import StrEnum

from titan_repro.claims.finding import ClaimFinding, Range
from titan_repro.claims.rules import ClaimRule, Question

FEWEST_SEEDS = 3
"""With fewer, nothing is decided."""


class Verdict(StrEnum):
    """What became of a claim; the value is the word for it."""

    HOLDS = "holds"
    DIRECTION = "direction only"
    FAILS = "does not hold"
    AGAINST = "other direction"
    UNDECIDED = "undecided"
    NOT_TESTED = "not tested"


def verdict(question: Question, found: ClaimFinding) -> Verdict:
    """Judge one finding."""
    if found.value is None:
        return Verdict.NOT_TESTED
    if not found.exact and found.seeds < FEWEST_SEEDS:
        return Verdict.UNDECIDED
    side, met = _side(found.lean), _meets(question, found)
    if question.rule.comparison == "match" and _comparable(found) and side < 0:
        side = 0  # the number itself decides; its direction can only speak for the claim
    if met and not found.limited:
        return Verdict.HOLDS
    if side > 0:
        return Verdict.DIRECTION
    if side < 0 and found.limit:
        return Verdict.AGAINST
    if side < 0 or met is False:
        return Verdict.FAILS
    return Verdict.UNDECIDED


def _side(lean: Range | None) -> int:
    """Return 1 if all of a range is above 0, -1 if all is below, else 0."""
    if lean is None:
        return 0
    return int(lean[0] > 0) - int(lean[1] < 0)


def _comparable(found: ClaimFinding) -> bool:
    return found.against is not None and not found.limited


def _meets(question: Question, found: ClaimFinding) -> bool | None:
    """Return whether the claim's number is met; None if that is open or cannot be said."""
    assert found.value is not None
    rule, on_side = question.rule, _side(found.lean) > 0
    ends = found.interval or (found.value, found.value)
    match rule.comparison:
        case "order" | "at_most" | "at_least" | "statement":
            return on_side or None
        case "arrival":
            close = found.against is not None and _within((found.value,) * 2, found.against, rule)
            return (on_side and close) or None
        case _ if found.against is None or found.limited:
            return None
        case "match":
            return _within(ends, found.against, rule)
        case "reach":
            reached = ends[1] >= found.against if question.sign > 0 else ends[0] <= found.against
            return (on_side or None) if reached else False


def _within(ends: Range, paper: float, rule: ClaimRule) -> bool | None:
    """Return whether a range lies within the tolerance of a number; None if it lies across."""
    allowed = rule.tolerance * (abs(paper) if rule.relative else 1)
    slack = 1e-9 * max(1.0, abs(paper))
    if paper - allowed - slack <= ends[0] and ends[1] <= paper + allowed + slack:
        return True
    if ends[1] < paper - allowed or ends[0] > paper + allowed:
        return False
    return None
