"""All samples of a round, the most promising first, for a candidate set of open size.

With an adaptive budget (paper section 3.4, "dynamic idle computing resources") samples are scored
in this order until time is up, and wherever that is, what was scored is a good candidate set:

1. Inside a class the order is by score, the highest first; with `both_ends` the highest and the
   lowest of what is left take turns. The first k are therefore what a queue of k slots keeps
   (`queue`), equal scores in order of arrival.
2. Classes are merged by Webster's rule (Sainte-Lague), which never takes a slot back when there is
   one more to give: the r-th sample of class y comes at (r - 1/2) / mass_y.
3. Samples without a finite score come last, in order of arrival.

With shares p_y = mass_y / sum of masses, as long as no class has run out, the first k samples have
a_y of class y with |a_y - k p_y| <= 1/2 + p_y (C - 2) / 2: less than one slot from the exact quota
for every class whose share is below 1 / (C - 2), and always with up to three classes. (All a_y are
the roundings of mass_y / x for one divisor x; summing their errors of at most 1/2 gives this.)
"""

import math
from collections.abc import Sequence


def priority_order(
    scores: Sequence[float | None],
    strata: Sequence[int],
    masses: Sequence[float],
    both_ends: bool,
) -> list[int]:
    """Return the positions of all samples, the first to be scored first.

    scores: of each sample in order of arrival, None if it is not finite. strata: the class of each.
    masses: of each class, >= 0; classes of mass 0 come after all others, their best samples first.
    Of equal priority is first who ranks higher in its class, then the lower class.
    """
    slots = []  # (priority, rank, class, position)
    for y, mass in enumerate(masses):
        own = [(score, i) for i, score in enumerate(scores) if score is not None and strata[i] == y]
        for rank, i in enumerate(_best_first(own, both_ends), start=1):
            slots.append(((rank - 0.5) / mass if mass > 0 else math.inf, rank, y, i))
    ranked = [i for _, _, _, i in sorted(slots)]
    return ranked + [i for i, score in enumerate(scores) if score is None]


def _best_first(samples: list[tuple[float, int]], both_ends: bool) -> list[int]:
    """Return the positions of (score, position) pairs in the order in which a queue values them."""
    highest_first = [i for _, i in sorted(samples, key=lambda sample: (-sample[0], sample[1]))]
    if not both_ends:
        return highest_first
    ends = iter(highest_first), iter([i for _, i in sorted(samples)])
    taken: dict[int, None] = {}
    for k in range(len(samples)):
        taken[next(i for i in ends[k % 2] if i not in taken)] = None
    return list(taken)
