"""The tasks in conf/task and in a user's own folder of configuration files, and their loaders."""

import json
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.errors import InstantiationException
from hydra.utils import instantiate

from titan_repro.conf_path import conf_dir
from titan_repro.errors import ConfigurationError, UserError
from titan_repro.tasks.base import Loader

PARTS = ("name", "licence", "download_mb", "locate", "load", "fetch")
"""What a loader must have (`tasks.base.Loader`)."""


def task_names(own: Path | None = None) -> list[str]:
    """Return the names of all tasks, with those in the folder `own`."""
    folders = [conf_dir()] if own is None else [conf_dir(), own]
    return sorted({file.stem for folder in folders for file in (folder / "task").glob("*.yaml")})


def make_loader(task: str, own: Path | None = None) -> Loader:
    """Return the task's loader with the options of its file in conf/task, or in `own`/task.

    Raises ConfigurationError if there is no such task, its loader cannot be made or is not one, or
    its options are refused.
    """
    known = task_names(own)
    if task not in known:
        raise ConfigurationError(f"task: found {task!r}; allowed: {', '.join(known)}")
    loader = _instantiate(task, _compose(task, own))
    missing = [part for part in PARTS if not hasattr(loader, part)]
    if missing:
        raise ConfigurationError(
            f"task={task}: its loader {type(loader).__name__} has no {', '.join(missing)}; "
            f"allowed: a class with {', '.join(PARTS)}"
        )
    made: Loader = loader
    return made


def _compose(task: str, own: Path | None) -> Any:
    """Return the node of the task's loader."""
    overrides = [f"+task={task}"]
    if own is not None:
        quoted = json.dumps(str(own.absolute()), ensure_ascii=False)  # quoted as Hydra quotes
        overrides.append(f"hydra.searchpath=[{quoted}]")
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            node = compose(None, overrides=overrides).get("task")
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError(f"task={task}: its file is no YAML ({reason})") from None
    loader = None if node is None else node.get("loader")
    if loader is None or "_target_" not in loader:
        raise ConfigurationError(f"task={task}: its file has no loader._target_; a class is needed")
    return loader


def _instantiate(task: str, node: Any) -> Any:
    """Call the loader's class with its options."""
    try:
        return instantiate(node, _convert_="all")
    except InstantiationException as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
            if isinstance(cause, UserError):
                raise cause from None
        reason = " ".join(str(cause).split())
        raise ConfigurationError(
            f"task={task}: loader {node._target_} cannot be made ({type(cause).__name__}: {reason})"
        ) from error
