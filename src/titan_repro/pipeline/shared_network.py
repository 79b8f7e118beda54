"""The trained network, laid out so that other processes read it while it is trained."""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from titan_repro.models.base import BlockNetwork
from titan_repro.pipeline.shared import HOST, allocate, packed_size, shared_copies, views


class SharedNetwork:
    """Moves a network's tensors to where the pipeline needs them; the network stays the same.

    Trained on the host, its parameters go to shared memory: only the optimiser's step changes
    them, at a moment when nobody reads them. Buffers (BatchNorm's running statistics) change in
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
        """Let readers see the network as it is now. Nobody may be reading.

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
