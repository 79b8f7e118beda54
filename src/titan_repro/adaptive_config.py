"""Which configurations can have a candidate budget that adapts to idle time."""

from omegaconf import DictConfig, OmegaConf

from titan_repro.binding import parameter
from titan_repro.errors import ConfigurationError

ADAPTIVE = "adaptive"


def is_adaptive(config: DictConfig) -> bool:
    """Return whether the selector has a filter, and it ranks samples instead of keeping some."""
    return config.selector.filter is not None and (
        parameter(config, "selector.filter", "budget") == ADAPTIVE
    )


def has_modelled_clock(config: DictConfig) -> bool:
    """Return whether the device's clock is that of a board which need not be here."""
    return OmegaConf.select(config, "device.modelled") is not None


def check_adaptive(config: DictConfig) -> None:
    """Raise ConfigurationError, with one line, for what cannot be; selectors without a filter can.

    They ignore budget and idle trace, so that one sweep may hold them and Titan.
    """
    if config.selector.filter is None:
        return
    modelled = has_modelled_clock(config)
    if config.idle.name != "always" and not (is_adaptive(config) and modelled):
        raise ConfigurationError(
            f"idle: found {config.idle.name}; allowed: always, unless with filter.budget=adaptive "
            "and a device whose clock is modelled, such as device=jetson_nano"
        )
    if is_adaptive(config):
        _check_round(config)
        _check_modelled(config) if modelled else _check_measured(config)


def _check_round(config: DictConfig) -> None:
    if config.delay == 0:
        raise ConfigurationError(
            "delay: found 0 with filter.budget=adaptive; allowed: 1, as candidates are scored "
            "beside training, until it is done"
        )
    if config.scoring_norm == "batch":
        raise ConfigurationError(
            "scoring_norm: found batch with filter.budget=adaptive; allowed there: running, as "
            "candidates are scored one after the other and not as one batch"
        )


def _check_modelled(config: DictConfig) -> None:
    train, select = config.device.modelled.train, config.device.modelled.select
    if train == select:
        raise ConfigurationError(
            f"device.modelled.select: found {select}, which trains, too; allowed with "
            "filter.budget=adaptive: another processor, as there is no idle one otherwise"
        )


def _check_measured(config: DictConfig) -> None:
    if config.executor.name != "processes":
        raise ConfigurationError(
            f"filter.budget: found adaptive with executor={config.executor.name} and "
            f"device={config.device.name}; allowed: executor=processes, where there is a time to "
            "measure, or a device whose clock is modelled, such as device=jetson_nano"
        )
