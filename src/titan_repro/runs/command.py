"""The command line that makes a recorded run, found again from its configuration.

An export leaves command lines out, as they name folders. What is found here is held against the
run's name, so it is either the command of exactly this run or nothing.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from titan_repro.conf_path import conf_dir
from titan_repro.config import SETTING_KEYS, plain, register_schema
from titan_repro.errors import UserError
from titan_repro.records.identity import run_id
from titan_repro.runs.build import build_selector
from titan_repro.runs.candidate_budget import budget_choices
from titan_repro.runs.naming import run_facts
from titan_repro.tasks.base import Source

CHOICES = (
    *("delay", "gradient", "class_importance", "class_mass", "weighting", "sampling"),
    "scoring_norm",
)
"""Keys of a selector on the top level."""

GROUPS = ("task", "model", "stream", "filter", "device", "idle", "federation")
"""Groups whose keys may be given beside their name."""

NOT_TYPED = (
    *("loader", "network", "source", "trace", "cores", "modelled"),
    *("settings", "workers", "timeout_seconds"),
)
"""Nodes that keys are bound to, or keys that cannot change a result; no one types them."""


class Commands:
    """Finds commands; of runs that differ in nothing but seed and rounds, once."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, ...] | None] = {}

    def overrides(self, config: Mapping[str, Any], summary: Mapping[str, Any]) -> tuple[str, ...]:
        """Return what titan-run is given beside seed and rounds; () where it cannot be found.

        config, summary: of a RecordedRun.
        """
        key = json.dumps(
            {k: v for k, v in config.items() if k not in ("seed", "rounds", "experiment")}
        )
        if key not in self._known:
            self._known[key] = _find(config, summary)
        return self._known[key] or ()


def _find(config: Mapping[str, Any], summary: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return overrides that compose a run of the same name, or None."""
    names = [f"{group}={summary[group]}" for group in ("task", "model", "selector")]
    names += [f"stream={summary['stream']}"] if summary["stream"] != "clean" else []
    federation = (config.get("federation") or {}).get("name", "none")  # old runs know of none
    names += [f"federation={federation}"] if federation != "none" else []
    seed = f"seed={summary['seed']}"
    register_schema()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            made = compose("config", [*names, seed])
            more = list(_differing(config, made))
            if more:
                made = compose("config", [*names, *more, seed])
            names_of_it = {_name(made, form) for form in _forms(str(summary["data_source"]))}
    except (HydraException, OmegaConfBaseException, UserError):
        return None
    return (*names, *more) if summary["run_id"] in names_of_it else None


def _differing(config: Mapping[str, Any], default: DictConfig) -> Iterator[str]:
    """Yield key=value for every key that a user may type and that is not at its default."""
    parts = (*SETTING_KEYS, *CHOICES, *GROUPS)
    usual = dict(_typed({key: plain(default[key]) for key in parts}))
    for key, value in _typed(config):
        if key in usual and usual[key] != value:
            as_json = value is None or isinstance(value, list)
            yield f"{key}={json.dumps(value) if as_json else value}"


def _typed(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key in (*SETTING_KEYS, *CHOICES):
        if key in config:
            yield key, config[key]
    for group in GROUPS:
        for name, value in dict(config.get(group) or {}).items():
            if name not in ("name", *NOT_TYPED) and not isinstance(value, Mapping):
                yield f"{group}.{name}", value


def _name(config: DictConfig, form: str) -> str:
    """Return the name that a configuration gives a run on data of this form."""
    source = Source(form, ())
    return run_id(run_facts(config, build_selector(config), source, budget_choices(config)))


def _forms(data_source: str) -> tuple[str, str]:
    """Return what a task's loader may call the form of its data: what stands in brackets.

    Some tasks say more there than the form, behind a comma.
    """
    inside = data_source.partition("(")[2].removesuffix(")")
    return inside, inside.partition(",")[0]
