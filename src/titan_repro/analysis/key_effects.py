"""What each key is worth: runs that differ from the default Titan, paired with it by seed.

A run differs from the default in what titan-run would have done without it: `selector=titan` for
its task, model and stream. Only keys that its selector uses count. All else, such as the learning
rate, has to be the same in both runs of a pair; of the floor, which the register has, only Titan
without it stands beside Titan.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from titan_repro.analysis.load import at_rounds
from titan_repro.analysis.paired import Gain, gains
from titan_repro.config import SETTING_KEYS
from titan_repro.records.collect import Collection
from titan_repro.records.recorded import RecordedRun

DEFAULT = "default"
"""The label of runs of the default Titan."""

REGISTERED = ("learning_rate_floor",)
"""Of SETTING_KEYS, those that the ambiguity register has."""

DefaultOf = Callable[[str, str, str, str], Mapping[str, Any] | None]
"""Gives the default configuration of a task, model, stream and selector; None if it is unknown."""


@dataclass(frozen=True)
class KeyEffect:
    """What a change of keys does to the final accuracy, in points.

    keys: those changed, joined by " x ". gain: over the default; its label says the values, too.
    diverged: how many runs did.
    """

    keys: str
    gain: Gain
    diverged: int


@dataclass(frozen=True)
class FamilyEffects:
    """Runs that differ in nothing but the keys named, at one number of rounds.

    group: one row a run, as `Runs.summaries`. effects: of other selectors, then of keys, those with
        the largest effect first; of one key, from gain to loss.
    later: whether this is beyond the first rounds that `find_effects` gives.
    """

    group: pd.DataFrame
    effects: Sequence[KeyEffect]
    later: bool


def find_effects(found: Collection, default_of: DefaultOf) -> list[FamilyEffects]:
    """Return the effects of every family of runs that has pairs, at one or more numbers of rounds.

    The first is the largest with at least half as many pairs as any number of rounds has: a few
    short runs more do not outweigh longer ones. Then all larger ones that have some. Runs whose
    default is not known are left out.
    """
    rows = [row for run in found.runs if (row := _row(run, default_of)) is not None]
    table = pd.DataFrame(rows)
    return [
        one
        for _, family in (table.groupby("family", sort=False) if len(table) else ())
        for one in _family(family)
    ]


def _family(family: pd.DataFrame) -> list[FamilyEffects]:
    """Return what is known of runs that differ in nothing but their labels and seeds."""
    lengths = {milestone["rounds"] for found in family["milestones"] for milestone in found}
    cut = {rounds: _at(family, rounds) for rounds in sorted(lengths)}
    pairs = {rounds: _pairs(group) for rounds, group in cut.items()}
    if not any(pairs.values()):
        return []
    first = max(rounds for rounds, number in pairs.items() if 2 * number >= max(pairs.values()))
    return [
        FamilyEffects(cut[rounds], _ranked(cut[rounds]), rounds > first)
        for rounds, number in pairs.items()
        if rounds >= first and number
    ]


def _at(family: pd.DataFrame, rounds: int) -> pd.DataFrame:
    rows = [at_rounds(row.to_dict(), rounds) for _, row in family.iterrows()]
    return pd.DataFrame([row for row in rows if row is not None], columns=family.columns)


def _pairs(group: pd.DataFrame) -> int:
    """Count the runs that finished and have a default of their seed."""
    finished = group[group["status"] == "finished"]
    default = set(finished.loc[finished["label"] == DEFAULT, "seed"])
    others = finished[finished["label"] != DEFAULT]
    return int(others["seed"].isin(default).sum())


def _ranked(group: pd.DataFrame) -> list[KeyEffect]:
    keys_of = dict(zip(group["label"], group["keys"], strict=True))
    diverged = group[group["status"] == "diverged"]["label"].value_counts()
    effects = [
        KeyEffect(keys_of[gain.label], gain, int(diverged.get(gain.label, 0)))
        for gain in gains(group, DEFAULT)
    ]
    largest: dict[str, float] = {}
    for effect in effects:
        size = float(np.nan_to_num(abs(effect.gain.interval.estimate), nan=-1.0))
        largest[effect.keys] = max(size, largest.get(effect.keys, -1.0))
    return sorted(
        effects,
        key=lambda one: (
            one.keys != "selector",
            -largest[one.keys],
            one.keys,
            -np.nan_to_num(one.gain.interval.estimate, nan=-np.inf),
        ),
    )


def _row(run: RecordedRun, default_of: DefaultOf) -> dict[str, Any] | None:
    """Return what is compared of a run; None if its default is not known, or nothing like it."""
    summary = run.summary
    place = (summary["task"], summary["model"], summary["stream"])
    default = default_of(*place, summary["selector"])
    if default is None:
        return None
    changed = changes(run.config, summary["choices"], default)
    if summary["selector"] != "titan":
        if not changed.keys().isdisjoint(REGISTERED):
            return None
        changed = {"selector": summary["selector"], **changed}
    return {
        **summary,
        "detail": "",
        "label": " ".join(f"{key}={_word(value)}" for key, value in changed.items()) or DEFAULT,
        "keys": " x ".join(changed),
        "family": _family_name(run),
    }


def changes(
    config: Mapping[str, Any], choices: Mapping[str, Any], default: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the keys of the register, as a user types them, whose values are not the default's.

    config: a run's. choices: what its selector uses of it. default: a configuration to compare
    with.
    """
    found: dict[str, Any] = {}
    for address, value in [*_chosen_keys(choices, default), *_setting_keys(config)]:
        usual = _at_address(default, address)
        if usual != value:
            found[address] = value
    return found


def _chosen_keys(
    choices: Mapping[str, Any], default: Mapping[str, Any]
) -> Iterable[tuple[str, Any]]:
    """Yield key and value of everything that the selector uses."""
    for name, value in choices.items():
        if name in ("filter", "policy"):
            for key, inner in (value or {}).items():
                if key != "_target_":
                    yield _address(name, key, default), inner
        elif name in ("blocks", "pooling"):
            yield f"filter.{name}", value
        elif name != "name":
            yield name, value


def _address(part: str, key: str, default: Mapping[str, Any]) -> str:
    """Return where the default has a parameter of filter or policy: in its node, or as a key."""
    fixed = f"selector.{part}.{key}"
    if _at_address(default, fixed) is not None:
        return fixed
    return f"filter.{key}" if part == "filter" else key


def _setting_keys(config: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Yield what the register has of the network and its training."""
    for name, value in config["model"].items():
        if name not in ("name", "network", "learning_rate", *REGISTERED):
            yield f"model.{name}", value
    for name in REGISTERED:
        if name in config:
            yield name, config[name]


def _family_name(run: RecordedRun) -> str:
    """Return all that runs of a pair share, in one word that is the same for the same."""
    config, stream = run.config, dict(run.config["stream"])
    source = stream.pop("source")
    shared = {
        "task": config["task"],
        "model": config["model"]["name"],
        "stream": {**stream, **source},
        "data": run.summary["data_source"],
        "device": [config["device"][key] for key in ("tensors", "threads")],
        **{key: config[key] for key in SETTING_KEYS if key not in REGISTERED and key in config},
    }
    return json.dumps(shared, sort_keys=True)


def _at_address(config: Mapping[str, Any], address: str) -> Any:
    node: Any = config
    for name in address.split("."):
        node = node.get(name) if isinstance(node, Mapping) else None
    return node


def _word(value: Any) -> str:
    return json.dumps(value, separators=(",", ":")) if not isinstance(value, str) else value
