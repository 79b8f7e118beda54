"""Running sums over each class's features, updated sample by sample (paper section 3.3)."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

PIECE = 8192
"""PIECE: numbers of a feature that are multiplied by one call. They fit a core's cache, and stay
below the size at which BLAS splits a dot product over threads, which would change rounding."""


class Moments(NamedTuple):
    """What the scores need of each sample's feature f and, at its arrival, of its class.

    With m = E f' and q = E |f'|^2, the running averages over the sample's class including itself,
    all (v,) float64:

    finite: (v,) bool, False where f is NaN or infinite; the other fields mean nothing there.
    feature_square: |f|^2.
    product: <f, m>.
    centroid_square: |m|^2.
    class_square: q.
    """

    finite: np.ndarray
    feature_square: np.ndarray
    product: np.ndarray
    centroid_square: np.ndarray
    class_square: np.ndarray


class ClassSums:
    """Per-class running sums of count, feature and squared norm, forgetting by `decay` a round.

    All sums are double precision. Sums of single-precision features are then exact in any order
    for as long as a run lasts; in single precision a feature that is always 0.1 has a mean that
    is off by a percent after a million samples, because every addition rounds the same way.

    counts: (C,) samples seen, n_y; not whole numbers once decayed.
    sums: (C, f) sum of features, s_y; (C, 0) until the first features show their length.
    squares: (C,) sum of |f|^2, r_y.
    """

    def __init__(self, num_classes: int, decay: float) -> None:
        self.decay = decay
        self.counts = np.zeros(num_classes)
        self.sums = np.zeros((num_classes, 0))
        self.squares = np.zeros(num_classes)
        self._sum_squares = np.zeros(num_classes)  # |s_y|^2

    def start_round(self) -> None:
        """Forget a part of what was seen before."""
        if self.decay != 1.0:
            self.counts = self.counts * self.decay
            self.sums *= self.decay
            self.squares = self.squares * self.decay
        # Kept up by a recursion inside a round, and afresh each round so that no error builds up.
        sums = torch.from_numpy(self.sums)
        self._sum_squares = torch.linalg.vecdot(sums, sums).numpy()

    def count(self, labels: np.ndarray) -> None:
        """Count samples (v,) whose features are not looked at."""
        self.counts = self.counts + np.bincount(labels, minlength=len(self.counts))

    @np.errstate(invalid="ignore", over="ignore", divide="ignore")  # of what is not finite
    def add(self, features: Tensor, labels: np.ndarray) -> Moments:
        """Add samples one after the other and say what each found just after its own addition.

        features: (v, f) floating point, on the host; a row with NaN or infinity changes nothing.
        labels: (v,) int64.
        Adding v samples at once or in several calls is the same to the last bit, but for |s_y|^2.
        Raises ValueError if f is not what it was before.
        """
        self._expect_length(features.shape[1])
        at_least_single = torch.promote_types(features.dtype, torch.float32)
        finite = features.sum(1, dtype=at_least_single).isfinite().numpy()
        feature_squares, products = self._add_rows(_as_numpy(features), labels, finite)
        counts, squares, sum_squares = (
            sums.tolist() for sums in (self.counts, self.squares, self._sum_squares)
        )
        of_class = []  # n_y, |s_y|^2 and r_y after each addition
        of_each = zip(labels.tolist(), finite.tolist(), feature_squares, products, strict=True)
        for y, is_finite, square, product in of_each:
            counts[y] += is_finite
            squares[y] += square
            sum_squares[y] += 2 * product - square  # |s + f|^2 = |s|^2 + 2 <f, s + f> - |f|^2
            of_class.append((counts[y], sum_squares[y], squares[y]))
        self.counts, self.squares, self._sum_squares = map(np.array, (counts, squares, sum_squares))
        n, s, r = np.array(of_class).reshape(-1, 3).T
        return Moments(finite, np.array(feature_squares), np.array(products) / n, s / n**2, r / n)

    def _add_rows(
        self, rows: np.ndarray, labels: np.ndarray, finite: np.ndarray
    ) -> tuple[list[float], list[float]]:
        """Add the finite rows (v, f) to their classes' sums, which are changed where they are.

        Returns |f|^2 and <f, s_y> after each addition, zeros for rows that are not finite. Class
        after class and piece after piece, so that a row and its class's sum are in the cache.
        """
        squares, products = [0.0] * len(rows), [0.0] * len(rows)
        members: dict[int, list[int]] = {}
        for i in finite.nonzero()[0].tolist():
            members.setdefault(int(labels[i]), []).append(i)
        pieces = [slice(k, k + PIECE) for k in range(0, rows.shape[1], PIECE)]
        for y, own in members.items():
            for k in pieces:
                total = self.sums[y, k]
                for i in own:
                    part = rows[i, k].astype(np.float64)
                    total += part
                    squares[i] += float(part.dot(part))
                    products[i] += float(part.dot(total))
        return squares, products

    def state_dict(self) -> dict[str, Tensor]:
        """Return copies of the three sums."""
        sums = {"counts": self.counts, "sums": self.sums, "squares": self.squares}
        return {name: torch.tensor(value) for name, value in sums.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state_dict` returned; raises ValueError for other numbers of classes."""
        if len(state["counts"]) != len(self.counts):
            raise ValueError(
                f"the filter state has {len(state['counts'])} classes, not {len(self.counts)}"
            )
        restored = (state[name].cpu().numpy().copy() for name in ("counts", "sums", "squares"))
        self.counts, self.sums, self.squares = restored

    def _expect_length(self, length: int) -> None:
        if self.sums.shape[1] == 0:
            self.sums = np.zeros((len(self.counts), length))
        if self.sums.shape[1] != length:
            raise ValueError(f"features of length {length}, after length {self.sums.shape[1]}")


def _as_numpy(features: Tensor) -> np.ndarray:
    """Return the features as an array, which knows no bfloat16."""
    known = features.float() if features.dtype == torch.bfloat16 else features
    rows: np.ndarray = known.detach().numpy()
    return rows
