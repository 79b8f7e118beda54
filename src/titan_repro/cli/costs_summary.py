"""A measurement of costs in a few lines for the person at the terminal."""

from collections.abc import Mapping
from typing import Any


def costs_summary(costs: Mapping[str, Any], folder: str, *, already_there: bool) -> str:
    """Say what a round costs, on which clock, and where the rest is.

    costs: as of costs.json.
    """
    measured, modelled = (costs["rounds"][clock] for clock in ("measured", "modelled"))
    medians = {name: times["median"] for name, times in measured.items() if name.endswith("_ms")}
    lines = [
        f"{costs['task']} {costs['model']} costs: measured"
        f"{' before, not measured again' if already_there else ''}",
        f"  data: {costs['data_source']}",
        f"  measured on this machine: {_rounds({**measured, **medians})}",
        f"  modelled on {costs['board']}: {_rounds(modelled)}",
        f"  {folder}",
    ]
    return "\n".join(lines)


def _rounds(rounds: Mapping[str, Any]) -> str:
    hidden = rounds["hidden_percent"]
    if hidden is None:
        share = "selection costs nothing"
    else:
        share = f"{hidden:.0f} % of selection hidden" if hidden >= 0 else "nothing hidden"
    return (
        f"rs {rounds['rs_ms']:.4g}, titan in sequence {rounds['titan_sequential_ms']:.4g}, "
        f"pipelined {rounds['titan_pipelined_ms']:.4g} ms a round, {share}"
    )
