"""Running sums over each class's features, updated sample by sample (paper section 3.3)."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from titan_repro.selection.coarse_scores import Moments

PIECE = 8192
"""Numbers of a feature multiplied by one call: few enough for a core's cache, and for a BLAS that
splits long vectors over threads, and then rounds otherwise, to leave them alone."""


def on_arrays(samples: Tensor) -> bool:
    """Whether selection among these (v, ...) works on arrays and plain numbers: on a CPU.

    There one pass over the rows beats matrix products, and a few numbers beat small tensors.
    """
    return samples.device.type == "cpu"


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
        if on_arrays(features) and len(labels) > 1:
            return self._add_in_turn(features, labels, finite)
        add = self._add_one if on_arrays(features) else self._add_at_once
        members = (self.memberships(labels) & finite[:, None]).double()  # (v, C)
        feature_square, product = add(features, labels, members, finite)

        counts = _running(self.counts, members)
        squares = _running(self.squares, members * feature_square[:, None])
        # |s + f|^2 = |s|^2 + 2 <f, s + f> - |f|^2
        growth = 2 * product - feature_square
        sum_squares = _running(self._sum_squares, members * growth[:, None])
        self.counts, self.squares, self._sum_squares = counts[-1], squares[-1], sum_squares[-1]
        own = labels[:, None]
        count, square, sum_square = (t.gather(1, own)[:, 0] for t in (counts, squares, sum_squares))
        return _moments(finite, count, feature_square, product, sum_square, square)

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

    def _add_in_turn(self, features: Tensor, labels: Tensor, finite: Tensor) -> Moments:
        """Add rows one after the other, on plain numbers instead of small tensors.

        For the CPU only: `numpy` refuses any other tensor, instead of waiting for it.
        """
        rows, classes, usable = _as_numpy(features), labels.tolist(), finite.tolist()
        found_squares, found_products = _add_rows(rows, classes, usable, self.sums.numpy())
        counts, squares, sum_squares = (
            sums_of.tolist() for sums_of in (self.counts, self.squares, self._sum_squares)
        )
        found = []
        of_each = zip(classes, usable, found_squares, found_products, strict=True)
        for y, is_finite, square, product in of_each:
            counts[y] += is_finite
            squares[y] += square
            sum_squares[y] += 2 * product - square
            found.append((counts[y], square, product, sum_squares[y], squares[y]))
        for name, now in (("counts", counts), ("squares", squares), ("_sum_squares", sum_squares)):
            setattr(self, name, torch.tensor(now, dtype=torch.float64))
        return _moments(finite, *torch.tensor(found, dtype=torch.float64).T)

    def _add_one(
        self, features: Tensor, labels: Tensor, members: Tensor, finite: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Do as `_add_at_once` with the one row of a sample that arrives alone; its class's sum
        is changed where it is.
        """
        if not finite.item():
            return members.new_zeros(1), members.new_zeros(1)
        feature, total = features[0].double(), self.sums[int(labels)]
        total.add_(feature)
        return feature.dot(feature)[None], feature.dot(total)[None]

    def _add_at_once(
        self, features: Tensor, labels: Tensor, members: Tensor, finite: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Update `sums`; return |f|^2 and <f, s_y> after each addition, both (v,).

        In a fixed number of operations, none of which waits for a GPU: <f_i, s_y> after addition i
        is <f_i, s_y> before the first, and <f_i, f_j> over all j <= i of the same class.
        """
        rows = features.double().masked_fill(~finite[:, None], 0.0)  # (v, f)
        products = rows @ rows.T  # (v, v)
        earlier = (members @ members.T).tril()  # (v, v)
        before = (rows @ self.sums.T).gather(1, labels[:, None])[:, 0]
        self.sums = self.sums + members.T @ rows
        return products.diagonal(), before + (earlier * products).sum(1)


def _add_rows(
    rows: np.ndarray, classes: Sequence[int], usable: Sequence[bool], sums: np.ndarray
) -> tuple[list[float], list[float]]:
    """Add rows (v, f) to their classes' sums (C, f) in order, `sums` being changed where they are.

    Returns |f|^2 and <f, s_y> after each addition, zeros for rows that are not usable. Class after
    class and piece after piece, so that a row and its class's sum are in the cache meanwhile.
    """
    squares, products = [0.0] * len(rows), [0.0] * len(rows)
    members: dict[int, list[int]] = {}
    for i, y in enumerate(classes):
        if usable[i]:
            members.setdefault(y, []).append(i)
    pieces = [slice(k, k + PIECE) for k in range(0, rows.shape[1], PIECE)]
    for y, its_rows in members.items():
        for k in pieces:
            total = sums[y, k]
            for i in its_rows:
                part = rows[i, k].astype(np.float64)
                total += part
                squares[i] += float(part.dot(part))
                products[i] += float(part.dot(total))
    return squares, products


def _moments(
    finite: Tensor,
    count: Tensor,
    feature_square: Tensor,
    product: Tensor,
    sum_square: Tensor,
    square: Tensor,
) -> Moments:
    """Return averages from what each sample, (v,), found: its class's sums, and its products."""
    return Moments(finite, feature_square, product / count, sum_square / count**2, square / count)


def _as_numpy(features: Tensor) -> np.ndarray:
    """Return the features as an array, which knows no bfloat16."""
    known = features.float() if features.dtype == torch.bfloat16 else features
    return known.detach().numpy()


def _running(start: Tensor, increments: Tensor) -> Tensor:
    """Return the sums (v, C) after each of the increments (v, C), beginning at `start` (C,)."""
    return torch.cat([start[None], increments]).cumsum(0)[1:]
