"""The trained network, laid out so that other processes read it while it is trained."""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor

from titan_repro.models.base import BlockNetwork
from titan_repro.pipeline.shared import allocate, packed_size, shared_copies, views


class SharedNetwork:
    """Moves a network's tensors to where the pipeline needs them; the network stays the same.

    Parameters go to shared memory: only the optimiser's step changes them, at a moment when
    nobody reads them. Buffers (BatchNorm's running statistics) change in every training forward
    pass, beside which others score, so readers get a copy that changes only by `publish`.

    reader: the network of the other processes; same parameters, copied buffers.
    """

    def __init__(self, network: BlockNetwork) -> None:
        read: dict[int, Tensor] = {}
        for parameters in _by_type(network.parameters()):
            places = shared_copies("weights", parameters)
            for parameter, place in zip(parameters, places, strict=True):
                parameter.data = place
                read[id(parameter)] = parameter
        self._own_and_published: list[tuple[Tensor, Tensor]] = []
        for buffers in _by_type(network.buffers()):
            size = packed_size(buffers)
            own = torch.zeros(size, dtype=torch.uint8)
            published = allocate("running statistics", size)
            self._own_and_published.append((own, published))
            for buffer, mine, its in zip(
                buffers, views(own, buffers), views(published, buffers), strict=True
            ):
                buffer.data = mine.copy_(buffer)
                read[id(buffer)] = its
        self.publish()
        self.reader = copy.deepcopy(network, read)

    def publish(self) -> None:
        """Let readers see the buffers as they are now. Nobody may be reading."""
        for own, published in self._own_and_published:
            published.copy_(own)


def _by_type(tensors: Iterable[Tensor]) -> list[list[Tensor]]:
    """Group tensors by their type: `torch.save` refuses memory that holds several."""
    groups: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        groups.setdefault(tensor.dtype, []).append(tensor)
    return list(groups.values())
