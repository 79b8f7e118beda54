"""What one open choice changes: pairs of runs that differ in one key and share seed and all else.

A key is of the setting (model.norm, learning_rate_floor) or of the selector (sampling,
filter.score). The nodes that are bound to it hold its last part once more, so every column that
ends as the key does counts as the key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from titan_repro.analysis.statistics import Interval, mean_interval
from titan_repro.config import SETTING_KEYS


@dataclass(frozen=True)
class Effect:
    """Points of final accuracy that `value` of a key gives over `other`, paired by seed.

    other: the value that more runs have. task ... rounds: of all these runs. interval: of the mean
    over seeds, 95 %, by the t distribution. runs: ids, both sides.
    """

    key: str
    value: str
    other: str
    task: str
    model: str
    stream: str
    selector: str
    rounds: int
    interval: Interval
    runs: tuple[str, ...]


def effects(runs: pd.DataFrame, keys: Sequence[str]) -> list[Effect]:
    """Return what each key was found to change, in the order of `keys`; none for one value alone.

    runs: as `Runs.summaries`. Diverged runs have no accuracy and make no pair.
    """
    finished = [run for run in runs.to_dict("records") if run["status"] == "finished"]
    found = []
    for key in keys:
        groups: dict[tuple[Any, ...], dict[str, list[Mapping[Any, Any]]]] = {}
        for run in finished:
            value, rest = _split(run, key)
            if value is not None:
                groups.setdefault(rest, {}).setdefault(value, []).append(run)
        for by_value in groups.values():
            found += _of_group(key, by_value)
    return found


def _of_group(key: str, by_value: Mapping[str, Sequence[Mapping[Any, Any]]]) -> list[Effect]:
    ranked = sorted(by_value, key=lambda value: (-len(by_value[value]), value))
    other = {run["seed"]: run for run in by_value[ranked[0]]}
    found = []
    for value in ranked[1:]:
        pairs = [(run, other[run["seed"]]) for run in by_value[value] if run["seed"] in other]
        if not pairs:
            continue
        deltas = [100 * (one["final_accuracy"] - two["final_accuracy"]) for one, two in pairs]
        first = pairs[0][0]
        found.append(
            Effect(
                key,
                value,
                ranked[0],
                str(first["task"]),
                str(first["model"]),
                str(first["stream"]),
                str(first["selector"]),
                int(first["rounds"]),
                mean_interval(deltas),
                tuple(str(run["run_id"]) for pair in pairs for run in pair),
            )
        )
    return found


def _split(run: Mapping[Any, Any], key: str) -> tuple[str | None, tuple[Any, ...]]:
    """Return a run's value of the key, None if it has none, and all that can change it but that."""
    ending = key.rpartition(".")[2]
    parts = {**_setting(run), **_flat("choices", run["choices"])}
    own = {name: value for name, value in parts.items() if name.rpartition(".")[2] == ending}
    rest = tuple(sorted((name, value) for name, value in parts.items() if name not in own))
    values = sorted(set(own.values()) - {"nan"})
    return (values[0] if len(values) == 1 else None), (run["rounds"], *rest)


def _setting(run: Mapping[Any, Any]) -> dict[str, str]:
    """Return what of the configuration is the run's setting, with the form of its data."""
    found = {name: str(run[name]) for name in ("task", "model", "stream", "data_source")}
    for column, value in run.items():
        name = str(column).removeprefix("config.")
        group = name.partition(".")[0]
        setting = group in ("task", "model", "stream") or name in SETTING_KEYS
        if name != column and (setting or name in ("device.tensors", "device.threads")):
            found[name] = str(value)
    return {name: value for name, value in found.items() if value != "nan"}


def _flat(prefix: str, node: Any) -> dict[str, str]:
    if not isinstance(node, Mapping):
        return {prefix: str(node)}
    return {k: v for name, part in node.items() for k, v in _flat(f"{prefix}.{name}", part).items()}
