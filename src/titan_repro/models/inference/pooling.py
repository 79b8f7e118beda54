"""Max pooling for forward passes alone: no positions noted for a gradient, and piece by piece.

nn.MaxPool2d also stores argmax indices, which doubles its time; inference does not need them. And
the output of a stem for 100 images does not fit a core's cache: writing and reading it as a whole
takes memory bandwidth that training beside it needs. In pieces, SqueezeNet's stem takes a sixth
less time on a CPU.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple, TypeGuard

import torch
from torch import Tensor, nn

PIECE_BYTES = 4 * 2**20
"""PIECE_BYTES: of maps pooled at once, or of one sample's if more. Half and double are as fast."""


class PooledInPieces(nn.Module):
    """A convolution and the max pooling behind it, a piece of the batch at a time.

    To be called without gradients. The values are those of the layers in turn; of zeros with
    different signs either may come out.

    pool: one of which `can_pool` is true.
    rectified: whether a ReLU comes last.
    """

    def __init__(
        self, convolution: nn.Conv2d, pool: nn.MaxPool2d, *, rectified: bool = False
    ) -> None:
        super().__init__()
        self.convolution = convolution
        self.pool = pool
        self.rectified = rectified
        self._plans: dict[tuple[torch.Size, torch.dtype], _Plan] = {}

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the pooled maps, (n, c, h', w')."""
        plan = self._plan(inputs)
        shape = len(inputs), *plan.shape
        pooled = torch.empty(
            shape, dtype=plan.dtype, device=inputs.device, memory_format=plan.memory_format
        )
        for begin in range(0, len(inputs), plan.samples):
            piece = slice(begin, begin + plan.samples)
            place = pooled[piece]
            max_pool(self.convolution(inputs[piece]), self.pool, place)
            if self.rectified:
                place.relu_()
        return pooled

    def _plan(self, inputs: Tensor) -> "_Plan":
        """Return the plan for inputs like these, made once by looking at what comes of one."""
        kind = inputs.shape[1:], inputs.dtype
        if kind not in self._plans:
            maps = self.convolution(inputs[:1])
            last = maps.is_contiguous(memory_format=torch.channels_last)
            self._plans[kind] = _Plan(
                max(1, PIECE_BYTES // max(1, maps.nbytes)),
                self.pool(maps).shape[1:],
                maps.dtype,
                torch.channels_last if last else torch.contiguous_format,
            )
        return self._plans[kind]


class _Plan(NamedTuple):
    """How many samples a piece has, and the shape of what comes of one, its type and layout."""

    samples: int
    shape: torch.Size
    dtype: torch.dtype
    memory_format: torch.memory_format


def can_pool(layer: nn.Module) -> TypeGuard[nn.MaxPool2d]:
    """Whether `max_pool` does as this layer, and sooner, which it does where windows overlap.

    Windows must begin, or have their middle, inside the maps.
    """
    if type(layer) is not nn.MaxPool2d or layer.return_indices or _pair(layer.dilation) != (1, 1):
        return False
    kernel, stride, padding = map(_pair, (layer.kernel_size, layer.stride, layer.padding))
    if all(k <= s for k, s in zip(kernel, stride, strict=True)):
        return False
    if layer.ceil_mode:
        return padding == (0, 0)
    return all(2 * p < k for k, p in zip(kernel, padding, strict=True))


def max_pool(maps: Tensor, pool: nn.MaxPool2d, out: Tensor) -> None:
    """Do as `pool` with maps (n, c, h, w), into `out`, (n, c, h', w'): rows first, then columns."""
    windows = tuple(zip(*map(_pair, (pool.kernel_size, pool.stride, pool.padding)), strict=True))
    height, width = out.shape[2:]
    among_rows = torch.empty_like(maps[:, :, :height])
    _slide(maps.movedim(2, 0), _parts(maps.shape[2], height, *windows[0]), among_rows.movedim(2, 0))
    _slide(among_rows.movedim(3, 0), _parts(maps.shape[3], width, *windows[1]), out.movedim(3, 0))


def _slide(maps: Tensor, parts: Sequence["_Part"], out: Tensor) -> None:
    """Find the maximum in each of the windows (windows, ...) along the first dimension."""
    first, *others = parts
    if others and others[0].windows == first.windows:
        torch.maximum(maps[first.places], maps[others.pop(0).places], out=out)
    else:
        out.copy_(maps[first.places])
    for part in others:
        place = out[part.windows]
        torch.maximum(place, maps[part.places], out=place)


class _Part(NamedTuple):
    """The j-th places of windows: which windows have one inside the maps, and where those are."""

    windows: slice
    places: slice


@cache
def _parts(length: int, number: int, kernel: int, stride: int, padding: int) -> list[_Part]:
    """Return the parts of `number` windows over `length` places, those of all windows first."""
    parts = []
    for j in range(kernel):
        first = max(0, -((j - padding) // stride))
        last = min(number - 1, (length - 1 + padding - j) // stride)
        if first <= last:
            begin = first * stride + j - padding
            end = last * stride + j - padding + 1
            parts.append(_Part(slice(first, last + 1), slice(begin, end, stride)))
    return sorted(parts, key=lambda part: part.windows != slice(0, number))


def _pair(size: int | tuple[int, ...]) -> tuple[int, ...]:
    return (size, size) if isinstance(size, int) else tuple(size)
