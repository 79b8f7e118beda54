"""A multilayer perceptron for windows of motion sensor data."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from torch import nn

from titan_repro.models.base import BlockNetwork
from titan_repro.models.norm import check_norm
from titan_repro.models.shapes import vector_length


def mlp(
    input_shape: Sequence[int],
    num_classes: int,
    norm: Literal["none"] = "none",
    widths: Sequence[int] = (100,),
) -> BlockNetwork:
    """Build a perceptron d-100-n, where d is 900 for the paper's activity windows.

    widths: those of the hidden layers, at least one; the paper states none.
    Blocks: one hidden layer each, with its ReLU.

    norm: none only.
    Raises ValueError for inputs that are not vectors, for another norm and for no hidden layer.
    """
    check_norm("mlp", norm, ("none",))
    if not widths or min(widths) < 1:
        raise ValueError(f"mlp takes one or more hidden widths of at least 1, not {list(widths)}")
    layers = [vector_length("mlp", input_shape), *widths]
    blocks = [
        nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU()) for inputs, outputs in pairwise(layers)
    ]
    return BlockNetwork(nn.Sequential(*blocks), nn.Identity(), nn.Linear(layers[-1], num_classes))
