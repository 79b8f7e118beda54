"""Where one process lays a round's samples for the next: rows of shared memory, never pickled."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from titan_repro.pipeline.shared import HOST, extent, shared_zeros

Layout = Mapping[str, tuple[torch.dtype, tuple[int, ...], tuple[int, ...]]]
"""Type, shape and strides of each tensor on a tray: small enough to be sent in a message."""


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
        self._views: dict[Any, Tensor] = {}  # most rounds are laid out as the last one was

    def put(self, **tensors: Tensor) -> Layout:
        """Copy tensors, from whatever device, to their places; return what `take` must be told.

        When it returns, all that had been asked of their device before is done: the copy waits.
        Raises ValueError for a tensor that is too large for its place.
        """
        layout = {}
        for name, tensor in tensors.items():
            if tensor.nbytes > self._places[name].numel():
                raise ValueError(
                    f"{name} has {tensor.nbytes} bytes, more than the {self._places[name].numel()} "
                    "that a round's samples take"
                )
            if extent(tensor.shape, tensor.stride()) != tensor.numel():
                tensor = tensor.contiguous()
            layout[name] = tensor.dtype, tuple(tensor.shape), tensor.stride()
            self._view(name, *layout[name]).copy_(tensor)
        return layout

    def take(self, layout: Layout, device: torch.device = HOST) -> dict[str, Tensor]:
        """Return copies of what was put, in this process's memory of `device`, strides kept."""
        return {
            name: self._view(name, *which).to(device, copy=True) for name, which in layout.items()
        }

    def _view(
        self, name: str, dtype: torch.dtype, shape: tuple[int, ...], strides: tuple[int, ...]
    ) -> Tensor:
        key = name, dtype, shape, strides
        if key not in self._views:
            size = extent(shape, strides) * dtype.itemsize
            elements = self._places[name][:size].view(dtype)
            self._views[key] = elements.as_strided(shape, strides)
        return self._views[key]
