"""One process at a time in a run folder, whatever way that process ends."""

import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from titan_repro.errors import RunFolderError
from titan_repro.records.storage import reason


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Create `folder` and hold it, by a lock on its file `.lock`, while the block runs.

    The operating system drops the lock when the process ends, also by kill -9. Raises
    RunFolderError without waiting if another process holds it or the folder cannot be written.
    """
    path = folder / ".lock"
    try:
        descriptor = _acquire(path)
    except BlockingIOError as error:
        raise RunFolderError(
            f"{folder}: in use by {_holder(path)}; wait for it to end, or stop it, and start again"
        ) from error
    except OSError as error:
        raise RunFolderError(
            f"{folder}: cannot be written ({reason(error)}); make it writable or choose "
            "another folder with paths.runs"
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):  # the lock ends with the descriptor; its file is only a sign
            path.unlink()
        os.close(descriptor)


def _acquire(path: Path) -> int:
    """Return a descriptor of the file `path` that holds its lock."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _names(path, descriptor):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"process {os.getpid()} on {platform.node()}\n".encode())
                return descriptor
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its last holder removed this file between our open and our lock


def _names(path: Path, descriptor: int) -> bool:
    """Return whether `path` still leads to the open file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _holder(path: Path) -> str:
    try:
        return path.read_text().strip() or "another process"
    except OSError:
        return "another process"
