"""A verdict on each claim of the paper, from an export or run folders."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from titan_repro.paper.published import Claim, claims


class Verdict(StrEnum):
    """What became of a claim; the value is the word for it."""

    HOLDS = "holds"
    DIRECTION = "direction only"
    FAILS = "does not hold"
    UNDECIDED = "undecided"
    NOT_TESTED = "not tested"


@dataclass(frozen=True)
class Judgement:
    """A claim, what we found of it, and the verdict.

    value: ours, in the claim's unit; None where there is none. interval: 95 %, in the same unit;
    None where fewer than two seeds make one. seeds: behind the value. rule: that was applied, in
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


def judge(source: Path) -> list[Judgement]:
    """Judge every claim of claims.csv, in its order, by what `source` holds.

    source: an export, or a folder of run folders.
    """
    return [
        Judgement(
            claim, Verdict.NOT_TESTED, None, None, 0, "none yet", (), "no rule is written yet", ""
        )
        for claim in claims().values()
    ]
