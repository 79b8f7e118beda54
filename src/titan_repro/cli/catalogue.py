"""The tasks that conf/task names, and their loaders."""

from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import InstantiationException
from hydra.utils import instantiate

from titan_repro.conf_path import conf_dir
from titan_repro.errors import ConfigurationError, UserError
from titan_repro.tasks.base import Loader


def task_names() -> list[str]:
    """Return the names of all tasks."""
    return sorted(file.stem for file in (conf_dir() / "task").glob("*.yaml"))


def make_loader(task: str) -> Loader:
    """Return the task's loader with the options of its file in conf/task.

    Raises ConfigurationError if there is no such task or its options are refused.
    """
    if task not in task_names():
        raise ConfigurationError(f"task: found {task!r}; allowed: {', '.join(task_names())}")
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        node: Any = compose(f"task/{task}").task.loader
    try:
        loader: Loader = instantiate(node, _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from None
        raise
    return loader
