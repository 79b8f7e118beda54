"""What every summary.json says."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

FORMAT = 2
"""Of run folders. 1: a run of 1,000 rounds and one of 4,000 were different runs."""

FINAL = ("finished", "diverged")
STATUSES = (*FINAL, "interrupted")
KEYS = (
    "format",
    "status",
    "run_id",
    "task",
    "data_source",
    "model",
    "selector",
    "seed",
    "rounds",
    "rounds_done",
    "milestones",
    "final_accuracy",
    "weights_sha256",
    "seconds_per_round",
    "peak_memory_mb",
    "finished_at",
)
"""Always present; None where a run has no such value (the accuracy of a diverged run)."""


class OlderFormatError(ValueError):
    """A summary of a run folder that this version does not read."""


def check_summary(summary: Mapping[str, Any], statuses: Sequence[str] = STATUSES) -> dict[str, Any]:
    """Return the summary.

    Raises OlderFormatError for another version's, and ValueError for a missing key, another status
    or a number that JSON cannot hold.
    """
    found = summary.get("format", 1)
    if found != FORMAT:
        raise OlderFormatError(f"format {found}; allowed: {FORMAT}")
    missing = [key for key in KEYS if key not in summary]
    if missing:
        raise ValueError(f"no {', '.join(missing)}")
    if summary["status"] not in statuses:
        raise ValueError(f"status {summary['status']!r}, not one of {', '.join(statuses)}")
    for key, value in summary.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{key} is {value}; None stands for a value that does not exist")
    return dict(summary)


def is_final(summary: Mapping[str, Any] | None) -> bool:
    """Return whether the run has ended: at as many rounds as were asked for, or by diverging."""
    return summary is not None and summary["status"] in FINAL


def covers(summary: Mapping[str, Any] | None, rounds: int) -> bool:
    """Return whether nothing is left to run for `rounds` rounds, so that they need only be told."""
    if summary is None:
        return False
    if summary["status"] == "interrupted":  # one that stopped just there has not been measured
        return bool(summary["rounds_done"] > rounds)
    return summary["status"] == "diverged" or bool(summary["rounds_done"] >= rounds)
