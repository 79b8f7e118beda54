"""What a round costs over one of random selection: on the modelled board, or on this machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from titan_repro.analysis.clocks import CostsClock, NoTimeError
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
    """Return the same on this machine, by a measurement of costs of this task and model.

    Without one each run's own clock counts, which on a busy machine is mostly the neighbours', and
    of Titan, whose runs are not pipelined, rounds alone.
    """
    costs = evidence.costs.get(ours.model)
    if costs is not None:
        clock, run = CostsClock(costs), _as_run(ours, task)
        try:
            ratio = clock.round_ms(run) / clock.round_ms({**run, "selector": "rs"})
            return Price(ratio, f"a round as measured on {costs.machine()}")
        except NoTimeError:
            pass  # of another task, or of other work a round
    if ours.selector != "titan":
        return Price(None, "what a round takes is this machine's")
    return Price(1.0, "rounds alone: what a pipelined round takes is not measured", least=True)


def _as_run(ours: RunGroup, task: str) -> Mapping[str, Any]:
    """Return what a clock asks of a run, for the runs of a group."""
    choices = {"filter": {"budget": ours.budget}, "blocks": ours.blocks, "delay": 1}
    return {
        "task": task,
        "model": ours.model,
        "selector": ours.selector,
        "config.batch_size": ours.batch,
        "choices": choices if ours.selector == "titan" else {},
    }


def energy_price(evidence: ClaimEvidence, ours: RunGroup, task: str) -> Price:
    """Return the energy of a round of Titan over one of rs."""
    random = evidence.random_round(ours.model, 10).joules
    return Price(evidence.titan_round(ours.model, ours.budget).joules / random, FITTED)


def rounds_price(evidence: ClaimEvidence, ours: RunGroup, task: str) -> Price:
    """Return 1: rounds are counted, whatever they take."""
    return Price(1.0)
