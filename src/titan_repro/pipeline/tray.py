"""Where one process lays a round's samples for the next: rows of shared memory, never pickled."""

from collections.abc import Mapping
from functools import cache

import torch
from torch import Tensor

from titan_repro.pipeline.shared import HOST, extent, shared_zeros

Place = tuple[str, str, tuple[int, ...], tuple[int, ...]]
"""A tensor's name, the name of its type, its shape and its strides: all but where it begins."""

Layout = tuple[Place, ...]
"""What lies on a tray, in plain values: messages that hold it are small, soon packed and read."""


class Tray:
    """Shared memory with a place for each of a few tensors, which may differ from round to round.

    Whoever puts something there must know that the other process has taken what was there before;
    the order of the pipeline's messages sees to that.

    purpose: what it is for, as an error says it.
    places: the most bytes that each tensor may take.
    """

    def __init__(self, purpose: str, places: Mapping[str, int]) -> None:
        wanted = [torch.empty(size, dtype=torch.uint8, device="meta") for size in places.values()]
        self._places = dict(zip(places, shared_zeros(purpose, wanted), strict=True))
        self._views: dict[Place, Tensor] = {}  # most rounds are laid out as the last one was

    def put(self, **tensors: Tensor) -> Layout:
        """Copy tensors, from whatever device, to their places; return what `take` must be told.

        When it returns, all that had been asked of their device before is done: the copy waits.
        Raises ValueError for a tensor that is too large for its place.
        """
        layout = []
        for name, tensor in tensors.items():
            place = _place(name, tensor)
            if place not in self._views:
                tensor = self._fitting(name, tensor)
                place = _place(name, tensor)
            self._view(place).copy_(tensor)
            layout.append(place)
        return tuple(layout)

    def take(self, layout: Layout) -> dict[str, Tensor]:
        """Return copies of what was put, in memory of this process and with the same strides."""
        return {name: tensor.clone() for name, tensor in self.look(layout).items()}

    def look(self, layout: Layout, device: torch.device = HOST) -> dict[str, Tensor]:
        """Return what was put, on the host where it lies, elsewhere copies with the same strides.

        What lies here is there only until something else is put.
        """
        there = {place[0]: self._view(place) for place in layout}
        if device == HOST:
            return there
        return {name: tensor.to(device, copy=True) for name, tensor in there.items()}

    def _fitting(self, name: str, tensor: Tensor) -> Tensor:
        """Return a tensor without holes; raises ValueError if it is too large for its place."""
        if tensor.nbytes > self._places[name].numel():
            raise ValueError(
                f"{name} has {tensor.nbytes} bytes, more than the {self._places[name].numel()} "
                "that a round's samples take"
            )
        whole = extent(tensor.shape, tensor.stride()) == tensor.numel()
        return tensor if whole else tensor.contiguous()

    def _view(self, place: Place) -> Tensor:
        if place not in self._views:
            name, type_name, shape, strides = place
            dtype: torch.dtype = getattr(torch, type_name)
            size = extent(shape, strides) * dtype.itemsize
            elements = self._places[name][:size].view(dtype)
            self._views[place] = elements.as_strided(shape, strides)
        return self._views[place]


def _place(name: str, tensor: Tensor) -> Place:
    return name, _type_name(tensor.dtype), tuple(tensor.shape), tensor.stride()


@cache
def _type_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
