"""Claims as the page shows them: verdicts counted, each claim a row that opens."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from titan_repro.claims.verdicts import Judgement, Verdict
from titan_repro.figures.page.evidence import Evidence
from titan_repro.figures.page.origins import LOST, Origin, one_of_each
from titan_repro.figures.table import Table
from titan_repro.figures.words import count_of

SIGNS = {
    Verdict.HOLDS: "\N{CHECK MARK}",
    Verdict.DIRECTION: "\N{ALMOST EQUAL TO}",
    Verdict.FAILS: "\N{MULTIPLICATION X}",
    Verdict.AGAINST: "\N{LEFTWARDS ARROW}",
    Verdict.UNDECIDED: "?",
    Verdict.NOT_TESTED: "\N{EN DASH}",
}
"""So that a verdict does not stand on its colour alone."""


PLURAL = {
    Verdict.HOLDS: "hold",
    Verdict.DIRECTION: "hold in direction only",
    Verdict.FAILS: "do not hold",
    Verdict.AGAINST: "point the other way",
    Verdict.UNDECIDED: "are undecided",
    Verdict.NOT_TESTED: "are not tested",
}

CONTRADICTION = "contradiction."
"""Begins the ids of claims that are the paper's contradictions of itself."""


@dataclass(frozen=True)
class ClaimRow:
    """One claim. kind, origin: classes that the filters go by, of its verdict and its source.

    paper, ours: with units. commits, fingerprints: of the runs behind it.
    """

    judgement: Judgement
    kind: str
    origin: str
    sign: str
    paper: str
    ours: str
    commits: str
    fingerprints: str


def slug(words: str) -> str:
    """Return words as a part of a class or an id."""
    return "-".join("".join(c if c.isalnum() else " " for c in words.lower()).split())


def origin_of(source: str) -> str:
    """Return the part of the paper that a claim's source names, without the section."""
    return source.split(" / ")[0]


def claim_rows(evidence: Evidence, found: Sequence[Origin]) -> list[ClaimRow]:
    """Return the claims in the order of claims.csv."""
    runs = {run.run_id: run for run in found}
    rows = []
    for judgement in evidence.judgements:
        behind = [runs[name] for name in judgement.runs if name in runs]
        unit = judgement.claim.unit
        rows.append(
            ClaimRow(
                judgement,
                slug(judgement.verdict),
                slug(origin_of(judgement.claim.source)),
                SIGNS[judgement.verdict],
                with_unit(judgement.claim.paper_value, unit),
                our_value(judgement),
                one_of_each([run.commit for run in behind]) or LOST,
                one_of_each([run.fingerprint for run in behind]) or LOST,
            )
        )
    return rows


def verdict_counts(judgements: Sequence[Judgement]) -> list[tuple[Verdict, int]]:
    """Return how many claims have each verdict, all six in their order."""
    counts = Counter(judgement.verdict for judgement in judgements)
    return [(verdict, counts[verdict]) for verdict in Verdict]


def claims_of(judgements: Sequence[Judgement]) -> list[Judgement]:
    """Return the claims without the checks of the paper against itself."""
    return [each for each in judgements if not each.claim.id.startswith(CONTRADICTION)]


def contradictions_of(judgements: Sequence[Judgement]) -> list[Judgement]:
    """Return the checks of the paper against itself."""
    return [each for each in judgements if each.claim.id.startswith(CONTRADICTION)]


def verdict_words(judgements: Sequence[Judgement]) -> str:
    """Say how many claims have each verdict, and how often the paper contradicts itself."""
    claims, checks = claims_of(judgements), contradictions_of(judgements)
    counts = dict(verdict_counts(claims))
    parts = ", ".join(f"{number} {PLURAL[verdict]}" for verdict, number in counts.items())
    trivial = sum(each.by_definition for each in claims)
    if trivial:
        held = f"{counts[Verdict.HOLDS]} {PLURAL[Verdict.HOLDS]}"
        parts = parts.replace(held, f"{held} ({trivial} by definition, rs against itself)", 1)
    text = f"Of the paper's {count_of(len(claims), 'claim')}, {parts}."
    failed = sum(each.verdict is Verdict.FAILS for each in checks)
    apart = f" Of {len(checks)} checks of its numbers against one another, {failed} fail."
    return text + (apart if checks else "")


def our_value(judgement: Judgement) -> str:
    """Write our number with its unit and interval; nothing where there is none."""
    if judgement.value is None:
        return ""
    words = with_unit(f"{judgement.value:.4g}", judgement.claim.unit)
    if judgement.interval is None or not all(map(math.isfinite, judgement.interval)):
        return words
    low, high = judgement.interval
    return f"{words} [{low:.4g}, {high:.4g}]"


def with_unit(value: str, unit: str) -> str:
    """Write a value and its unit; "x" and "x RS" are multiples and stand behind a number alone."""
    times = "\N{MULTIPLICATION SIGN}"
    unit = times if unit == "x" else f"{times} rs" if unit == "x RS" else unit
    return f"{value} {unit}".strip()


def claims_table(rows: Sequence[ClaimRow]) -> Table:
    """Return the claims as a table."""
    header = (
        *("id", "source", "claim", "paper", "unit", "verdict", "ours", "low", "high", "seeds"),
        *("rule", "note", "command", "runs"),
    )
    cells = []
    for row in rows:
        found, claim = row.judgement, row.judgement.claim
        ends = found.interval or (None, None)
        numbers = ["" if n is None else f"{n:.6g}" for n in (found.value, *ends)]
        cells.append(
            (
                *(claim.id, claim.source, claim.claim, claim.paper_value, claim.unit),
                *(found.verdict.value, *numbers, str(found.seeds)),
                *(found.rule, found.note, found.command, " ".join(found.runs)),
            )
        )
    return Table("Claims", header, cells)
