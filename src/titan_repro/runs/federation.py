"""From the group `federation` to what runs its rounds."""

from omegaconf import DictConfig

from titan_repro.adaptive_config import is_adaptive
from titan_repro.binding import bound, construct_bound, parameters, target_of
from titan_repro.errors import ConfigurationError
from titan_repro.federated.client import Client
from titan_repro.federated.crew import Crew, OwnCrew
from titan_repro.federated.executor import FederatedExecutor
from titan_repro.federated.pool import ClientPool
from titan_repro.federated.settings import Federation
from titan_repro.federated.shares import DeviceStreams, share_out
from titan_repro.models.base import BlockNetwork
from titan_repro.selection.selector import Selector
from titan_repro.tasks.base import Task
from titan_repro.training import Schedule


def build_federation(config: DictConfig) -> Federation | None:
    """Return the settings of the federation that a configuration asks for, None for one device.

    Raises ConfigurationError for values and combinations that cannot be.
    """
    if config.federation.settings is None:
        return None
    federation = construct_bound(config, "federation.settings")
    if not isinstance(federation, Federation):
        raise ConfigurationError(
            f"federation.settings: found a {type(federation).__name__}; allowed: a "
            "titan_repro.federated.settings.Federation"
        )
    _check(config, federation)
    return federation


def _check(config: DictConfig, federation: Federation) -> None:
    found = f"with federation={config.federation.name}"
    if config.executor.name != "inline":
        raise ConfigurationError(
            f"executor: found {config.executor.name} {found}; allowed there: inline "
            "(federation.workers=2 trains two devices at once)"
        )
    if is_adaptive(config):
        raise ConfigurationError(
            f"filter.budget: found adaptive {found}; allowed there: whole numbers of at least 1"
        )
    if federation.workers > 1 and config.device.tensors != "cpu":
        raise ConfigurationError(
            f"federation.workers: found {federation.workers} with device.tensors="
            f"{config.device.tensors}; allowed there: 1, as processes share host memory"
        )
    classes, each = config.task.num_classes, federation.classes_per_device
    if federation.by == "classes" and each > classes:
        raise ConfigurationError(
            f"federation.classes_per_device: found {each}; allowed with task={config.task.name}: "
            f"at most {classes}, the number of its classes"
        )


def build_client_pool(config: DictConfig, federation: Federation) -> ClientPool | None:
    """Return the processes that train devices, not started; None if this process does."""
    if federation.workers == 1:
        return None
    return ClientPool(federation.workers, federation.timeout_seconds, config.device.threads)


def build_client(
    config: DictConfig,
    federation: Federation,
    network: BlockNetwork,
    selector: Selector,
    schedule: Schedule,
    task: Task,
) -> Client:
    """Share the data out and build what trains any of the devices, whoever asks for it.

    Raises ConfigurationError, naming the key, for what the data do not allow.
    """
    shares = share_out(federation, task, config.seed)
    node = bound(config, "stream.source")
    source = target_of("stream.source", node)
    if "subset" not in parameters(source):
        raise ConfigurationError(
            f"stream: found {config.stream.name}, whose stream takes no `subset`; allowed with "
            f"federation={config.federation.name}: streams that do, such as clean"
        )
    del node["_target_"]
    streams = DeviceStreams(source, node, task, config.seed, shares)
    streams.check()
    return Client(
        network,
        selector,
        streams,
        schedule,
        batch_size=config.batch_size,
        delay=config.delay,
        seed=config.seed,
        proximal=federation.proximal,
        batchnorm=federation.batchnorm,
    )


def build_federated_executor(
    config: DictConfig,
    federation: Federation,
    pool: ClientPool | None,
    network: BlockNetwork,
    selector: Selector,
    schedule: Schedule,
    task: Task,
) -> FederatedExecutor:
    """Build what runs the rounds: in this process, or in those of a started pool.

    Raises ConfigurationError, naming the key, for what the data do not allow.
    """
    client = build_client(config, federation, network, selector, schedule, task)
    shares = client.streams.shares
    participants = participants_of(federation, len(shares))
    crew: Crew = OwnCrew(client, federation.local_iterations)
    if pool is not None:
        pool.set_up(client, federation.local_iterations)
        crew = pool
    return FederatedExecutor(
        network,
        crew,
        shares,
        participants=participants,
        seed=config.seed,
        batchnorm=federation.batchnorm,
    )


def participants_of(federation: Federation, devices: int) -> int:
    """Return how many of so many devices take part in a round.

    Raises ConfigurationError, naming the key, where the data's users are too few for the settings.
    """
    try:
        return federation.participants(devices)
    except ConfigurationError as error:
        raise ConfigurationError(f"federation.{error}") from error
