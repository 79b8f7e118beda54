"""Tensors that several processes map, in memory that has no name.

The memory is a file that was never in any folder (`memfd_create`). Processes hand it on by its
descriptor and the kernel frees it with the last of them, so nothing can be left behind in /dev/shm,
however they end, and a full /dev/shm does not matter. Linux only: other systems have nothing of
the kind, and `executor=processes` says so. A `SharedBuffer` is where one process writes a round's
samples for the next: rows of shared memory, never pickled.
"""

import errno
import mmap
import os
import resource
import weakref
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import torch
from torch import Tensor

from titan_repro.errors import PipelineError

HOST = torch.device("cpu")
"""Where shared memory is: the only device whose tensors several processes use in place."""

ALIGNMENT = 64
"""Bytes of which every tensor's address is a multiple, as torch allocates: others may round
differently."""

Place = tuple[str, str, tuple[int, ...], tuple[int, ...]]
"""A tensor's name, the name of its type, its shape and its strides: all but where it begins."""

Layout = tuple[Place, ...]
"""What a buffer holds, in plain values: messages with it are small, soon packed and read."""

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
    descriptor = -1
    try:
        descriptor = os.memfd_create(f"titan {purpose}", os.MFD_CLOEXEC)
        os.posix_fallocate(descriptor, 0, size)
        return Area(descriptor, size).bytes()
    except OSError as error:
        if descriptor >= 0:
            os.close(descriptor)
        raise PipelineError(_why_not(purpose, size, error)) from None


def too_many_files(error: OSError) -> str | None:
    """Return what to say of the error if it is the limit of open files that was met."""
    if error.errno != errno.EMFILE:
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        f"executor=processes: found a limit of {limit} open files (ulimit -n); allowed: at least "
        "64, or executor=inline"
    )


def _why_not(purpose: str, size: int, error: OSError) -> str:
    """Say which limit of the system `allocate` has met."""
    return too_many_files(error) or (
        f"executor=processes: no {size / 2**20:.1f} MB of shared memory for the {purpose} "
        f"({error.strerror}); free some, or use executor=inline"
    )


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


class SharedBuffer:
    """Shared memory with a place for each of a few tensors, which may differ from round to round.

    A process writes only after the other one has read what was there before; the order of the
    pipeline's messages ensures that.

    purpose: what it is for, as an error says it.
    places: the most bytes that each tensor may take.
    """

    def __init__(self, purpose: str, places: Mapping[str, int]) -> None:
        wanted = [torch.empty(size, dtype=torch.uint8, device="meta") for size in places.values()]
        self._places = dict(zip(places, shared_zeros(purpose, wanted), strict=True))
        self._views: dict[Place, Tensor] = {}  # most rounds have the layout of the last one

    def write(self, **tensors: Tensor) -> Layout:
        """Copy tensors, from whatever device, to their places; return their layout.

        When it returns, all that had been asked of their device before is done: the copy waits.
        Raises ValueError for a tensor that is too large for its place.
        """
        layout = []
        for name, tensor in tensors.items():
            place = _place(name, tensor)
            if place not in self._views:
                tensor = self._fitting(name, tensor)
                place = _place(name, tensor)
            self._at(place).copy_(tensor)
            layout.append(place)
        return tuple(layout)

    def read(self, layout: Layout) -> dict[str, Tensor]:
        """Return copies of what was written, in this process's memory and of the same strides."""
        return {name: tensor.clone() for name, tensor in self.view(layout).items()}

    def view(self, layout: Layout, device: torch.device = HOST) -> dict[str, Tensor]:
        """Return what was written: in place on the host, elsewhere copies with the same strides.

        What is in place is valid only until the next `write`.
        """
        there = {place[0]: self._at(place) for place in layout}
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

    def _at(self, place: Place) -> Tensor:
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
