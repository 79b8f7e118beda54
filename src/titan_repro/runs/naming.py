"""Where the run of a configuration is: found out without loading its data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from titan_repro.config import identity
from titan_repro.records.folder import RunFolder
from titan_repro.records.identity import run_id
from titan_repro.runs.build import build_loader, build_selector
from titan_repro.runs.candidate_budget import budget_choices
from titan_repro.selection.selector import Selector
from titan_repro.tasks.base import Source, locate


def run_facts(
    config: DictConfig, selector: Selector, source: Source, budget: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the identity of the run: all that can change its result.

    budget: of `budget_choices`, which is asked before data are looked for.
    """
    return identity(config, source.form, scoring=selector.scores, budget=budget)


def run_folder(config: DictConfig, facts: dict[str, Any]) -> RunFolder:
    """Return the folder of the run with the identity `facts`, whether it is there or not."""
    names = (config.task.name, config.model.name, config.selector.name, run_id(facts))
    return RunFolder(Path(config.paths.runs, *names).expanduser())


def find_run(config: DictConfig) -> RunFolder:
    """Return the run folder of a valid configuration, whether it is there or not.

    Raises ConfigurationError or DataError as `titan_repro.runs.run.run` would.
    """
    selector, budget = build_selector(config), budget_choices(config)
    source = locate(build_loader(config), Path(config.paths.data).expanduser())
    return run_folder(config, run_facts(config, selector, source, budget))
