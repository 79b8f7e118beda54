"""Where the run of a configuration is: found out without loading its data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from titan_repro.config import identity
from titan_repro.records.export import exported_result
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
    return identity(config, source.form, scoring=selector.runs_network, budget=budget)


def run_folder(config: DictConfig, facts: dict[str, Any]) -> RunFolder:
    """Return the folder of the run with the identity `facts`, whether it is there or not."""
    names = (config.task.name, config.model.name, config.selector.name, run_id(facts))
    return RunFolder(Path(config.paths.runs, *names).expanduser())


def result_in_export(config: DictConfig, facts: dict[str, Any]) -> dict[str, Any] | None:
    """Return the run's summary if the export that `paths.export` names has its result, else None.

    So a campaign goes on where its folders are not: what is in the export is not run again.
    """
    if config.paths.export is None:
        return None
    return exported_result(Path(config.paths.export).expanduser(), run_id(facts), config.rounds)


def find_run(config: DictConfig) -> tuple[RunFolder, bool]:
    """Return the run folder of a valid configuration, and whether an export has its result.

    Raises ConfigurationError or DataError as `titan_repro.runs.run.run` would.
    """
    selector, budget = build_selector(config), budget_choices(config)
    source = locate(build_loader(config), Path(config.paths.data).expanduser())
    facts = run_facts(config, selector, source, budget)
    return run_folder(config, facts), result_in_export(config, facts) is not None
