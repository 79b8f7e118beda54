"""Configurations as titan-run composes them, each choice of files only once."""

import copy
from functools import cache

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from titan_repro.conf_path import conf_dir
from titan_repro.config import register_schema


def whole(*overrides: str, hydra: bool = False) -> DictConfig:
    """Compose the configuration with Hydra, which reads some sixty files: a tenth of a second."""
    register_schema()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose("config", overrides=list(overrides), return_hydra_config=hydra)


def quickly(*overrides: str) -> DictConfig:
    """Return what `whole` does, for each choice of files only once.

    What values do to the files chosen is done here as Hydra does it. Whatever is not a plain value
    of a key that there is, Hydra is left to do, or to refuse.
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    files = [each for each in parsed if (conf_dir() / each.key_or_group).is_dir()]
    config = copy.deepcopy(_of_files(tuple(str(each.input_line) for each in files)))
    for each in parsed:
        if each in files:
            continue
        if each.is_add() or each.is_delete() or set("/@") & set(each.key_or_group):
            return whole(*overrides)
        try:
            OmegaConf.update(config, each.key_or_group, each.value(), merge=True)
        except OmegaConfBaseException:
            return whole(*overrides)
    return config


@cache
def _of_files(overrides: tuple[str, ...]) -> DictConfig:
    return whole(*overrides)
