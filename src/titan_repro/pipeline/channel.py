"""Lines between processes: small messages in order, and the news that the other end is gone."""

import os
import pickle
import select
import socket
import struct
from collections.abc import Mapping
from typing import Any

_LENGTH = struct.Struct("=Q")


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
        """Return `number` descriptors, which belong to the caller."""
        content, descriptors, _, _ = socket.recv_fds(self._socket, 1, number)
        if not content:
            raise PeerGone(self.peer)
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
        `seconds`; None waits for ever. A signal's handler runs at once, then the wait goes on.
        """
        ready = self._poll.poll(None if seconds is None else max(0.0, 1000 * seconds))
        if not ready:
            raise NoAnswer
        channel = self._channels[ready[0][0]]
        return channel, channel.receive()
