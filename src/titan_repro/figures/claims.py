"""The verdicts on the paper's claims, as a table."""

import math
from collections.abc import Sequence

from titan_repro.claims.verdicts import Judgement, Verdict, count
from titan_repro.figures.costs_table import digits
from titan_repro.figures.table import Table

HEADER = ("id", "claim", "paper", "ours", "seeds", "verdict", "what differs")

NOTES = (
    "ours: with its 95 % interval where two or more seeds make one; of a claim of several models "
    "or selectors, the part that the verdict hangs on. seeds: none are behind numbers of the "
    "modelled board, measurements of cost, theory and arithmetic.",
    "Nothing holds with fewer than 3 seeds or with an interval across the rule's threshold. Of so "
    "many intervals of 95 %, a few miss by chance. The rules are those of claims/rules.csv.",
)


def claims_table(judged: Sequence[Judgement], only: Verdict | None = None) -> Table:
    """Return a row a claim, those of one verdict if `only` says so; the title counts all."""
    rows = [_row(each) for each in judged if only in (None, each.verdict)]
    return Table(headline(judged), HEADER, rows, NOTES)


def headline(judged: Sequence[Judgement]) -> str:
    """Count the verdicts on the paper's claims, and apart from these its contradictions."""
    claims = [each for each in judged if not each.is_contradiction]
    own = [each for each in judged if each.is_contradiction]
    words = ", ".join(f"{number} {verdict}" for verdict, number in count(claims).items())
    exclude = count(own)[Verdict.FAILS]
    return (
        f"{len(claims)} claims: {words}. Of {len(own)} pairs of the paper's numbers that should "
        f"agree, {exclude} do not"
    )


def _row(judged: Judgement) -> tuple[str, ...]:
    claim = judged.claim
    return (
        claim.id,
        claim.claim,
        f"{claim.paper_value} {claim.unit}".strip(),
        _ours(judged),
        str(judged.seeds) if judged.seeds else "",
        judged.verdict,
        judged.note,
    )


def _ours(judged: Judgement) -> str:
    if judged.value is None or judged.claim.id.startswith(("theory.", "filter.")):
        return ""
    if judged.interval is None:
        return _number(judged.value)
    low, high = map(_number, judged.interval)
    return f"{_number(judged.value)} [{low}, {high}]"


def _number(value: float) -> str:
    return "" if math.isnan(value) else digits(value)
