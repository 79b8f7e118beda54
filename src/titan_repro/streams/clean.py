"""The undisturbed stream: reshuffled epochs, one after another."""

import torch
from torch import Tensor

from titan_repro.seeds import generator
from titan_repro.streams.base import Samples
from titan_repro.streams.checks import check_velocity, move, positions_on_device
from titan_repro.tasks.base import Task


class CleanStream:
    """Every sample once an epoch, in an order drawn anew for each epoch.

    Sample i of the whole sequence is entry i % n of the permutation of epoch i // n, so a round
    may straddle two epochs, and holds several where `velocity` exceeds n. An epoch's permutation
    follows from (seed, epoch): any round costs the same, whichever was asked for before.

    task: its training split feeds the stream; everything lives on its tensors' device.
    seed: of the run; decides the order.
    velocity: samples a round, at least 1 (paper section 4.1: 100).
    subset: (n,) int64, positions of the training split that this device holds; None means all.

    Raises ConfigurationError naming `stream.velocity`, or where there are no samples.
    """

    def __init__(self, task: Task, seed: int, velocity: int, subset: Tensor | None = None) -> None:
        check_velocity(velocity)
        self.task = task
        self.seed = seed
        self.velocity = velocity
        self._device = task.train.labels.device
        self._positions = positions_on_device(task, subset)
        self._memo: tuple[int, Tensor] | None = None

    def round(self, t: int) -> Samples:
        """Return round t's `velocity` samples."""
        indices = self._sequence(t * self.velocity, (t + 1) * self.velocity)  # (v,)
        labels = self.task.train.labels.index_select(0, indices)
        return Samples(indices, labels, torch.zeros_like(labels, dtype=torch.bool))

    def inputs(self, arrivals: Samples) -> Tensor:
        """Return the normalised inputs (n, *input_shape), float32."""
        return self.task.normalise(self.task.train.inputs.index_select(0, arrivals.indices))

    def _sequence(self, start: int, stop: int) -> Tensor:
        """Return samples `start` to `stop` of the whole sequence, (stop - start,)."""
        size = len(self._positions)
        pieces = []
        for epoch in range(start // size, (stop - 1) // size + 1):
            begin = epoch * size
            pieces.append(self._epoch(epoch)[max(start - begin, 0) : stop - begin])
        return torch.cat(pieces)

    def _epoch(self, epoch: int) -> Tensor:
        """Return one epoch's samples (n,) in order; the last one asked for is remembered."""
        if self._memo is None or self._memo[0] != epoch:
            order = torch.randperm(
                len(self._positions), generator=generator(self.seed, "order", epoch)
            )
            self._memo = (epoch, move(self._positions[order], self._device))
        return self._memo[1]
