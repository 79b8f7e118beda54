"""Git LFS leaves a short text, a pointer, where it did not download a file; readers say so."""

from pathlib import Path

from titan_repro.errors import DataError

POINTER = b"version https://git-lfs.github.com/spec/v1"
"""The first bytes of every pointer (Git LFS specification, docs/spec.md)."""


def refuse_pointer(content: bytes, name: str | Path) -> None:
    """Raise DataError beginning with `name` if `content` is a Git LFS pointer."""
    if content.startswith(POINTER):
        raise DataError(
            f"{name}: is a Git LFS pointer, not the file itself; run `git lfs pull` in the "
            "repository that it came from"
        )


def refuse_pointer_file(file: Path) -> None:
    """Raise DataError naming `file` if it can be read and is a Git LFS pointer."""
    try:
        with file.open("rb") as opened:
            start = opened.read(len(POINTER))
    except OSError:
        return
    refuse_pointer(start, file)
