"""A run in a few lines for the person at the terminal."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from titan_repro.records.folder import RunFolder


def run_summary(summary: Mapping[str, Any], folder: Path, asked: int | None = None) -> str:
    """Say how a run ended, what it cost on which clock, and where it is.

    asked: rounds that were asked for of a run that had run so far, or further, before; None if it
    ran now.
    """
    name = f"{summary['task']} {summary['model']} {summary['selector']} seed {summary['seed']}"
    before = "" if asked is None else " before, not run again"
    lines = [
        f"{name}: {summary['status']}{before}, "
        f"{summary['rounds_done']} of {summary['rounds']} rounds"
    ]
    if asked is not None and asked < summary["rounds_done"]:
        lines.append(_recorded_at(asked, summary, folder))
    elif summary["final_accuracy"] is not None:
        lines.append(_accuracy(summary["final_accuracy"], summary["final_samples"]))
    lines.append(f"  data: {summary['data_source']}")
    lines.append(f"  measured on this machine: {_measured(summary)}")
    if summary.get("modelled_seconds_per_round") is not None:
        lines.append(
            f"  modelled on {summary['modelled_device']}, {summary['modelled_stages']}: "
            f"{_modelled(summary)}"
        )
    if (federation := summary.get("federation")) is not None:
        lines.append(f"  {_federation(federation)}")
    if len(kinds := summary.get("processors", ())) > 1:
        lines.append(f"  on several kinds of processor, whose bits differ: {', then '.join(kinds)}")
    lines.append(f"  {folder}")
    return "\n".join(lines)


def _federation(told: Mapping[str, Any]) -> str:
    sent = (told["bytes_down"] + told["bytes_up"]) / 1e6
    facts = f"{told['participants']} of {told['devices']} devices a round, {sent:.1f} MB sent"
    if not told["devices_at_milestones"]:
        return facts
    last = told["devices_at_milestones"][-1]
    low, high = 100 * last["lowest"], 100 * last["highest"]
    return f"{facts}; accuracy on a device's own classes {low:.1f} to {high:.1f} %"


def _accuracy(accuracy: float, samples: int) -> str:
    return f"  accuracy {100 * accuracy:.2f} % on {samples} test samples"


def _recorded_at(rounds: int, summary: Mapping[str, Any], folder: Path) -> str:
    """Say what a longer run recorded after `rounds` rounds."""
    for milestone in summary["milestones"]:
        if milestone["rounds"] == rounds:
            found = _accuracy(milestone["accuracy"], milestone["samples"])
            return f"{found} after {rounds} rounds"
    curve = RunFolder(folder).evaluations()
    for _, point in curve[curve["round"] == rounds].iterrows():
        found = _accuracy(float(point["accuracy"]), int(point["samples"]))
        return f"{found}, a part of all, after {rounds} rounds"
    known = ", ".join(f"{milestone['rounds']:,}" for milestone in summary["milestones"])
    return (
        f"  no accuracy was recorded after {rounds} rounds; allowed: {known or 'none'} (the whole "
        "test set), or where the curve has a point (a part)"
    )


def _measured(summary: Mapping[str, Any]) -> str:
    processor = summary.get("measured_processor_seconds")
    facts = [
        f"{1000 * summary['seconds_per_round']:.1f} ms a round",
        *([f"{processor:.1f} s of processor time"] if isinstance(processor, float) else []),
        f"peak memory {_peak_memory(summary):.0f} MB",
        *(_energies(summary.get("measured_joules")) or ["energy not measured"]),
    ]
    return ", ".join(facts)


def _peak_memory(summary: Mapping[str, Any]) -> float:
    """Return that of all processes together where it is known, else of the training process."""
    together = summary.get("measured_memory_mb")
    return float(together if isinstance(together, float) else summary["peak_memory_mb"])


def _energies(joules: Any) -> list[str]:
    """Say what each sensor counted."""
    sensors = joules.items() if isinstance(joules, dict) else ()
    return [f"{f'{n:.0f} J' if isinstance(n, float) else n} ({name})" for name, n in sensors]


def _modelled(summary: Mapping[str, Any]) -> str:
    return (
        f"{1000 * summary['modelled_seconds_per_round']:.4g} ms a round, "
        f"{summary['modelled_joules_per_round']:.3g} J a round, "
        f"memory {summary['modelled_memory_mb']:.1f} MB of tensors"
    )
