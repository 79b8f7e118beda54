"""ClaimEvidence written down by hand: runs at numbers of rounds, costs, statements."""

from dataclasses import replace
from pathlib import Path

from handmade import runs_of
from titan_repro.analysis.costs import Costs
from titan_repro.claims.evidence import ClaimEvidence, parted
from titan_repro.claims.finding import ClaimFinding
from titan_repro.claims.rules import Question, all_claims, question
from titan_repro.claims.verdicts import Judgement, judgement

CLAIMS = {claim.id: claim for claim in all_claims()}
JITTER = (-0.1, 0.0, 0.1, -0.05, 0.05, 0.02)
"""Points that seeds differ by, the same of every selector."""


class MadeUp(ClaimEvidence):
    """Runs by number of rounds, and costs by model; board and theory are the real ones."""

    def __init__(self, runs=None, costs=(), source=Path("nowhere")):
        self.source = source
        self.made = {n: parted(runs_of(*some)) for n, some in (runs or {}).items()}
        self.milestones = tuple(sorted(self.made, reverse=True))
        self.costs = {
            content["model"]: Costs(content["model"], content, path) for content, path in costs
        }

    def after(self, rounds):
        return self.made[rounds]


def asked(claim_id: str, **rule: object) -> Question:
    """Return the question of a claim, its rule changed."""
    own = question(CLAIMS[claim_id])
    return replace(own, rule=replace(own.rule, **rule))


def seeds(selector, accuracy, *, number=3, arrives=None, rounds=20_000, spread=1.0, **more):
    """Return runs of one selector whose final accuracy is so many percent, a seed each.

    arrives: the round at which the curve first gets to its end (by default half way).
    """
    at = rounds // 2 if arrives is None else arrives
    more = {"task": "cifar10", "model": "mobilenet", "rounds": rounds, **more}
    return [
        {
            "selector": selector,
            "seed": seed,
            "final": (accuracy + spread * JITTER[seed]) / 100,
            "curve": curve(accuracy / 100, at, rounds),
            **more,
        }
        for seed in range(number)
    ]


def curve(end, arrives, rounds):
    """Return evaluations every fiftieth of the rounds: low until `arrives`, then at the end."""
    step = rounds // 50
    return [(n, end if n >= arrives > 0 else end / 2, n / 100) for n in range(0, rounds + 1, step)]


def judged(claim_id: str, evidence: ClaimEvidence) -> Judgement:
    """Judge one claim by its own rule."""
    from titan_repro.claims.quantities import measure

    own = question(CLAIMS[claim_id])
    return judgement(own, measure(own, evidence))


def proof(asked: Question, part: str = "") -> ClaimFinding:
    """Return what would make a claim hold: six seeds close around the paper's own number."""
    rule, number = asked.rule, asked.number(part)
    lean = (0.5, 1.0)
    if rule.comparison in ("order", "at_most", "at_least", "statement"):
        return ClaimFinding(part, 1.0, (0.9, 1.1), 6, lean=lean)
    assert number is not None
    ends = (number * 0.999, number * 1.001)
    return ClaimFinding(part, number, ends, 6, against=number, lean=lean)
