"""How reports name what they show."""

from typing import Any

import pandas as pd

from titan_repro.analysis.sweeps import Sweep


def setting_title(group: pd.DataFrame) -> str:
    """Name the setting that a group of runs shares."""
    first = group.iloc[0]
    return (
        f"{first['task']}, {first['model']}, stream {first['stream']}, {first['rounds']} rounds"
        f"{_federation(first)}"
        f"{first['detail']}; data: {first['data_source']}"
    )


def short_title(group: pd.DataFrame) -> str:
    """Name the setting where others stand beside it."""
    first = group.iloc[0]
    return f"{first['model']} on {first['task']}{first['detail']}"


def _federation(run: "pd.Series[Any]") -> str:
    told = run.get("federation")
    return f", federation of {told['devices']} devices" if isinstance(told, dict) else ""


def sweep_title(sweep: Sweep) -> str:
    """Name the setting of a sweep, and how many seeds there are."""
    seeds = sweep.titan["seed"].nunique()
    return f"{setting_title(sweep.titan)}; {seeds} seed{'s' if seeds > 1 else ''}"
