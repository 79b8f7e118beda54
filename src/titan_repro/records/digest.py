"""Digests: of trained weights, to say that two runs ended bit-identical, and of files."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from titan_repro.records.storage import unreadable


def weights_sha256(state: Mapping[str, Tensor]) -> str:
    """Return 64 hexadecimal digits over names, types, shapes and contents of a `state_dict()`.

    The order of entries, the device and the memory format (channels_last) do not change it.
    """
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name}/{tensor.dtype}/{tuple(tensor.shape)};".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """Return 64 hexadecimal digits over a file's bytes. Raises RunFolderError without one."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) from error
