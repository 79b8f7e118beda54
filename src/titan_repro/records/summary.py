"""What every summary.json says."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

FINAL = ("finished", "diverged")
STATUSES = (*FINAL, "interrupted")
KEYS = (
    "status",
    "run_id",
    "task",
    "data_source",
    "model",
    "selector",
    "seed",
    "rounds",
    "final_accuracy",
    "weights_sha256",
    "seconds_per_round",
    "peak_memory_mb",
    "finished_at",
)
"""Always present; None where a run has no such value (the accuracy of a diverged run)."""


def check_summary(summary: Mapping[str, Any], statuses: Sequence[str] = STATUSES) -> dict[str, Any]:
    """Return the summary.

    Raises ValueError for a missing key, another status or a number that JSON cannot hold.
    """
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
    """Return whether the run is over, so that starting it again has nothing to do."""
    return summary is not None and summary["status"] in FINAL
