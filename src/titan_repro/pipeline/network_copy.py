"""A process's own copy of the trained network, where the network is on another device than it."""

import copy
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from titan_repro.models.base import BlockNetwork
from titan_repro.pipeline.shared import HOST, extent


class NetworkCopy:
    """A network in shared memory as one device reads it: in place on the host, elsewhere a copy.

    shared: the `reader` of a SharedNetwork, as this process has it.
    device: where its forward passes run.
    blocks: how many first blocks are needed; None: all of it. Only those are copied, the rest stays
        where it is.
    """

    def __init__(
        self, shared: BlockNetwork, device: torch.device, blocks: int | None = None
    ) -> None:
        self._network = shared
        self._own_and_shared: list[tuple[Tensor, Tensor]] = []
        if device != HOST:
            self._copy(shared, device, shared if blocks is None else shared.blocks[:blocks])

    def refresh(self) -> BlockNetwork:
        """Return the network, always the same object, with the weights of now.

        It is called between `begin` and `chosen` of a round, while nobody writes the weights, and
        waits until they are read.
        """
        for own, shared in self._own_and_shared:
            own.copy_(shared)
        return self._network

    def _copy(self, shared: BlockNetwork, device: torch.device, needed: nn.Module) -> None:
        mine: dict[int, Tensor] = {}
        for tensors in _by_memory(_tensors(needed)):
            span = _span(tensors)
            own = torch.empty_like(span, device=device)
            self._own_and_shared.append((own, span))
            for tensor in tensors:
                begin = _begin(tensor) - span.storage_offset()
                elements = own[begin : begin + _size(tensor)].view(tensor.dtype)
                mine[id(tensor)] = elements.as_strided(tensor.shape, tensor.stride())
        for parameter in needed.parameters():
            mine[id(parameter)] = nn.Parameter(mine[id(parameter)], parameter.requires_grad)
        rest = (tensor for tensor in _tensors(shared) if id(tensor) not in mine)
        mine |= {id(tensor): tensor for tensor in rest}
        self._network = copy.deepcopy(shared, mine)


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


def _by_memory(tensors: Iterable[Tensor]) -> list[list[Tensor]]:
    """Group tensors by the memory they lie in: what lies together is copied by one call."""
    groups: dict[int, list[Tensor]] = {}
    for tensor in tensors:
        groups.setdefault(tensor.untyped_storage().data_ptr(), []).append(tensor)
    return list(groups.values())


def _span(tensors: Sequence[Tensor]) -> Tensor:
    """Return the memory from the first of these tensors to the last, (bytes,) uint8, in place."""
    begin = min(_begin(tensor) for tensor in tensors)
    size = max(_begin(tensor) + _size(tensor) for tensor in tensors) - begin
    memory = torch.empty(0, dtype=torch.uint8)
    return memory.set_(tensors[0].untyped_storage(), begin, (size,), (1,))


def _begin(tensor: Tensor) -> int:
    return int(tensor.storage_offset()) * tensor.element_size()


def _size(tensor: Tensor) -> int:
    return extent(tensor.shape, tensor.stride()) * tensor.element_size()
