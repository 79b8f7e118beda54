"""Messages between processes: in order, by value, and tensors in shared memory by their place.

Small messages of plain values are pickled. Of objects with tensors (`send_packed`) the structure is
pickled and the shared tensors are not. A channel also tells that the process at its other end has
ended.
"""

import errno
import io
import os
import pickle
import select
import socket
import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from titan_repro.compat import import_torchvision
from titan_repro.errors import ConfigurationError, PipelineError
from titan_repro.pipeline.shared_memory import HOST, Area, area_of, too_many_files
from titan_repro.tasks.base import Split, Task

_LENGTH = struct.Struct("=Q")

SLICE = 0.5
"""Seconds of one wait. Waits are counted and not clocked: a process that is stopped (Ctrl-Z) and
continued has used up at most one of them, however long that was."""


class PeerGone(Exception):  # noqa: N818 (no error at this end)
    """The process at the other end has ended."""

    def __init__(self, peer: str) -> None:
        super().__init__(peer)
        self.peer = peer


class NoAnswer(Exception):  # noqa: N818
    """Nothing came within the time given."""


class Channel:
    """One end of a two-way line to the process called `peer`.

    Every method raises PeerGone once that process has ended: the kernel closes its end with it.
    """

    def __init__(self, peer: str, end: socket.socket) -> None:
        self.peer = peer
        self._socket = end

    def fileno(self) -> int:
        """Return the descriptor, to wait on."""
        return self._socket.fileno()

    def send(self, *message: Any) -> None:
        """Send a message of plain values; it waits only if the other end does not read at all."""
        self.send_bytes(pickle.dumps(message))

    def receive(self) -> tuple[Any, ...]:
        """Return the next message, waiting for it."""
        message: tuple[Any, ...] = pickle.loads(self.receive_bytes())
        return message

    def send_bytes(self, content: bytes | memoryview) -> None:
        """Send bytes as they are."""
        try:
            self._socket.sendall(_LENGTH.pack(len(content)) + content)
        except OSError:
            raise PeerGone(self.peer) from None

    def receive_bytes(self) -> bytes:
        """Return bytes that were sent as they are."""
        return self._exactly(_LENGTH.unpack(self._exactly(_LENGTH.size))[0])

    def send_descriptors(self, descriptors: list[int]) -> None:
        """Give the other process descriptors of its own for the same files."""
        try:
            socket.send_fds(self._socket, [b"*"], descriptors)
        except OSError:
            raise PeerGone(self.peer) from None

    def receive_descriptors(self, number: int) -> list[int]:
        """Return `number` descriptors, which belong to the caller.

        Raises OSError (EMFILE) if this process may not open so many files.
        """
        content, descriptors, _, _ = socket.recv_fds(self._socket, 1, number)
        if not content:
            raise PeerGone(self.peer)
        if len(descriptors) < number:  # the kernel leaves out those that are too many
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        return descriptors

    def close(self) -> None:
        """Close this end; the other one notices."""
        self._socket.close()

    def _exactly(self, size: int) -> bytes:
        content = bytearray(size)
        room = memoryview(content)
        while room:
            try:
                received = self._socket.recv_into(room)
            except OSError:
                received = 0
            if received == 0:
                raise PeerGone(self.peer)
            room = room[received:]
        return bytes(content)


class Inbox:
    """Waits on several channels at once, without using the processor."""

    def __init__(self, *channels: Channel) -> None:
        self._channels: Mapping[int, Channel] = {c.fileno(): c for c in channels}
        self._poll = select.poll()
        for descriptor in self._channels:
            self._poll.register(descriptor, select.POLLIN)

    def next(self, seconds: float | None = None) -> tuple[Channel, tuple[Any, ...]]:
        """Return the next message and the channel that it came by.

        Raises PeerGone if one of the processes has ended, and NoAnswer if nothing comes within
        `seconds`, in which time while this process is stopped does not count; None waits for ever.
        A signal's handler runs at once, then the wait goes on.
        """
        if seconds is None:
            ready = self._poll.poll()
        else:
            whole, rest = divmod(max(0.0, seconds), SLICE)
            slices = [SLICE] * int(whole) + [rest]
            ready = next(filter(None, (self._poll.poll(1000 * s) for s in slices)), [])
        if not ready:
            raise NoAnswer
        channel = self._channels[ready[0][0]]
        return channel, channel.receive()


def send_packed(channel: Channel, value: Any) -> None:
    """Send an object to the process at the other end, which calls `receive_packed`.

    Tensors in shared memory are sent by their place in it, all others by value. A task is sent
    without its test split; workers do not use it.
    Raises ConfigurationError if something in it cannot be pickled.
    """
    file = io.BytesIO()
    pickler = _Pickler(file)
    try:
        pickler.dump(value)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ConfigurationError(
            f"executor=processes: selector, stream and model must be picklable: {error}"
        ) from error
    channel.send(len(pickler.areas))
    channel.send_descriptors([area.descriptor for area in pickler.areas])
    channel.send_bytes(file.getbuffer())


def receive_packed(channel: Channel) -> Any:
    """Return the object that the process at the other end sends with `send_packed`.

    Raises PipelineError if the shared memory in it cannot be mapped here.
    """
    (number,) = channel.receive()
    try:
        descriptors = channel.receive_descriptors(number)
        areas = [Area(each, os.fstat(each).st_size).bytes() for each in descriptors]
    except OSError as error:
        reason = f"executor=processes: cannot map shared memory ({error.strerror})"
        raise PipelineError(too_many_files(error) or reason) from error
    return _Unpickler(io.BytesIO(channel.receive_bytes()), areas).load()


def on_host(state: Any) -> Any:
    """Return a state, dictionaries of tensors and plain values, with all tensors on the host.

    A message to a process that does not use the device that they are on holds this.
    """
    if isinstance(state, Mapping):
        return {name: on_host(value) for name, value in state.items()}
    return state.to(HOST) if isinstance(state, Tensor) else state


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.areas: list[Area] = []

    def persistent_id(self, value: Any) -> tuple[Any, ...] | None:
        """Return the place of a tensor in shared memory, None for whatever is pickled."""
        if type(value) is not Tensor or (area := area_of(value)) is None:
            return None
        if area not in self.areas:
            self.areas.append(area)
        number, begin = self.areas.index(area), value.storage_offset()
        return number, begin, value.dtype, tuple(value.shape), value.stride()

    def reducer_override(self, value: Any) -> Any:
        """Say how a task is pickled; everything else is as usual."""
        if not isinstance(value, Task) or len(value.test) == 0:
            return NotImplemented
        test = Split(value.test.inputs[:0].clone(), value.test.labels[:0].clone())
        return replace(value, test=test).__reduce_ex__(pickle.HIGHEST_PROTOCOL)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, areas: list[Tensor]) -> None:
        super().__init__(file)
        self.areas = areas

    def persistent_load(self, place: tuple[Any, ...]) -> Tensor:
        number, begin, dtype, shape, strides = place
        storage = self.areas[number].untyped_storage()
        return torch.empty(0, dtype=dtype).set_(storage, begin, shape, strides)

    def find_class(self, module: str, name: str) -> Any:
        """Return a class or function; torchvision's need more than an import (see `compat`)."""
        if module.partition(".")[0] == "torchvision":
            import_torchvision(module)
        return super().find_class(module, name)
