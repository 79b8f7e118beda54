"""What needs no training: costs measured here, the modelled board, theory, arithmetic.

Nothing of this has seeds. A measurement on another machine than the paper's board shows a direction
at best, and a number that the modelled board was fitted to is no evidence at all.
"""

from collections.abc import Callable
from dataclasses import replace

from titan_repro.analysis.costs import Costs
from titan_repro.claims.evidence import ClaimEvidence
from titan_repro.claims.finding import ClaimFinding, gap, lean_of
from titan_repro.claims.rules import CONTRADICTION, Question, contradictions

PAPERS_BOARD = "Jetson Nano"
FITTED = "not tested (fitted): the modelled board was calibrated to this number"
CALIBRATION = "titan-report calibration"


def board(question: Question, evidence: ClaimEvidence) -> list[ClaimFinding]:
    """Return a ratio (threshold 1) or a difference (threshold 0) of two numbers of the board."""
    model = question.one("model")
    names = [
        f"{question.one(key)}.{model}" if model else question.one(key) for key in ("number", "over")
    ]
    if evidence.fitted & set(names):
        return [gap(FITTED, CALIBRATION)]
    one, other = map(evidence.board_number, names)
    value = one / other if question.rule.threshold == 1 else one - other
    found = exact(question, value, CALIBRATION, "modelled, not measured")
    return [replace(found, against=question.number())]


def fitted(question: Question, evidence: ClaimEvidence) -> list[ClaimFinding]:
    """Return that only the modelled board has such a number, which was fitted to the paper's."""
    return [gap(FITTED, CALIBRATION)]


def hidden(question: Question, evidence: ClaimEvidence) -> list[ClaimFinding]:
    """Return the share of selection's cost that the pipeline hides, in percent."""
    return _measured(question, evidence, lambda costs: costs.hidden("measured"))


def filter_latency(question: Question, evidence: ClaimEvidence) -> list[ClaimFinding]:
    """Return milliseconds of the coarse filter on an arriving sample."""
    return _measured(
        question, evidence, lambda costs: costs.number("latency.measured.filter.arriving_ms")
    )


def latency_ratio(question: Question, evidence: ClaimEvidence) -> list[ClaimFinding]:
    """Return C-IS's time for an arriving sample over the coarse filter's."""

    def ratio(costs: Costs) -> float:
        whole, part = (
            costs.number(f"latency.measured.{way}.arriving_ms") for way in ("cis", "filter")
        )
        return whole / part

    return _measured(question, evidence, ratio)


def _measured(
    question: Question, evidence: ClaimEvidence, number: Callable[[Costs], float]
) -> list[ClaimFinding]:
    models = question.all("model")
    command = f"titan-run experiment=fig6 model={','.join(models)}"
    if not evidence.costs.keys() & set(models):
        missing = "no measurement of experiment=fig6 here; the modelled board is fitted to it"
        return [gap(f"not tested (fitted): {missing}", command)]
    return [_of_costs(question, evidence.costs.get(m), m, number, command) for m in models]


def _of_costs(
    question: Question,
    costs: Costs | None,
    model: str,
    number: Callable[[Costs], float],
    command: str,
) -> ClaimFinding:
    value = float("nan") if costs is None else number(costs)
    if costs is None or value != value:
        return gap("no measurement of it", command, model)
    machine = costs.machine()
    found = exact(question, value, command)
    elsewhere = "" if PAPERS_BOARD in machine else f"measured on {machine}"
    return replace(
        found, part=model, against=question.number(), limit=elsewhere, runs=(costs.content["id"],)
    )


def exact(question: Question, value: float, command: str, note: str = "") -> ClaimFinding:
    """Return a finding without seeds."""
    sign = {"at_most": -1, "at_least": 1}.get(question.rule.comparison, question.sign)
    return ClaimFinding(
        value=value,
        exact=True,
        lean=lean_of((value, value), question.rule.threshold, sign),
        note=note,
        command=command,
    )


def theory(question: Question, evidence: ClaimEvidence) -> list[ClaimFinding]:
    """Return the largest relative difference met in checking each part of a statement."""
    name = question.one("number")
    found = []
    for row in evidence.statements:
        if row.name == name or row.name.startswith(f"{name},"):
            lean = (-1.0, -1.0) if row.outcome == "does not hold" else (1.0, 1.0)
            condition = row.condition if row.outcome == "holds under a condition" else ""
            found.append(
                ClaimFinding(
                    part=row.name,
                    value=row.difference,
                    exact=True,
                    lean=lean,
                    limit=f"if {condition}" if condition else "",
                    note=row.counterexample if row.outcome == "does not hold" else "",
                    command="titan-run experiment=theory",
                )
            )
    if not found:
        raise LookupError(f"theory: no statement {name}")
    return found


def contradiction(question: Question, evidence: ClaimEvidence) -> list[ClaimFinding]:
    """Return the number that follows from others of the paper's."""
    by_id = {CONTRADICTION + each.id: each for each in contradictions()}
    implied = by_id[question.claim.id].implied_value
    return [ClaimFinding(value=implied, exact=True, against=question.number(), command=CALIBRATION)]
