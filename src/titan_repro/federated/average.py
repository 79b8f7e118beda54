"""FedAvg's mean of the participants' weights, by the number of samples (McMahan et al. 2017)."""

from collections.abc import Mapping

import torch
from torch import Tensor


class WeightedMean:
    """Adds weights in float64, one device after the other.

    A float32 weight times a number of samples is exact in float64; the sums are rounded, so they
    depend on the order: devices are added in rising order, whoever trained them and whenever. (A
    partial sum for each process would depend on who trained whom.) The mean of one device is that
    device's weights to the last bit: n w and n w / n are exact. Whole numbers, such as BatchNorm's
    count of batches, are no means: the largest is taken.
    """

    def __init__(self) -> None:
        self.samples = 0
        self._sums: dict[str, Tensor] = {}

    @torch.no_grad()
    def add(self, weights: Mapping[str, Tensor], samples: int) -> None:
        """Add what a device with so many samples trained; `weights` may change afterwards."""
        self.samples += samples
        for name, tensor in weights.items():
            if not tensor.is_floating_point():
                known = self._sums.get(name)
                self._sums[name] = tensor.clone() if known is None else known.maximum(tensor)
            elif name in self._sums:
                self._sums[name].add_(tensor, alpha=samples)  # computed in float64
            else:
                self._sums[name] = tensor.double().mul_(samples)

    @torch.no_grad()
    def write_to(self, weights: Mapping[str, Tensor]) -> None:
        """Write the mean over the tensors of `weights`, which have the same names."""
        for name, tensor in weights.items():
            total = self._sums[name]
            tensor.copy_(total / self.samples if tensor.is_floating_point() else total)
