"""A verdict on each claim of the paper, from an export or run folders."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from titan_repro.claims.comparisons import Verdict, verdict
from titan_repro.claims.evidence import ClaimEvidence
from titan_repro.claims.finding import ClaimFinding, joined
from titan_repro.claims.quantities import measure
from titan_repro.claims.rules import CONTRADICTION, Question, all_claims, question
from titan_repro.paper.published import Claim

__all__ = ["Judgement", "Verdict", "count", "judge", "judgement", "judgements"]

WEAKEST_FIRST = (
    Verdict.FAILS,
    Verdict.AGAINST,
    Verdict.UNDECIDED,
    Verdict.DIRECTION,
    Verdict.HOLDS,
)


@dataclass(frozen=True)
class Judgement:
    """A claim, what we found of it, and the verdict.

    value: ours, in the claim's unit; None where there is none. interval: 95 %, in the same unit;
    None where fewer than two seeds make one. Of a claim of several models or selectors, both are
    those of the part that the verdict hangs on. seeds: behind the value. rule: that was applied, in
    words. runs: ids of the runs behind it. note: one sentence on what is missing or differs, "" if
    nothing does. command: that makes the number.
    """

    claim: Claim
    verdict: Verdict
    value: float | None
    interval: tuple[float, float] | None
    seeds: int
    rule: str
    runs: tuple[str, ...]
    note: str
    command: str

    @property
    def is_contradiction(self) -> bool:
        """Whether it is of the paper against itself, not one of the claims of claims.csv."""
        return self.claim.id.startswith(CONTRADICTION)

    @property
    def by_definition(self) -> bool:
        """Whether it holds whatever is run, as of rs over itself."""
        return self.verdict is Verdict.HOLDS and self.note == "1 by definition"


def judge(source: Path) -> list[Judgement]:
    """Judge the claims of claims.csv, in its order, then where the paper contradicts itself.

    source: an export, or a folder of run folders. Raises RunFolderError if it is neither, or
    damaged.
    """
    return judgements(ClaimEvidence(source))


def judgements(evidence: ClaimEvidence) -> list[Judgement]:
    """Judge every claim by the evidence."""
    asked = map(question, all_claims())
    return [judgement(each, measure(each, evidence)) for each in asked]


def judgement(asked: Question, found: Sequence[ClaimFinding]) -> Judgement:
    """Judge one claim by what was found of its parts.

    The weakest part decides: of several with the same verdict, the one that lies least on the
    paper's side. Parts that were not tested leave it at the direction at best.
    """
    judged = [(verdict(asked, part), part) for part in found]
    tested = [pair for pair in judged if pair[0] is not Verdict.NOT_TESTED]
    missing = [part for outcome, part in judged if outcome is Verdict.NOT_TESTED]
    if not tested:
        outcome, decisive = Verdict.NOT_TESTED, found[0]
    else:
        outcome, decisive = min(tested, key=_strength)
        if missing and outcome is Verdict.HOLDS:
            outcome = Verdict.DIRECTION
    without = ", ".join(part.part for part in missing)
    return Judgement(
        asked.claim,
        outcome,
        decisive.value,
        decisive.interval,
        decisive.seeds,
        asked.rule.words,
        tuple(dict.fromkeys(run for part in found for run in part.runs)),
        joined(
            decisive.part if len(found) > 1 and tested else "",
            decisive.limit,
            decisive.one_sided,
            decisive.note,
            f"not tested: {without}" if tested and missing else "",
        ),
        decisive.command,
    )


def _strength(judged: tuple[Verdict, ClaimFinding]) -> tuple[int, float]:
    """Return what parts of a claim are ranked by, the weakest first."""
    outcome, found = judged
    return WEAKEST_FIRST.index(outcome), math.inf if found.lean is None else found.lean[0]


def count(judged: Sequence[Judgement]) -> dict[Verdict, int]:
    """Return how many there are of each verdict."""
    return {word: sum(each.verdict is word for each in judged) for word in Verdict}
