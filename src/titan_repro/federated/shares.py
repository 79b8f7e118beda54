"""What each device of a federation holds: its part of the training split, and its stream."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from titan_repro.errors import ConfigurationError
from titan_repro.federated.settings import Federation
from titan_repro.seeds import derive_seed
from titan_repro.streams.base import Stream
from titan_repro.streams.partition import by_classes, by_user, dirichlet
from titan_repro.tasks.base import Task


@dataclass(frozen=True)
class Shares:
    """The samples of all n devices, one after the other, so that 50,000 cost what they hold.

    positions: (N,) int64, positions of the training split. ends: (n,) where each device's end.
    class_counts: (n, C) int64, samples of each class on each device.
    """

    positions: Tensor
    ends: np.ndarray
    class_counts: np.ndarray

    def __len__(self) -> int:
        return len(self.ends)

    def of(self, device: int) -> Tensor:
        """Return a device's positions of the training split, rising."""
        begin = 0 if device == 0 else int(self.ends[device - 1])
        return self.positions[begin : int(self.ends[device])]

    def samples(self, device: int) -> int:
        """Return how many samples a device holds."""
        return int(self.class_counts[device].sum())

    def kinds(self) -> list[int]:
        """Return one device for every set of classes that devices hold."""
        _, first = np.unique(self.class_counts > 0, axis=0, return_index=True)
        return sorted(first.tolist())


def share_out(federation: Federation, task: Task, seed: int) -> Shares:
    """Share the training split of a task out over the devices.

    Raises ConfigurationError, naming the key, for what its data do not allow.
    """
    labels, devices = task.train.labels.cpu(), federation.devices
    users = _users(task) if federation.by == "user" else None
    try:
        if users is not None:
            parts = by_user(users, devices, seed)
        elif federation.by == "dirichlet":
            parts = dirichlet(labels, devices or 0, federation.alpha, seed)
        else:
            parts = by_classes(labels, devices or 0, federation.classes_per_device, seed)
    except ConfigurationError as error:
        also = "; or null, for one each user" if federation.by == "user" else ""
        said = str(error).replace("partition.", "federation.")
        raise ConfigurationError(f"{said}{also}") from error
    sizes = np.array([len(part) for part in parts])
    positions = torch.cat(parts)
    counts = np.zeros((len(parts), len(task.classes)), dtype=np.int64)
    np.add.at(counts, (np.repeat(np.arange(len(parts)), sizes), labels[positions].numpy()), 1)
    return Shares(positions, sizes.cumsum(), counts)


def _users(task: Task) -> Tensor:
    if task.train.user_ids is None:
        raise ConfigurationError(
            f"federation.by: found user; allowed with task={task.name}: classes, dirichlet, as its "
            "data name no users"
        )
    return task.train.user_ids


def device_seed(seed: int, device: int) -> int:
    """Return the seed of all that a device draws.

    Device 0 has the run's own: alone in a federation, it draws what the run would without one.
    """
    return seed if device == 0 else derive_seed(seed, "device", device)


@dataclass(frozen=True)
class DeviceStreams:
    """Makes the stream of a device when it takes part, and keeps none.

    source, parameters: the stream's class or function and what it takes beside task, seed and
    subset.
    """

    source: Callable[..., Stream]
    parameters: Mapping[str, Any]
    task: Task
    seed: int
    shares: Shares

    def of(self, device: int) -> Stream:
        """Return the stream of a device.

        Raises ConfigurationError, naming the device, where its samples do not allow one.
        """
        own = {"task": self.task, "seed": device_seed(self.seed, device)}
        try:
            return self.source(**self.parameters, **own, subset=self.shares.of(device))
        except ConfigurationError as error:
            raise ConfigurationError(
                f"stream of device {device}: {error}; allowed: streams that the samples of every "
                "device suffice for, such as clean, or devices that hold more of them"
            ) from error

    def check(self) -> None:
        """Make a stream for every set of classes that devices hold; raises as `of`."""
        for device in self.shares.kinds():
            self.of(device)
