"""The quantities of rules.csv by name: functions of a question and the evidence.

Each returns a finding for every part of a claim (a model, a selector), at least one.
"""

from collections.abc import Callable

from titan_repro.claims import accuracy_quantities as accuracies
from titan_repro.claims import machine_quantities as machines
from titan_repro.claims import race_quantities as races
from titan_repro.claims import variance_quantities as variances
from titan_repro.claims.evidence import ClaimEvidence
from titan_repro.claims.finding import ClaimFinding
from titan_repro.claims.rules import Question

Quantity = Callable[[Question, ClaimEvidence], list[ClaimFinding]]

QUANTITIES: dict[str, Quantity] = {
    "accuracy": accuracies.accuracy,
    "gain": accuracies.gain,
    "gain_over_best": accuracies.gain_over_best,
    "between_streams": accuracies.between_streams,
    "blocks_slope": accuracies.blocks_slope,
    "time": races.time,
    "time_saved": races.time_saved,
    "time_speedup": races.time_speedup,
    "speedup": races.speedup,
    "speedup_over_best": races.speedup_over_best,
    "energy": races.energy,
    "arrival": races.arrival,
    "board": machines.board,
    "fitted": machines.fitted,
    "hidden": machines.hidden,
    "latency": machines.filter_latency,
    "latency_ratio": machines.latency_ratio,
    "theory": machines.theory,
    "contradiction": machines.contradiction,
    "variance": variances.figure5,
}


def measure(question: Question, evidence: ClaimEvidence) -> list[ClaimFinding]:
    """Measure what a rule asks for."""
    return QUANTITIES[question.rule.quantity](question, evidence)
