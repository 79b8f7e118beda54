"""Running sums over each class's features, updated sample by sample (paper section 3.3)."""

from collections.abc import Mapping

import torch
from torch import Tensor

from titan_repro.selection.coarse_scores import Moments

LONG_FEATURE = 600
"""From this length on, one pass over the rows beats the matrix products on a CPU core."""


class ClassStatistics:
    """Per-class running sums of count, feature and squared norm, forgetting by `decay` a round.

    All sums are double precision. Sums of single-precision features are then exact in any order
    for as long as a run lasts; in single precision a feature that is always 0.1 has a mean that
    is off by a percent after a million samples, because every addition rounds the same way.

    counts: (C,) samples seen, n_y; not whole numbers once decayed.
    sums: (C, f) sum of features, s_y; (C, 0) until the first features show their length.
    squares: (C,) sum of |f|^2.
    """

    def __init__(self, num_classes: int, decay: float) -> None:
        self.decay = decay
        self.counts = torch.zeros(num_classes, dtype=torch.float64)
        self.sums = torch.zeros(num_classes, 0, dtype=torch.float64)
        self.squares = torch.zeros(num_classes, dtype=torch.float64)
        self._sum_squares = torch.zeros(num_classes, dtype=torch.float64)  # |s_y|^2

    def start_round(self, device: torch.device) -> None:
        """Decay the sums, and move them to where this round's samples are."""
        for name in ("counts", "sums", "squares"):
            kept = getattr(self, name)
            here = kept if kept.device == device else kept.to(device)  # once, in the first round
            setattr(self, name, here if self.decay == 1.0 else here * self.decay)
        # Kept up by a recursion inside a round, and afresh each round so that no error builds up.
        self._sum_squares = torch.linalg.vecdot(self.sums, self.sums)

    def count(self, labels: Tensor) -> None:
        """Count samples (v,) whose features nobody looks at."""
        self.counts = self.counts + self.memberships(labels).sum(0)

    def observe(self, features: Tensor, labels: Tensor) -> Moments:
        """Add samples one after the other and say what each found just after its own addition.

        features: (v, f) floating point; a row with NaN or infinity changes nothing.
        labels: (v,) int64.
        Observing v samples at once or in several calls is the same up to rounding.
        Raises ValueError if f is not what it was before.
        """
        self._expect_length(features.shape[1])
        at_least_single = torch.promote_types(features.dtype, torch.float32)
        finite = features.sum(1, dtype=at_least_single).isfinite()  # (v,)
        members = (self.memberships(labels) & finite[:, None]).double()  # (v, C)
        one_by_one = features.device.type == "cpu" and features.shape[1] >= LONG_FEATURE
        add = self._add_in_turn if one_by_one else self._add_at_once
        feature_square, product = add(features, labels, members, finite)

        counts = _running(self.counts, members)
        squares = _running(self.squares, members * feature_square[:, None])
        # |s + f|^2 = |s|^2 + 2 <f, s + f> - |f|^2
        growth = 2 * product - feature_square
        sum_squares = _running(self._sum_squares, members * growth[:, None])
        self.counts, self.squares, self._sum_squares = counts[-1], squares[-1], sum_squares[-1]

        own = labels[:, None]
        count, square, sum_square = (t.gather(1, own)[:, 0] for t in (counts, squares, sum_squares))
        return Moments(
            finite, feature_square, product / count, sum_square / count**2, square / count
        )

    def memberships(self, labels: Tensor) -> Tensor:
        """Return (v, C) bool, True at each sample's class."""
        return labels[:, None] == torch.arange(self.counts.shape[0], device=labels.device)

    def state_dict(self) -> dict[str, Tensor]:
        """Return copies of the three sums."""
        return {name: getattr(self, name).clone() for name in ("counts", "sums", "squares")}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state_dict` returned; raises ValueError for other numbers of classes."""
        if state["counts"].shape != self.counts.shape:
            raise ValueError(
                f"the filter state has {len(state['counts'])} classes, not {len(self.counts)}"
            )
        for name in ("counts", "sums", "squares"):
            setattr(self, name, state[name].clone())

    def _expect_length(self, length: int) -> None:
        if self.sums.shape[1] == 0:
            self.sums = self.sums.new_zeros(self.sums.shape[0], length)
        if self.sums.shape[1] != length:
            raise ValueError(f"features of length {length}, after length {self.sums.shape[1]}")

    def _add_in_turn(
        self, features: Tensor, labels: Tensor, members: Tensor, finite: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Update `sums`; return |f|^2 and <f, s_y> after each addition, both (v,).

        Each row and its class's sum are in the cache while they are needed. For the CPU only:
        `numpy` refuses any other tensor, instead of waiting for it.
        """
        squares = [zero := members.new_zeros(())] * len(labels)
        products = [zero] * len(labels)
        feature, totals = self.sums.new_empty(features.shape[1]), self.sums.unbind(0)
        on_host = labels.numpy().tolist(), finite.numpy().tolist()
        for i, (row, label, is_finite) in enumerate(zip(features.unbind(0), *on_host, strict=True)):
            if is_finite:
                feature.copy_(row)  # to double precision
                totals[label].add_(feature)
                squares[i] = feature.dot(feature)
                products[i] = feature.dot(totals[label])
        return torch.stack(squares), torch.stack(products)

    def _add_at_once(
        self, features: Tensor, labels: Tensor, members: Tensor, finite: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Do as `_add_in_turn` in a fixed number of operations, none of which waits for a GPU.

        <f_i, s_y> after addition i is <f_i, s_y> before the first, and <f_i, f_j> over all j <= i
        of the same class.
        """
        rows = features.double().masked_fill(~finite[:, None], 0.0)  # (v, f)
        products = rows @ rows.T  # (v, v)
        earlier = (members @ members.T).tril()  # (v, v)
        before = (rows @ self.sums.T).gather(1, labels[:, None])[:, 0]
        self.sums = self.sums + members.T @ rows
        return products.diagonal(), before + (earlier * products).sum(1)


def _running(start: Tensor, increments: Tensor) -> Tensor:
    """Return the sums (v, C) after each of the increments (v, C), beginning at `start` (C,)."""
    return torch.cat([start[None], increments]).cumsum(0)[1:]
