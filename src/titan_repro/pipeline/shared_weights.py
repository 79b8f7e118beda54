"""The trained network in shared memory: its side that trains, and the sides that read it."""

import copy
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from titan_repro.models.base import BlockNetwork
from titan_repro.pipeline.shared_memory import (
    HOST,
    allocate,
    extent,
    packed_size,
    shared_copies,
    views,
)


class SharedNetwork:
    """Moves a network's tensors to where the pipeline needs them; the network stays the same.

    Trained on the host, its parameters go to shared memory: only the optimiser's step changes
    them, at a moment when no process reads them. Buffers (BatchNorm's running statistics) change in
    every training forward pass, beside which others score, so readers get a copy that changes only
    by `publish`. Trained on any other device, it has all its tensors copied like that.

    network: on `device` already.
    reader: the network of the other processes; parameters shared or copied, copied buffers, all in
        shared memory of the host.
    """

    def __init__(self, network: BlockNetwork, device: torch.device = HOST) -> None:
        self._device = device
        self._own_and_published: list[tuple[Tensor, Tensor]] = []
        read: dict[int, Tensor] = {}
        for parameters in _by_type(network.parameters()):
            if device == HOST:
                _share(parameters)
                read |= {id(parameter): parameter for parameter in parameters}
                continue
            for parameter, place in self._copied("weights", parameters):
                read[id(parameter)] = nn.Parameter(place, parameter.requires_grad)
        for buffers in _by_type(network.buffers()):
            read |= {id(own): its for own, its in self._copied("running statistics", buffers)}
        self.publish()
        self.reader = copy.deepcopy(network, read)

    def publish(self) -> None:
        """Let readers see the network as it is now. No process may be reading it.

        The step that has made it so need not be done yet: a copy from a GPU waits for that.
        """
        for own, published in self._own_and_published:
            published.copy_(own)

    def _copied(self, purpose: str, tensors: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Give each tensor a place that `publish` copies; return it with the copy."""
        size = packed_size(tensors)
        own = torch.zeros(size, dtype=torch.uint8, device=self._device)
        published = allocate(purpose, size)
        self._own_and_published.append((own, published))
        for tensor, place in zip(tensors, views(own, tensors), strict=True):
            tensor.data = place.copy_(tensor.detach())
        return list(zip(tensors, views(published, tensors), strict=True))


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

        It is called between `begin` and `chosen` of a round, while no process writes the weights,
        and waits until they are read.
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


def _share(parameters: list[Tensor]) -> None:
    """Move parameters to shared memory."""
    places = shared_copies("weights", parameters)
    for parameter, place in zip(parameters, places, strict=True):
        parameter.data = place


def _by_type(tensors: Iterable[Tensor]) -> list[list[Tensor]]:
    """Group tensors by their type: `torch.save` refuses memory that holds several."""
    groups: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        groups.setdefault(tensor.dtype, []).append(tensor)
    return list(groups.values())


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
