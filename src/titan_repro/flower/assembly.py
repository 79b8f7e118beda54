"""From the words of a command line to what trains: the same on the server and on every node."""

import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from titan_repro.conf_path import conf_dir
from titan_repro.config import register_schema, validate
from titan_repro.devices.process import prepare_process
from titan_repro.errors import ConfigurationError
from titan_repro.federated.client import Client
from titan_repro.federated.settings import Federation
from titan_repro.federated.shares import Shares, share_out
from titan_repro.keys import check_known
from titan_repro.models.base import BlockNetwork
from titan_repro.runs.build import (
    build_loader,
    build_network,
    build_schedule,
    build_selector,
    check_stream,
    load_task,
)
from titan_repro.runs.federation import build_client, build_federation
from titan_repro.tasks.base import Task, locate


@dataclass(frozen=True)
class Assembly:
    """A federation as configured, with its data loaded."""

    config: DictConfig
    federation: Federation
    network: BlockNetwork
    task: Task

    def client(self) -> Client:
        """Build what trains any of the devices, on the network."""
        selector, schedule = build_selector(self.config), build_schedule(self.config)
        return build_client(
            self.config, self.federation, self.network, selector, schedule, self.task
        )

    def shares(self) -> Shares:
        """Share the data out."""
        return share_out(self.federation, self.task, self.config.seed)


def composed(overrides: str) -> tuple[DictConfig, Federation]:
    """Compose a configuration from overrides that blanks separate, as a shell would read them.

    Everything that can be refused without data is refused: raises ConfigurationError.
    """
    register_schema()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            config = compose("config", shlex.split(overrides))
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        line = str(error).strip().splitlines()[0]
        raise ConfigurationError(f"overrides: found {overrides!r}: {line}") from error
    validate(config)
    check_known(config)
    check_stream(config)
    federation = build_federation(config)
    if federation is None:
        raise ConfigurationError(
            "federation: found none; allowed with Flower: those with devices, such as fedavg"
        )
    if config.device.tensors != "cpu":
        raise ConfigurationError(
            f"device.tensors: found {config.device.tensors}; allowed with Flower: cpu"
        )
    return config, federation


def assembled(overrides: str) -> Assembly:
    """Load the data and build the network, with the weights that the seed gives it.

    Raises ConfigurationError, or DataError where no data are found.
    """
    config, federation = composed(overrides)
    prepare_process(config.device.tensors, config.device.threads, config.executor.name)
    loader = build_loader(config)
    task = load_task(config, loader, locate(loader, Path(config.paths.data).expanduser()))
    return Assembly(config, federation, build_network(config), task)


@cache
def client_of(overrides: str) -> tuple[Client, int]:
    """Return what trains any device, and how many local iterations a round has.

    Once in a process: Flower's simulation asks for every device of every round.
    """
    parts = assembled(overrides)
    return parts.client(), parts.federation.local_iterations
