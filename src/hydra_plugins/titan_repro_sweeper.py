"""Hydra's way to a sweeper of one's own: a class in the namespace package `hydra_plugins`.

Hydra imports this file whenever any Hydra program starts; what it does is imported when it is used.
"""

from dataclasses import dataclass
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser


@dataclass
class PlannedSweeperConf:
    """The node `hydra.sweeper`; params: values of keys to sweep, which the command line wins over.

    Experiment files set `params` as they would for Hydra's basic sweeper, and run all combinations.
    alone: values of further keys, each of which is changed while all others stay as they are; a
    null has no values. A key that the command line gives is not changed.
    """

    _target_: str = "hydra_plugins.titan_repro_sweeper.PlannedSweeper"
    params: dict[str, str] | None = None
    alone: dict[str, str | None] | None = None


ConfigStore.instance().store(
    group="hydra/sweeper", name="planned", node=PlannedSweeperConf, provider="titan_repro"
)


class PlannedSweeper(BasicSweeper):
    """The basic sweeper's jobs, told of before they start and in a better order.

    See `titan_repro.cli.sweep`.
    """

    def __init__(
        self,
        params: dict[str, str] | None = None,
        alone: dict[str, str | None] | None = None,
    ) -> None:
        super().__init__(max_batch_size=None, params=params)
        self.alone = alone or {}

    def sweep(self, arguments: list[str]) -> Any:
        """Run the product of all values of params, as it is and with each value of alone.

        Ends the command with a status if a job failed.
        """
        from titan_repro.cli.sweep import run_sweep

        assert self.hydra_context is not None
        assert self.config is not None
        loader = self.hydra_context.config_loader
        parser = OverridesParser.create(config_loader=loader)
        given = {each.key_or_group for each in parser.parse_overrides(arguments)}
        alone = [
            [f"{key}={values}"]
            for key, values in self.alone.items()
            if key not in given and values is not None
        ]
        jobs = []
        for changed in ([], *alone):
            parsed = parser.parse_overrides([*self._parse_config(), *changed, *arguments])
            jobs += self.split_arguments(parsed, None)[0]
        run_sweep(jobs, loader, self.config, self.launcher)
