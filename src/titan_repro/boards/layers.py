"""The layers of a network as a cost model sees them: kinds, arithmetic and sizes.

Counted is the network alone, on PyTorch's meta device: shapes without data. Sums and concatenations
between layers (the additions of a residual block) are no layers, and not counted.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from titan_repro.errors import ConfigurationError
from titan_repro.models.base import BlockNetwork

META = torch.device("meta")


class Kind(StrEnum):
    """What a layer does, as far as it decides how fast a processor does it."""

    DENSE = "dense"  # convolution over all channels, or over large groups of them
    DEPTHWISE = "depthwise"  # convolution of every channel by itself
    LINEAR = "linear"  # matrix product
    NORM = "norm"
    ELEMENTWISE = "elementwise"  # activation, pooling, and arithmetic on vectors


ARITHMETIC = (Kind.DENSE, Kind.DEPTHWISE, Kind.LINEAR)
"""Kinds with weights and multiply-adds; the others are limited by bytes alone."""


@dataclass(frozen=True)
class Layer:
    """One layer.

    block: index of the block that it is in; the number of blocks for what follows them.
    multiply_adds, inputs, outputs: of one sample, the latter two in numbers.
    weights: numbers that it learns. channels: of a depthwise convolution, otherwise 0.
    """

    name: str
    kind: Kind
    block: int
    multiply_adds: int
    inputs: int
    outputs: int
    weights: int
    channels: int


def walk(network: BlockNetwork, input_shape: Sequence[int]) -> tuple[Layer, ...]:
    """Return the layers that a sample passes through, in order; the network is not changed.

    input_shape: of one sample. A layer that is used twice is there twice, but learns once.
    Raises ConfigurationError for a layer with weights that is of no kind above.
    """
    on_meta = copy.deepcopy(network).to(META).eval()
    last, seen = len(network.blocks), set[int]()
    found: list[Layer] = []

    def hook(name: str) -> Any:
        def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            block = int(name.split(".")[1]) if name.startswith("blocks.") else last
            layer = _layer(name, module, block, inputs[0].shape[1:], output.shape[1:])
            if layer is not None:
                found.append(_once(layer, id(module), seen))

        return record

    for name, module in on_meta.named_modules():
        if not any(module.children()):
            module.register_forward_hook(hook(name))
    with torch.no_grad():
        on_meta(torch.empty(1, *input_shape, device=META))
    return tuple(found)


def _once(layer: Layer, module: int, seen: set[int]) -> Layer:
    """Return the layer, without weights if its module has been passed before."""
    known = module in seen
    seen.add(module)
    return layer if not known else Layer(**{**vars(layer), "weights": 0})


def _layer(
    name: str, module: nn.Module, block: int, inputs: Sequence[int], outputs: Sequence[int]
) -> Layer | None:
    """Return the layer of a module; None for one that computes nothing."""
    if isinstance(module, nn.Identity | nn.Flatten | nn.Dropout):
        return None
    weights = sum(weight.numel() for weight in module.parameters())
    kind, multiply_adds, channels = Kind.ELEMENTWISE, 0, 0
    if isinstance(module, _ConvNd) and not isinstance(module, _ConvTransposeNd):
        multiply_adds = prod(outputs[1:]) * module.weight.numel()
        depthwise = module.groups == module.in_channels > 1
        kind = Kind.DEPTHWISE if depthwise else Kind.DENSE
        channels = module.out_channels if depthwise else 0
    elif isinstance(module, nn.Linear):
        kind, multiply_adds = Kind.LINEAR, prod(outputs[:-1]) * module.weight.numel()
    elif isinstance(module, _BatchNorm | nn.GroupNorm | nn.LayerNorm):
        kind = Kind.NORM
    elif weights:
        raise ConfigurationError(
            f"model: found {type(module).__name__} ({name}), whose work on a modelled board is not "
            "known; allowed: convolutions, linear layers, normalisations, layers without weights"
        )
    return Layer(name, kind, block, multiply_adds, prod(inputs), prod(outputs), weights, channels)
