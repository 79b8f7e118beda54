"""The cache keeps prepared tensors, so that what takes seconds to decode is decoded once.

An entry is one file, named by a digest of everything that decides its contents: the settings of
the preparation and the name, size and modification time of every file read. A changed setting or
file is therefore a different entry, never a stale one. An entry also holds a digest of its tensors:
one that cannot be read, or does not match its digest, is made anew.
"""

import hashlib
import json
import logging
import pickle
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor

from titan_repro.errors import DataError
from titan_repro.files import write_atomically
from titan_repro.tasks.base import Split, Task
from titan_repro.tasks.readers.standardise import channel_moments

log = logging.getLogger(__name__)

DIGEST = "digest"
"""Key of an entry's digest: the hexadecimal digits as a tensor of bytes."""

USER_IDS = "owners"
"""Key of `Split.user_ids` in entries and digests. It is older than the field's name, and stays:
another key would change the data sets' fingerprints, and no run could be continued."""


def fingerprint_files(files: Iterable[Path], settings: Mapping[str, object]) -> str:
    """Return a digest of settings and of the files' names, sizes and modification times.

    Raises DataError naming a file that is not there or may not be looked at.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for file in sorted(files, key=str):  # of tens of thousands, paths take long to compare
        try:
            status = file.stat()
        except OSError as error:
            raise DataError(f"{file}: cannot be read ({error.strerror})") from None
        digest.update(f"{file.name}/{status.st_size}/{status.st_mtime_ns};".encode())
    return digest.hexdigest()[:16]


def fingerprint_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Return a digest of the tensors' names, types, shapes and contents."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}/{tensor.dtype}/{tuple(tensor.shape)};".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def cached(
    cache: Path | None,
    task: str,
    settings: Mapping[str, object],
    files: Iterable[Path],
    prepare: Callable[[], dict[str, Tensor]],
) -> dict[str, Tensor]:
    """Return `prepare()`'s tensors, from `cache`/`task`-<digest>.pt if they are there already.

    `cache` None means never to store. `prepare` runs at most once; what it raises is passed on and
    nothing is stored. A cache that cannot be written costs a warning, not the run.
    """
    return _cached(cache, task, settings, files, prepare)[0]


def cached_task(
    cache: Path | None,
    *,
    name: str,
    source: str,
    classes: tuple[str, ...],
    prepare: Callable[[], tuple[Split, Split]],
    settings: Mapping[str, object] = MappingProxyType({}),
    files: Iterable[Path] = (),
    channel: int = 0,
) -> Task:
    """Return the task whose training and test parts `prepare()` makes, from the cache if there.

    Mean and standard deviation are taken over the training part, apart for each entry of the axis
    `channel` of input_shape: (channels, ...) by default. They and the fingerprint are stored with
    the parts. Other arguments as for `cached` and `Task`; data that no file holds need no `files`.
    """

    def tensors() -> dict[str, Tensor]:
        train, test = prepare()
        mean, std = channel_moments(train.inputs, channel)
        parts = {**_tensors("train", train), **_tensors("test", test)}
        return {**parts, "mean": mean, "std": std}

    stored, fingerprint = _cached(cache, name, settings, files, tensors)
    train, test = _split("train", stored), _split("test", stored)
    return Task(name, source, classes, train, test, stored["mean"], stored["std"], fingerprint)


def _cached(
    cache: Path | None,
    task: str,
    settings: Mapping[str, object],
    files: Iterable[Path],
    prepare: Callable[[], dict[str, Tensor]],
) -> tuple[dict[str, Tensor], str]:
    """Return the tensors and their digest, from the cache if they are there already."""
    if cache is None:
        tensors = prepare()
        return tensors, fingerprint_tensors(tensors)
    entry = cache / f"{task}-{fingerprint_files(files, settings)}.pt"
    if entry.exists():
        try:
            return _read(entry)
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
            log.warning("cache entry %s cannot be read (%s); preparing it anew", entry, error)
    log.info("preparing %s; from then on it is read from %s", task, entry)
    tensors = prepare()
    digest = fingerprint_tensors(tensors)
    try:
        with write_atomically(entry) as file:
            torch.save({**tensors, DIGEST: torch.tensor(list(digest.encode()))}, file)
    except OSError as error:
        log.warning("cannot write the cache entry %s: %s", entry, error)
    return tensors, digest


def _read(entry: Path) -> tuple[dict[str, Tensor], str]:
    """Return an entry's tensors and digest; ValueError if they do not belong together."""
    tensors: dict[str, Tensor] = torch.load(entry, weights_only=True, mmap=False)
    if not isinstance(tensors, dict) or DIGEST not in tensors:
        raise ValueError("it holds no digest")
    digest = bytes(tensors.pop(DIGEST).tolist()).decode()
    if fingerprint_tensors(tensors) != digest:
        raise ValueError("its contents have changed")
    return tensors, digest


def _tensors(part: str, split: Split) -> dict[str, Tensor]:
    user_ids = {} if split.user_ids is None else {f"{part}_{USER_IDS}": split.user_ids}
    return {f"{part}_inputs": split.inputs, f"{part}_labels": split.labels, **user_ids}


def _split(part: str, stored: Mapping[str, Tensor]) -> Split:
    user_ids = stored.get(f"{part}_{USER_IDS}")
    return Split(stored[f"{part}_inputs"], stored[f"{part}_labels"], user_ids)
