"""Tensors that several processes map, in memory that has no name.

The memory is a file that was never in any folder (`memfd_create`). Processes hand it on by its
descriptor and the kernel frees it with the last of them, so nothing can be left behind in /dev/shm,
however they end, and a full /dev/shm does not matter. Linux only: other systems have nothing of
the kind, and `executor=processes` says so.
"""

import mmap
import os
import weakref
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from titan_repro.errors import PipelineError

HOST = torch.device("cpu")
"""Where shared memory is: the only device whose tensors several processes use in place."""

ALIGNMENT = 64
"""Of every tensor's first byte, as torch allocates: other alignments may round differently."""

_areas: "weakref.WeakValueDictionary[int, Area]" = weakref.WeakValueDictionary()
"""The areas that this process maps, by address."""


class Area(mmap.mmap):
    """A block of shared memory. It lives for as long as a tensor or another process uses it.

    descriptor: of its file; belongs to the area.
    """

    def __new__(cls, descriptor: int, size: int) -> "Area":
        """Map `size` bytes of the file."""
        return super().__new__(cls, descriptor, size)

    def __init__(self, descriptor: int, size: int) -> None:
        self.descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)

    def bytes(self) -> Tensor:
        """Return all of it, (size,) uint8."""
        flat = torch.frombuffer(self, dtype=torch.uint8)
        _areas[flat.data_ptr()] = self
        return flat


def allocate(purpose: str, size: int) -> Tensor:
    """Return `size` zeroed bytes of shared memory, (size,) uint8.

    All of it is reserved now: memory that is promised and then not there would kill the process
    that touches it. Raises PipelineError naming `purpose` if there is not enough.
    """
    descriptor = os.memfd_create(f"titan {purpose}", os.MFD_CLOEXEC)
    try:
        os.posix_fallocate(descriptor, 0, size)
        return Area(descriptor, size).bytes()
    except OSError as error:
        os.close(descriptor)
        raise PipelineError(
            f"executor=processes: no {size / 2**20:.1f} MB of shared memory for the {purpose} "
            f"({error.strerror}); free some, or use executor=inline"
        ) from None


def area_of(tensor: Tensor) -> Area | None:
    """Return the area that holds a tensor, None if its memory is this process's own."""
    if tensor.device.type != "cpu":
        return None
    return _areas.get(tensor.untyped_storage().data_ptr())


def shared_zeros(purpose: str, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return zeros of the same types, shapes and strides in one area; "meta" tensors will do."""
    return views(allocate(purpose, packed_size(tensors)), tensors)


def shared_copies(purpose: str, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the same tensors, strides and all, in one area of shared memory."""
    copies = shared_zeros(purpose, tensors)
    for copy, tensor in zip(copies, tensors, strict=True):
        copy.copy_(tensor.detach())
    return copies


def packed_size(tensors: Iterable[Tensor]) -> int:
    """Return the bytes that tensors of these types, shapes and strides take one after another."""
    return sum(_padded(extent(t.shape, t.stride()) * t.element_size()) for t in tensors)


def views(memory: Tensor, tensors: Iterable[Tensor]) -> list[Tensor]:
    """Return a view of `memory` (bytes,) uint8 for each tensor, of its type, shape and strides."""
    found, begin = [], 0
    for tensor in tensors:
        size = extent(tensor.shape, tensor.stride()) * tensor.element_size()
        elements = memory[begin : begin + size].view(tensor.dtype)
        found.append(elements.as_strided(tensor.shape, tensor.stride()))
        begin += _padded(size)
    return found


def extent(shape: Sequence[int], strides: Sequence[int]) -> int:
    """Return how many elements lie between a tensor's first and last, both included."""
    if 0 in shape:
        return 0
    return 1 + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
