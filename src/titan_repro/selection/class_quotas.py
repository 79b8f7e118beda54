"""How many of the candidate buffer's slots each class may claim before the others."""

from typing import get_args

import torch
from torch import Tensor

from titan_repro.choices import Quota

QUOTAS: tuple[str, ...] = get_args(Quota)


def class_quotas(quota: str, counts: Tensor, budget: int) -> Tensor:
    """Return whole slots for each class, (C,) int64.

    counts: (C,) float64, the running class counts of the rounds before this one: quotas are
    fixed before the round's first sample arrives.

    `per_class_proportional`: to the counts plus one each, so that the first round is equal and
    a class never seen can enter. `per_class_equal`: among the classes seen in earlier rounds,
    or all if there was none; the others enter through slots that these cannot fill. Both add
    up to `budget`. `global`: no class has any slot of its own, all go to the best of all.
    """
    if quota == "global":
        return torch.zeros_like(counts, dtype=torch.int64)
    return largest_remainder(class_masses(quota, counts), budget)


def class_quotas_on_host(quota: str, counts: Tensor, budget: int) -> list[int]:
    """Return the same as numbers of this process, in a fraction of the time; counts on the CPU."""
    if quota == "global":
        return [0] * len(counts)
    mass = class_masses(quota, counts)
    total, shares = mass.sum().item(), [budget * m for m in mass.tolist()]
    remainders = [share % total for share in shares]
    rest = zip(shares, remainders, strict=True)
    slots = [round((share - remainder) / total) for share, remainder in rest]
    by_remainder = sorted(range(len(slots)), key=lambda y: -remainders[y])
    for y in by_remainder[: budget - sum(slots)]:
        slots[y] += 1
    return slots


def class_masses(quota: str, counts: Tensor) -> Tensor:
    """Return what the slots of classes are in proportion to, (C,) float64.

    quota, counts: as of `class_quotas`, but not `global`, which has no slots of classes.
    """
    if quota == "per_class_proportional":
        return counts + 1
    seen = counts > 0
    return (seen | ~seen.any()).double()


def largest_remainder(mass: Tensor, slots: int) -> Tensor:
    """Share out `slots` in proportion to `mass` (C,), within one of it; (C,) int64.

    Every class gets its share rounded down, and what is then left goes one each to the largest
    remainders, of equals to the lower class.
    """
    total = mass.sum()
    remainder = torch.remainder(slots * mass, total)  # exact, so that equal remainders tie
    whole = ((slots * mass - remainder) / total).round().long()
    by_remainder = remainder.argsort(descending=True, stable=True)
    one_more = torch.arange(len(mass), device=mass.device) < slots - whole.sum()
    return whole + torch.empty_like(one_more).scatter(0, by_remainder, one_more)
