"""A cache of prepared tensors: what takes seconds to decode is decoded once.

An entry is one file, named by a digest of everything that decides its contents: the settings of
the preparation and the name, size and modification time of every file read. A changed setting or
file is therefore a different entry, never a stale one. An entry that cannot be read is made anew.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from titan_repro.files import write_atomically

log = logging.getLogger(__name__)


def fingerprint_files(files: Iterable[Path], settings: Mapping[str, object]) -> str:
    """Return a digest of settings and of the files' names, sizes and modification times."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for file in sorted(files):
        status = file.stat()
        digest.update(f"{file.name}/{status.st_size}/{status.st_mtime_ns};".encode())
    return digest.hexdigest()[:16]


def fingerprint_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Return a digest of the tensors' names, types, shapes and contents."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}/{tensor.dtype}/{tuple(tensor.shape)};".encode())
        digest.update(memoryview(tensor.reshape(-1).view(torch.uint8).numpy()))
    return digest.hexdigest()[:16]


def cached(
    cache: Path | None,
    task: str,
    settings: Mapping[str, object],
    files: Iterable[Path],
    prepare: Callable[[], dict[str, Tensor]],
) -> dict[str, Tensor]:
    """Return `prepare()`'s tensors, from `cache`/`task`-<digest>.pt if they are there already.

    `cache` None means never to store. `prepare` runs at most once. A cache that cannot be
    written costs a warning, not the run.
    """
    if cache is None:
        return prepare()
    entry = cache / f"{task}-{fingerprint_files(files, settings)}.pt"
    if entry.exists():
        try:
            stored: dict[str, Tensor] = torch.load(entry, weights_only=True, mmap=False)
            return stored
        except (OSError, RuntimeError, EOFError, ValueError) as error:
            log.warning("cache entry %s cannot be read (%s); preparing it anew", entry, error)
    tensors = prepare()
    try:
        with write_atomically(entry) as file:
            torch.save(tensors, file)
    except OSError as error:
        log.warning("cannot write the cache entry %s: %s", entry, error)
    return tensors
