"""The verdicts on the paper's claims, as a table."""

import math
from collections.abc import Sequence

from titan_repro.claims.verdicts import Judgement, Verdict, count
from titan_repro.figures.costs_table import digits
from titan_repro.figures.table import Table

HEADER = ("id", "claim", "paper", "ours", "seeds", "verdict")
WHOLE_HEADER = (*HEADER, "what differs", "rule", "runs", "command")

DIFFERS = "†"
LONGEST = {"claim": 36, "paper": 20}
"""Characters of a column's cell on a screen."""

NOTES = (
    "ours: with its 95 % interval where two or more seeds make one; of a claim of several models "
    "or selectors, the part that the verdict hangs on. seeds: none are behind numbers of the "
    "modelled board, measurements of cost, theory and arithmetic.",
    "Nothing holds with fewer than 3 seeds or with an interval across the rule's threshold. Of so "
    "many intervals of 95 %, a few miss by chance. The rules are those of claims/rules.csv.",
)
SHORT_NOTE = (
    f"{DIFFERS} something is missing or differs from the paper's runs; --format csv, html or latex "
    "says what, with the rule, the runs and the command."
)


def verdict_table(
    judged: Sequence[Judgement], only: Verdict | None = None, *, whole: bool = False
) -> Table:
    """Return a row a claim, those of one verdict if `only` says so; the title counts all.

    whole: with every column; else what fits a screen.
    """
    shown = [each for each in judged if only in (None, each.verdict)]
    if whole:
        return Table(count_line(judged), WHOLE_HEADER, [_whole(each) for each in shown], NOTES)
    return Table(count_line(judged), HEADER, [_short(each) for each in shown], (SHORT_NOTE, *NOTES))


def count_line(judged: Sequence[Judgement]) -> str:
    """Count the verdicts on the paper's claims, and apart from these its contradictions."""
    claims = [each for each in judged if not each.is_contradiction]
    own = [each for each in judged if each.is_contradiction]
    words = ", ".join(f"{number} {verdict}" for verdict, number in count(claims).items())
    trivial = sum(each.by_definition for each in claims)
    words = words.replace(" holds", f" holds ({trivial} by definition)", 1) if trivial else words
    apart = count(own)[Verdict.FAILS]
    return (
        f"{len(claims)} claims: {words}. Of {len(own)} pairs of its numbers that should agree, "
        f"{apart} do not"
    )


def _short(judged: Judgement) -> tuple[str, ...]:
    claim = judged.claim
    words = judged.verdict + (f" {DIFFERS}" if judged.note else "")
    paper, ours, seeds = _numbers(judged)
    cells = _cut(claim.claim, LONGEST["claim"]), _cut(paper, LONGEST["paper"])
    return (claim.id, *cells, ours, seeds, words)


def _whole(judged: Judgement) -> tuple[str, ...]:
    claim = judged.claim
    told = (judged.verdict, judged.note, judged.rule, " ".join(judged.runs), judged.command)
    return (claim.id, claim.claim, *_numbers(judged), *told)


def _numbers(judged: Judgement) -> tuple[str, str, str]:
    paper = f"{judged.claim.paper_value} {judged.claim.unit}".strip()
    return paper, ours_cell(judged), str(judged.seeds) if judged.seeds else ""


def ours_cell(judged: Judgement) -> str:
    """Write our value and its interval; nothing for statements, which have none."""
    if judged.value is None or judged.claim.id.startswith(("theory.", "filter.")):
        return ""
    if judged.interval is None:
        return _number(judged.value)
    low, high = map(_number, judged.interval)
    return f"{_number(judged.value)} [{low}, {high}]"


def _number(value: float) -> str:
    return "" if math.isnan(value) else digits(value)


def _cut(text: str, longest: int) -> str:
    """Return a text of at most so many characters, cut between two words."""
    if len(text) <= longest:
        return text
    return text[: longest - 1].rsplit(" ", 1)[0] + "…"
