"""What `federation=` says: how many devices, of which data, how they train and how many at once."""

import math
from typing import Any, Literal

import torch

from titan_repro.errors import ConfigurationError, shown
from titan_repro.seeds import generator
from titan_repro.streams.base import is_finite, is_whole

By = Literal["classes", "dirichlet", "user"]
BatchNorm = Literal["average", "local"]

PURPOSE = "participants"
"""PURPOSE: of the generators that participants are drawn from."""

MOST_WORKERS = 256
"""MOST_WORKERS: they start before the data say how many users there are; each takes memory."""


class Federation:
    """The settings of a federation; each is a key `federation.<name>`.

    devices: n; None, with by=user alone, for a device each user.
    by: how the training split is shared out (streams/partition.py): equal shares of
        `classes_per_device` classes, shares drawn from a Dirichlet with `alpha`, or real users.
    share: of the devices that take part in a round, rounded to a whole number of them.
    local_iterations: E, batches that a participant trains in a round.
    proximal: mu of FedProx (Li et al. 2020), mu / 2 |w - w_global|^2 added to the loss; 0: FedAvg.
    batchnorm: running statistics are averaged with the weights, or stay on their device (SiloBN,
        Andreux et al. 2020); see `client`.
    workers: processes that train participants, no more than there are; 1: this one. Changes no
        result.
    timeout_seconds: of waiting for one of them, after which it counts as hung.

    Raises ConfigurationError, naming the parameter, for a value that cannot be.
    """

    def __init__(
        self,
        devices: int | None = 50,
        by: By = "classes",
        classes_per_device: int = 5,
        alpha: float = 0.5,
        share: float = 0.2,
        local_iterations: int = 3,
        proximal: float = 0.0,
        batchnorm: BatchNorm = "average",
        workers: int = 1,
        timeout_seconds: float = 300.0,
    ) -> None:
        own_number = devices is None and by == "user"
        allowed = "whole numbers of at least 1" + (", or null" if by == "user" else "")
        _require_whole("devices", devices, allowed, otherwise=own_number)
        _require_whole("classes_per_device", classes_per_device)
        _require(is_finite(alpha) and alpha > 0, "alpha", alpha, "finite numbers above 0")
        holds = is_finite(share) and 0 < share <= 1
        _require(holds, "share", share, "numbers above 0, at most 1")
        _require_whole("local_iterations", local_iterations)
        holds = is_finite(proximal) and proximal >= 0
        _require(holds, "proximal", proximal, "finite numbers of at least 0")
        holds = is_whole(workers) and 1 <= workers <= MOST_WORKERS
        allowed = f"whole numbers of at least 1, at most {MOST_WORKERS}"
        _require(holds, "workers", workers, allowed)
        holds = is_finite(timeout_seconds) and timeout_seconds > 0
        _require(holds, "timeout_seconds", timeout_seconds, "finite numbers above 0")
        self.devices = devices
        self.by: By = by
        self.classes_per_device = classes_per_device
        self.alpha = float(alpha)  # a run is named by it: 1 and 1.0 are one run
        self.share = float(share)
        self.local_iterations = local_iterations
        self.proximal = float(proximal)
        self.batchnorm: BatchNorm = batchnorm
        self.workers = workers
        self.timeout_seconds = timeout_seconds
        if devices is not None:
            self.participants(devices)

    def participants(self, devices: int) -> int:
        """Return how many of so many devices take part in a round.

        Raises ConfigurationError if none does, or fewer than there are processes to train them.
        """
        number = int(self.share * devices + 0.5)
        if number == 0:
            least = math.ceil(0.5 / devices * 1e6) / 1e6  # rounded down it would be refused, too
            raise ConfigurationError(
                f"share: found {self.share}, of which 0 of {devices} devices take part in a round; "
                f"allowed: at least {least:g}, up to 1"
            )
        if self.workers > number:
            raise ConfigurationError(
                f"workers: found {self.workers}; allowed: whole numbers of at least 1, at most "
                f"{number}, the devices that take part in a round"
            )
        return number

    def facts(self) -> dict[str, Any]:
        """Return all that can change a run's result, without what is not used."""
        used = {"classes": "classes_per_device", "dirichlet": "alpha"}.get(self.by)
        names = ("devices", "by", "share", "local_iterations", "proximal", "batchnorm")
        return {name: getattr(self, name) for name in (*names, *([used] if used else []))}


def draw_participants(seed: int, t: int, devices: int, number: int) -> list[int]:
    """Return the devices that take part in round t, rising: uniform, without replacement.

    From our own generator, so that the same take part whatever runs the rounds.
    """
    order = torch.randperm(devices, generator=generator(seed, PURPOSE, t))
    return sorted(order[:number].tolist())


def _require_whole(
    name: str,
    value: object,
    allowed: str = "whole numbers of at least 1",
    *,
    otherwise: bool = False,
) -> None:
    _require(otherwise or (is_whole(value) and value >= 1), name, value, allowed)


def _require(holds: bool, name: str, value: object, allowed: str) -> None:
    if not holds:
        raise ConfigurationError(f"{name}: found {shown(value)}; allowed: {allowed}")
