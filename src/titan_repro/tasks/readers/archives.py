"""An archive reads many small text files, from a folder or a zip file, in the same way."""

import os
import re
import struct
import zipfile
import zlib
from pathlib import Path

from titan_repro.errors import DataError
from titan_repro.tasks.readers.lfs import refuse_pointer, refuse_pointer_file

ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)
"""What zipfile raises for damaged, truncated, encrypted or exotically compressed archives."""


class Archive:
    """The entries of a folder, or of a zip file with the same layout.

    names: the entries' paths relative to the folder or inside the zip file, with "/", sorted;
        folders among them without a trailing "/".

    Raises DataError naming the path if it is missing, not readable or no zip file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip = None if path.is_dir() else _open_zip(path)
        names = self._zip.namelist() if self._zip else _walk(path)
        self.names = sorted(name.rstrip("/") for name in names)

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        if self._zip:
            self._zip.close()

    def find(self, pattern: re.Pattern[str]) -> dict[tuple[str, ...], str]:
        """Return {groups of the match: name} of the names whose last parts match `pattern`.

        Raises DataError where two names give the same groups, as when an archive holds two copies.
        """
        whole = re.compile(rf"(?:.*/)?{pattern.pattern}")
        found: dict[tuple[str, ...], str] = {}
        for name in self.names:
            match = whole.fullmatch(name)
            if match is None or name.startswith("__MACOSX/"):
                continue
            if match.groups() in found:
                raise DataError(f"{self.path}: holds {found[match.groups()]} and {name}; keep one")
            found[match.groups()] = name
        return found

    def files(self, names: list[str]) -> tuple[Path, ...]:
        """Return the files on disk that hold the named entries: these, or the zip file."""
        return (self.path,) if self._zip else tuple(self.path / name for name in names)

    def where(self, name: str) -> str:
        """Return how an error names an entry: its path on disk or inside the zip file."""
        return str(self.path / name)

    def read(self, name: str) -> bytes:
        """Return an entry's contents. Raises DataError naming it if it cannot be read."""
        try:
            content = self._zip.read(name) if self._zip else (self.path / name).read_bytes()
        except (KeyError, IsADirectoryError):
            raise DataError(f"{self.where(name)}: is a folder; a text file is needed") from None
        except OSError as error:
            raise DataError(f"{self.where(name)}: cannot be read ({error.strerror})") from None
        except ZIP_ERRORS as error:
            raise DataError(f"{self.where(name)}: damaged in the zip file ({error})") from None
        refuse_pointer(content, self.where(name))
        return content


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except ZIP_ERRORS as error:
        refuse_pointer_file(path)
        raise DataError(f"{path}: damaged or no zip file ({error})") from None


def _walk(folder: Path) -> list[str]:
    """Return the relative paths of all files and folders below `folder`."""

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror})")

    names = []
    for parent, folders, files in os.walk(folder, onerror=refuse):
        relative = Path(parent).relative_to(folder)
        names += [(relative / name).as_posix() for name in (*folders, *files)]
    return names
