"""How each claim is judged: rules.csv as records, and the question that a rule asks of a claim.

The rules are ours and stand apart from claims.csv, which has facts about the paper. They were fixed
before the campaign's runs were read.
"""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from typing import Literal, cast, get_args

from titan_repro.boards.contradictions import Contradiction, paper_contradictions
from titan_repro.paper.published import Claim, claimed_numbers, claims

Comparison = Literal["reach", "match", "order", "at_most", "at_least", "arrival", "statement"]

CONTRADICTION = "contradiction."
"""Ids of claims that the paper makes by contradicting itself begin with it."""


SAME = "the same"
"""Stands in contradictions.csv for the words of the row above."""


@dataclass(frozen=True)
class ClaimRule:
    """A row of rules.csv: how the claims that a pattern matches are judged.

    claims: shell pattern of their ids. quantity: what is measured (`claims.quantities`).
    comparison: how it is held against the paper's number (`claims.comparisons`).
    threshold: which side of it the paper is on; None where no side counts.
    tolerance: in the claim's unit; relative: as a share of the paper's number.
    rounds: how long the paper's runs are; 0 where no run is behind it.
    given: what the quantity needs to know besides the claim's condition, by key.
    paper: the paper's number by model, where the claim is of several.
    words: the rule for a reader.
    """

    claims: str
    quantity: str
    comparison: Comparison
    threshold: float | None
    tolerance: float
    relative: bool
    rounds: int
    given: Mapping[str, str]
    paper: Mapping[str, float]
    words: str


@dataclass(frozen=True)
class Question:
    """A claim and its rule. asked: the claim's condition and the rule's `given`, by key."""

    claim: Claim
    rule: ClaimRule
    asked: Mapping[str, str]

    def all(self, key: str) -> tuple[str, ...]:
        """Return the values under a key, which "|" parts; none where it is not asked."""
        return tuple(value for value in self.asked.get(key, "").split("|") if value)

    def one(self, key: str, default: str = "") -> str:
        """Return the only value under a key."""
        return self.asked.get(key, default)

    def number(self, part: str = "") -> float | None:
        """Return the paper's number for a part (a model) of the claim; None if it has none."""
        if part in self.rule.paper:
            return self.rule.paper[part]
        if self.claim.id.startswith(CONTRADICTION):
            return float(self.claim.paper_value)
        return claimed_numbers().get(self.claim.id)

    @property
    def sign(self) -> int:
        """Which side of the threshold the paper is on: 1 above, -1 below."""
        if "sign" in self.asked:
            return -1 if self.asked["sign"] == "-" else 1
        number, threshold = self.number(), self.rule.threshold
        if number is None or threshold is None:
            return 1
        return 1 if number > threshold else -1


@cache
def rules() -> tuple[ClaimRule, ...]:
    """Return all rules in the order in which they are tried."""
    file = resources.files("titan_repro.claims").joinpath("rules.csv")
    rows = csv.DictReader(file.read_text(encoding="utf-8").splitlines())
    return tuple(_rule(row) for row in rows)


def rule_of(claim_id: str) -> ClaimRule:
    """Return the first rule whose pattern matches. Raises LookupError if none does."""
    for rule in rules():
        if fnmatchcase(claim_id, rule.claims):
            return rule
    raise LookupError(f"rules.csv: no rule for {claim_id}")


def question(claim: Claim) -> Question:
    """Return what is asked of a claim."""
    rule = rule_of(claim.id)
    return Question(claim, rule, {**_pairs(claim.condition), **rule.given})


def all_claims() -> list[Claim]:
    """Return the paper's claims, in the order of claims.csv, then where it contradicts itself."""
    found = [*claims().values()]
    what = ""
    for each in contradictions():
        what = what if each.what == SAME else each.what
        found.append(_claim(each, what))
    return found


def contradictions() -> list[Contradiction]:
    """Return the paper's contradictions: those about the device, and the others."""
    return [*paper_contradictions(), *paper_contradictions("titan_repro.claims")]


def _claim(found: Contradiction, what: str) -> Claim:
    return Claim(
        CONTRADICTION + found.id,
        "the paper itself",
        what,
        "agreement",
        f"{found.printed_value:g}",
        found.unit,
        "",
    )


def _rule(row: Mapping[str, str]) -> ClaimRule:
    if row["comparison"] not in get_args(Comparison):
        raise ValueError(f"rules.csv, {row['claims']}: comparison {row['comparison']}")
    tolerance = re.match(r"[\d.]*", row["tolerance"])
    relative = row["tolerance"].endswith("%")
    amount = float(tolerance.group() or 0) if tolerance else 0.0
    return ClaimRule(
        claims=row["claims"],
        quantity=row["quantity"],
        comparison=cast(Comparison, row["comparison"]),
        threshold=float(row["threshold"]) if row["threshold"] else None,
        tolerance=amount / 100 if relative else amount,
        relative=relative,
        rounds=int(row["rounds"] or 0),
        given=_pairs(row["given"]),
        paper={model: float(number) for model, number in _pairs(row["paper"]).items()},
        words=row["words"],
    )


def _pairs(text: str) -> dict[str, str]:
    """Read "model=alexnet blocks=1"; words of a condition that are no pair are left out."""
    found = re.findall(r"(\w+)=(.*?)(?=\s+\w+=|$)", text)
    return {key: value.strip() for key, value in found}
