"""What all files of a run folder have in common: JSON, and errors of the disk in one line."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
