"""The one file from which a run goes on, and the digest that says that two runs ended alike.

The rename of a checkpoint commits everything that was written before it.
"""

import hashlib
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from titan_repro.files import write_atomically
from titan_repro.records.storage import damaged, unreadable, writing

_PLAIN = (type(None), bool, int, float, str)
_DAMAGE = (
    EOFError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)
"""What zipfile, torch.load and Checkpoint raise on contents that they cannot make sense of."""


@dataclass(frozen=True)
class Checkpoint:
    """Where a run stands between two rounds.

    state: whatever the run needs to go on; tensors lie on the CPU after loading.
    next_round: the first round that is not in it.
    evaluation_bytes: length of evaluations.csv at that moment.
    """

    state: dict[str, Any]
    next_round: int
    evaluation_bytes: int


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write the checkpoint atomically.

    Raises TypeError for a state that `torch.load(weights_only=True)` would refuse to read back,
    and RunFolderError, leaving the previous checkpoint as it was, if the disk does not take it.
    """
    _check_readable(checkpoint.state, "state")
    with writing(path), write_atomically(path) as file:
        try:
            torch.save(vars(checkpoint), file)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):  # torch.save hides the disk's error
                raise error.__context__ from None
            raise


def load(path: Path) -> Checkpoint | None:
    """Return the checkpoint, None if there is none. Raises RunFolderError if it is damaged."""
    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            flipped = archive.testzip()  # torch.load does not verify the checksums it writes
        if flipped is not None:
            raise damaged(path, f"wrong checksum of {flipped}")
        return Checkpoint(**torch.load(path, map_location="cpu", weights_only=True))
    except _DAMAGE as error:
        raise damaged(path, error) from error
    except OSError as error:
        raise unreadable(path, error) from error


def _check_readable(value: object, name: str) -> None:
    """Raise TypeError unless `value` is tensors, numbers and text in plain containers."""
    if isinstance(value, Tensor) or type(value) in _PLAIN:
        return
    if isinstance(value, dict) and type(value) in (dict, OrderedDict):
        for key, item in value.items():
            _check_readable(key, f"the key {key!r} of {name}")
            _check_readable(item, f"{name}[{key!r}]")
    elif isinstance(value, list | tuple) and type(value) in (list, tuple):
        for position, item in enumerate(value):
            _check_readable(item, f"{name}[{position}]")
    else:
        raise TypeError(
            f"{name} is a {type(value).__name__}; a checkpoint holds tensors, numbers, text, "
            "None, lists, tuples and dictionaries"
        )


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
