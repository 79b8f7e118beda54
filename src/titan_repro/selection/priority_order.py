"""All samples of a round, the most promising first, for a candidate set of open size.

Whoever scores candidates until time is up (paper section 3.4, "dynamic idle computing resources")
takes the samples of this order one after the other, and wherever it stops, what was taken is a good
candidate set:

1. Inside a class the order is by score, the highest first; with `both_ends` the highest and the
   lowest of what is left take turns. The first k are therefore what a queue of k slots keeps
   (`candidate_queue`), equal scores in order of arrival.
2. Classes are merged by Webster's rule (Sainte-Lague), which never takes a slot back when there is
   one more to give: the r-th sample of class y comes at (r - 1/2) / mass_y.
3. Samples without a finite score come last, in order of arrival.

With shares p_y = mass_y / sum of masses, as long as no class has run out, the first k samples have
a_y of class y with |a_y - k p_y| <= 1/2 + p_y (C - 2) / 2: less than one slot from the exact quota
for every class whose share is below 1 / (C - 2), and always with up to three classes. (All a_y are
the roundings of mass_y / x for one divisor x; summing their errors of at most 1/2 gives this.)
"""

import torch
from torch import Tensor


def priority_order(
    scores: Tensor, finite: Tensor, strata: Tensor, masses: Tensor, both_ends: bool
) -> Tensor:
    """Return the positions of all samples, the first to be scored first, (v,) int64.

    scores: (v,) in order of arrival. finite: (v,) bool. strata: (v,) int64, the class of each.
    masses: (C,) >= 0; classes of mass 0 come after all others, their best samples first. Of equal
    priority is first who ranks higher in its class, then the lower class.
    Nothing here waits for a GPU.
    """
    ranks = ranks_in_stratum(scores, finite, strata, both_ends)
    unranked = (len(scores) + 1) * len(masses)  # after every rank in every class
    tie = (ranks * len(masses) + strata).masked_fill(~finite, unranked)
    priority = ((ranks - 0.5) / masses[strata]).masked_fill(~finite, torch.inf)
    order = tie.argsort(stable=True)
    return order[priority[order].argsort(stable=True)]


def ranks_in_stratum(scores: Tensor, finite: Tensor, strata: Tensor, both_ends: bool) -> Tensor:
    """Return which place each sample has among the finite ones of its stratum, from 1, (v,) int64.

    What stands there for samples that are not finite means nothing. Every pair of samples is
    compared: for the hundreds of a round that is cheaper than sorting each class.
    """
    peers = (strata[:, None] == strata) & finite  # (v, v)
    higher = (peers & (scores > scores[:, None])).sum(1)
    equal_before = (peers & (scores == scores[:, None])).tril(-1).sum(1)
    from_top = higher + equal_before  # how many the upper end takes before this one
    if not both_ends:
        return from_top + 1
    lower = (peers & (scores < scores[:, None])).sum(1)
    from_bottom = lower + equal_before
    # The upper end takes the places 1, 3, 5, ..., the lower end 2, 4, 6, ...; where they meet, in
    # one group of equal scores, that group has all places that are left.
    by_one_end = torch.minimum(2 * from_top + 1, 2 * from_bottom + 2)
    return torch.minimum(by_one_end, higher + lower + equal_before + 1)
