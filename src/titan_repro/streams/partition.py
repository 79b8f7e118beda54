"""A partition shares a training split out over devices: by classes, Dirichlet draws or users.

Every function returns one (n,) int64 tensor a device, rising positions of the training split.
Together they hold every position exactly once and none is empty. A stream takes such a tensor as
its `subset`.
"""

import heapq
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from titan_repro.errors import ConfigurationError
from titan_repro.seeds import derive_seed, generator
from titan_repro.streams.base import is_finite, is_whole, require


def by_classes(labels: Tensor, devices: int, classes_per_device: int, seed: int) -> list[Tensor]:
    """Give every device samples of exactly `classes_per_device` classes (paper: 50 devices of 5).

    1. The devices * classes_per_device places are dealt to the classes one by one, always to the
       class with the most samples a place, so that shares are as equal as whole places allow.
    2. Each device in turn draws its classes without repetition, a class being the likelier the
       more of its places are open; a class with a place left for every device still to come is
       taken by all of these.
    3. A class's samples are shuffled and shared equally by its devices; those holding the fewest
       samples so far take what does not divide.
    Devices are equally large where the classes are and devices * classes_per_device is a multiple
    of their number.

    labels: (N,) int64. Classes without samples do not count.

    Raises ConfigurationError naming `partition.devices` or `partition.classes_per_device` where
    the classes are too few, cannot all be covered, or have too few samples.
    """
    _check_devices(devices, len(labels), "samples")
    classes = _groups(labels)
    places = _places([len(members) for members in classes], devices, classes_per_device)
    draws = generator(seed, "partition")
    holders = _draw_holders(places, devices, classes_per_device, draws)
    sizes = [0] * devices
    parts: list[list[Tensor]] = [[] for _ in range(devices)]
    for members, holding in zip(classes, holders, strict=True):
        # tensor_split makes the first shares the larger ones.
        shares = _shuffled(members, draws).tensor_split(len(holding))
        smallest_first = sorted(holding, key=sizes.__getitem__)
        for device, share in zip(smallest_first, shares, strict=True):
            parts[device].append(share)
            sizes[device] += len(share)
    return [torch.cat(part).sort().values for part in parts]


def dirichlet(labels: Tensor, devices: int, alpha: float, seed: int) -> list[Tensor]:
    """Share each class out in proportions drawn from a symmetric Dirichlet (Hsu et al. 2019).

    A device that would be empty is given one sample of the largest device's.

    labels: (N,) int64.
    alpha: the smaller, the more unequal; above 0.

    Raises ConfigurationError naming `partition.devices` or `partition.alpha`.
    """
    holds = is_finite(alpha) and alpha > 0
    require(holds, "partition.alpha", alpha, "finite numbers above 0")
    _check_devices(devices, len(labels), "samples")
    draws = generator(seed, "partition")
    proportions = np.random.default_rng(derive_seed(seed, "partition proportions"))
    parts: list[list[Tensor]] = [[] for _ in range(devices)]
    for members in _groups(labels):
        shares = proportions.dirichlet(np.full(devices, alpha))
        borders = np.rint(np.cumsum(shares)[:-1] * len(members)).astype(int)
        pieces = _shuffled(members, draws).tensor_split(borders.tolist())
        for part, piece in zip(parts, pieces, strict=True):
            part.append(piece)
    return _fill_empty([torch.cat(part) for part in parts])


def by_user(user_ids: Tensor | None, devices: int | None, seed: int) -> list[Tensor]:
    """Keep every real user's samples together.

    user_ids: (N,) int64, the user of each sample; None where the task has none.
    devices: None for a device each user, in the order of their numbers; with fewer devices than
        users, the users are taken from the largest down (equals in seeded order) and each goes
        to the device with the fewest samples so far.

    Raises ConfigurationError where the task has no users, or naming `partition.devices`.
    """
    if user_ids is None:
        raise ConfigurationError("a partition by user needs a task whose data names its users")
    users = _groups(user_ids)
    if devices is None:
        return users
    _check_devices(devices, len(users), "users")
    order = torch.randperm(len(users), generator=generator(seed, "partition")).tolist()
    parts: list[list[Tensor]] = [[] for _ in range(devices)]
    queue = [(0, device) for device in range(devices)]  # smallest first
    for user in sorted(order, key=lambda user: len(users[user]), reverse=True):
        size, device = queue[0]
        parts[device].append(users[user])
        heapq.heapreplace(queue, (size + len(users[user]), device))
    return [torch.cat(part).sort().values for part in parts]


def count_by_device(
    partition: Sequence[Tensor], labels: Tensor, class_names: Sequence[str]
) -> pd.DataFrame:
    """Return a table of samples, one row a device and one column a class."""
    labels = labels.cpu()
    counts = [torch.bincount(labels[part], minlength=len(class_names)) for part in partition]
    devices = pd.RangeIndex(len(partition), name="device")
    return pd.DataFrame(torch.stack(counts).numpy(), index=devices, columns=list(class_names))


def _groups(values: Tensor) -> list[Tensor]:
    """Return the positions of each distinct value, rising; the values in rising order."""
    values = values.cpu()
    _, counts = np.unique(values.numpy(), return_counts=True)
    borders: list[int] = counts.cumsum()[:-1].tolist()
    return list(values.argsort(stable=True).tensor_split(borders))


def _shuffled(members: Tensor, draws: torch.Generator) -> Tensor:
    return members[torch.randperm(len(members), generator=draws)]


def _check_devices(devices: int, most: int, of: str) -> None:
    """Raise ConfigurationError unless every device can have one of `most` samples or users."""
    holds = is_whole(devices) and 1 <= devices <= most
    allowed = f"whole numbers of at least 1, at most {most}, the number of {of}"
    require(holds, "partition.devices", devices, allowed)


def _places(counts: Sequence[int], devices: int, classes_per_device: int) -> list[int]:
    """Return on how many devices each class lies; sums to devices * classes_per_device.

    A class has at least 1 place and at most one a device or sample. Raises ConfigurationError
    naming `partition.classes_per_device` where that cannot be.
    """
    limits, classes = [min(devices, count) for count in counts], len(counts)
    least, most = -(-classes // devices), min(classes, sum(limits) // devices)
    key, where = "partition.classes_per_device", f"{classes} classes on {devices} devices"
    if least > most:
        raise ConfigurationError(f"{key}: no number works for {where}, they have too few samples")
    holds = is_whole(classes_per_device) and least <= classes_per_device <= most
    allowed = f"whole numbers of at least {least}, at most {most}, for {where}"
    require(holds, key, classes_per_device, allowed)
    places = [1] * classes
    queue = [(-float(count), c) for c, count in enumerate(counts) if limits[c] > 1]
    heapq.heapify(queue)
    for _ in range(devices * classes_per_device - classes):
        _, c = heapq.heappop(queue)
        places[c] += 1
        if places[c] < limits[c]:
            heapq.heappush(queue, (-counts[c] / places[c], c))
    return places


def _draw_holders(
    places: Sequence[int], devices: int, classes_per_device: int, draws: torch.Generator
) -> list[list[int]]:
    """Return the devices of each class, `places` of them, every device in as many classes."""
    remaining = torch.tensor(places)
    holders: list[list[int]] = [[] for _ in places]
    for device in range(devices):
        forced = remaining == devices - device
        chosen = forced.nonzero().squeeze(1)
        missing = classes_per_device - len(chosen)
        if missing:
            weights = remaining.masked_fill(forced, 0).double()
            drawn = torch.multinomial(weights, missing, replacement=False, generator=draws)
            chosen = torch.cat([chosen, drawn])
        remaining[chosen] -= 1
        for c in chosen.tolist():
            holders[c].append(device)
    return holders


def _fill_empty(parts: list[Tensor]) -> list[Tensor]:
    """Move one sample from the largest part, of equals the first, to each empty one; sort all."""
    queue = [(-len(part), device) for device, part in enumerate(parts)]  # largest first
    heapq.heapify(queue)
    for device, part in enumerate(parts):
        if len(part) == 0:
            size, largest = queue[0]
            parts[device], parts[largest] = parts[largest][:1], parts[largest][1:]
            heapq.heapreplace(queue, (size + 1, largest))
    return [part.sort().values for part in parts]
