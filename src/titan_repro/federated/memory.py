"""What a device remembers between its rounds, packed: most of it is zero on most devices.

A filter's sums have a row for every class, thousands of numbers long, but a device sees few
classes; a count for every sample of the training set (rs2) is zero but for the device's own.
Tensors are kept without the rows that are all zero, vectors without their zeros where that takes
less room.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

ROWS = "nonzero_rows"
"""ROWS: the key that tells a packed tensor from a state's own dictionaries."""


def pack(state: Any) -> Any:
    """Return a state, dictionaries of tensors and plain values, without its rows of zeros."""
    if isinstance(state, Mapping):
        return {name: pack(value) for name, value in state.items()}
    if not isinstance(state, Tensor) or state.ndim == 0 or state.numel() == 0:
        return state
    held = _bytes_by_row(state).any(dim=1)
    if bool(held.all()):
        return state
    rows = held.nonzero().squeeze(1)
    if state.ndim == 1 and len(rows) * (rows.itemsize + state.itemsize) >= state.nbytes:
        return state
    return {ROWS: rows, "values": state[rows], "shape": list(state.shape)}


def unpack(packed: Any) -> Any:
    """Return the state that was packed, to the last bit."""
    if not isinstance(packed, Mapping):
        return packed
    if packed.keys() != {ROWS, "values", "shape"}:
        return {name: unpack(value) for name, value in packed.items()}
    whole = torch.zeros(packed["shape"], dtype=packed["values"].dtype)
    whole[packed[ROWS]] = packed["values"]
    return whole


def _bytes_by_row(tensor: Tensor) -> Tensor:
    """Return a tensor's bytes, (rows, bytes): minus zero is not zero here."""
    rows = tensor.contiguous().reshape(len(tensor), -1)
    return rows.view(torch.uint8)
