"""What titan-run does where nothing but task, model, stream and selector is given."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=256)
def default_config(task: str, model: str, stream: str, selector: str) -> Mapping[str, Any] | None:
    """Return the composed configuration as plain dictionaries; None for a user's own choices.

    Those are in folders of --config-dir, which a report does not know.
    """
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException

    from titan_repro.conf_path import conf_dir
    from titan_repro.config import plain, register_schema

    register_schema()
    named = [f"task={task}", f"model={model}", f"stream={stream}", f"selector={selector}"]
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            whole: dict[str, Any] = plain(compose("config", named))
    except HydraException:
        return None
    return whole
