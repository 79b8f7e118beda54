"""What all files of a run folder have in common: JSON, checksums, errors in one line, the lock."""

import fcntl
import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from titan_repro.errors import RunFolderError
from titan_repro.files import write_atomically


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError inside the block into a RunFolderError that names `path`."""
    try:
        yield
    except OSError as error:
        raise RunFolderError(
            f"{path}: cannot be written ({reason(error)}); what was saved before is intact: mend "
            "this and start the same command again to go on"
        ) from error


def damaged(path: Path, found: object) -> RunFolderError:
    """Return the error for a file of a run folder that cannot be used as it is."""
    return RunFolderError(
        f"{path}: damaged ({reason(found)}); delete the run folder to start this run again"
    )


def older(path: Path, found: object) -> RunFolderError:
    """Return the error for a run folder of another version."""
    return RunFolderError(
        f"{path}: made by an older titan-repro ({found}); delete the run folder to start this run "
        "again, or read it with the version that made it"
    )


def unreadable(path: Path, error: OSError) -> RunFolderError:
    """Return the error for a file that the system does not let us read."""
    return RunFolderError(f"{path}: cannot be read ({reason(error)})")


def reason(error: object) -> str:
    """Return what an error says, without paths and in one line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.partition("\n")[0]


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` atomically. Raises ValueError for NaN and infinity: JSON has neither."""
    text = json.dumps(content, indent=2, allow_nan=False)
    with writing(path), write_atomically(path) as file:
        file.write(f"{text}\n".encode())


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in `path`, None if there is no file. Raises RunFolderError if damaged."""
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError as error:
        raise damaged(path, error) from error
    if not isinstance(content, dict):
        raise damaged(path, f"a {type(content).__name__} where an object belongs")
    return content


def sha256_of(path: Path) -> str:
    """Return 64 hexadecimal digits over a file's bytes. Raises RunFolderError without one."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) from error


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
