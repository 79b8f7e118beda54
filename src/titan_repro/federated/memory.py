"""What a device remembers between its rounds, packed: most classes of most devices are empty.

A filter's sums have a row for every class, thousands of numbers long, but a device sees few
classes. Tensors are kept without the rows that are all zero.
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
    if not isinstance(state, Tensor) or state.ndim < 2 or state.numel() == 0:
        return state
    held = _bytes_by_row(state).any(dim=1)
    if bool(held.all()):
        return state
    rows = held.nonzero().squeeze(1)
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
    return tensor.contiguous().flatten(start_dim=1).view(torch.uint8)
