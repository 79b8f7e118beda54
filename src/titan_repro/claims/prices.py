"""What a round costs over one of random selection: on the modelled board, or on this machine."""

from dataclasses import dataclass

from titan_repro.boards.paper import IMAGE_MODELS
from titan_repro.claims.evidence import ClaimEvidence
from titan_repro.claims.groups import RunGroup

FITTED = "what a round takes on the board is fitted to the paper"
MODELLED = "what a round takes is modelled, and never checked"


@dataclass(frozen=True)
class Price:
    """What a round costs over one of rs.

    ratio: None if each run measured it. limit: as of a ClaimFinding. least: it costs this or more,
    so that races with it can speak against a claim to be faster, never for it.
    """

    ratio: float | None
    limit: str = ""
    least: bool = False


def time_price(evidence: ClaimEvidence, ours: RunGroup, task: str) -> Price:
    """Return what a round of a group takes over one of rs on a task."""
    if ours.selector == "rs" and ours.batch == 10:
        return Price(1.0)
    if ours.model not in IMAGE_MODELS:
        return _time_here(evidence, ours, task)
    random = evidence.random_round(ours.model, 10).seconds
    if ours.selector == "rs":
        return Price(evidence.random_round(ours.model, ours.batch).seconds / random, MODELLED)
    if ours.selector == "titan":
        return Price(evidence.titan_round(ours.model, ours.budget).seconds / random, FITTED)
    return Price(evidence.baseline_seconds(ours.model, ours.selector) / random)


def _time_here(evidence: ClaimEvidence, ours: RunGroup, task: str) -> Price:
    """Return the same on this machine: for Titan's pipeline, of a measurement of costs."""
    if ours.selector != "titan":
        return Price(None, "what a round takes is this machine's")
    costs = evidence.costs.get(ours.model)
    if costs is None or costs.content["task"] != task:
        return Price(1.0, "rounds alone: what a pipelined round takes is not measured", least=True)
    pipelined, random = (costs.round_ms("measured", way) for way in ("titan_pipelined", "rs"))
    return Price(pipelined / random, f"a round as measured on {costs.machine()}")


def energy_price(evidence: ClaimEvidence, ours: RunGroup, task: str) -> Price:
    """Return the energy of a round of Titan over one of rs."""
    random = evidence.random_round(ours.model, 10).joules
    return Price(evidence.titan_round(ours.model, ours.budget).joules / random, FITTED)


def rounds_price(evidence: ClaimEvidence, ours: RunGroup, task: str) -> Price:
    """Return 1: rounds are counted, whatever they take."""
    return Price(1.0)
