"""What a computation costs whatever it runs on: arithmetic, bytes moved, kernels launched.

Work is counted by formula, from the layers of a network and the number of samples; no code that
trains or selects is run, so how it is programmed changes no number here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from titan_repro.boards.layers import ARITHMETIC, Kind, Layer

NUMBER = 4
"""Bytes of a number (float32)."""


@dataclass(frozen=True)
class Operation:
    """One layer's pass over some samples, or one step of arithmetic on vectors.

    backward: whether it belongs to a backward pass.
    flops: floating-point operations, 2 a multiply-add.
    bytes: read and written, each input and output once.
    launches: kernels. channels: of a depthwise convolution, summed over samples, otherwise 0.
    times: how often it is done, one after the other.
    """

    kind: Kind
    backward: bool
    flops: float
    bytes: float
    launches: float = 1.0
    channels: float = 0.0
    times: float = 1.0


@dataclass(frozen=True)
class Work:
    """Operations that are done one after the other."""

    operations: tuple[Operation, ...] = ()

    def __add__(self, other: "Work") -> "Work":
        return Work(self.operations + other.operations)

    def __mul__(self, times: float) -> "Work":
        return Work(tuple(replace(one, times=times * one.times) for one in self.operations))

    @property
    def flops(self) -> float:
        """Floating-point operations, forward and backward."""
        return sum(one.flops * one.times for one in self.operations)

    @property
    def bytes(self) -> float:
        """Bytes read and written."""
        return sum(one.bytes * one.times for one in self.operations)

    @property
    def launches(self) -> float:
        """Kernels launched."""
        return sum(one.launches * one.times for one in self.operations)

    @property
    def multiply_adds(self) -> float:
        """Half the floating-point operations."""
        return self.flops / 2


NO_WORK = Work()

NORM_PASSES = {"scoring": 2, "training": 3, "backward": 5}
"""Times that a normalisation reads or writes its input: scoring reads and writes it once; training
reads it once more for the mean and variance; backward reads input and gradient twice, writes once.
"""


def vectors(numbers: float, launches: float, times: float = 1.0) -> Work:
    """Return the work of arithmetic on vectors that reads and writes so many numbers."""
    return Work((Operation(Kind.ELEMENTWISE, False, 0.0, NUMBER * numbers, launches, 0.0, times),))


def product(rows: float, inner: float, columns: float) -> Work:
    """Return the work of a matrix product, (rows, inner) by (inner, columns)."""
    touched = rows * inner + inner * columns + rows * columns
    flops = 2 * rows * inner * columns
    return Work((Operation(Kind.LINEAR, False, flops, NUMBER * touched),))


def forward_work(layers: Iterable[Layer], samples: int, *, training: bool = False) -> Work:
    """Return the work of a forward pass over samples at once.

    training: normalisations compute the batch's own statistics.
    """
    return Work(tuple(_forward(layer, samples, training) for layer in layers))


def backward_work(layers: Sequence[Layer], samples: int) -> Work:
    """Return the work of a backward pass: two gradients a layer, of its weights and its input.

    Each costs the arithmetic of the forward pass; the first layer's input needs none.
    """
    passes = [_backward(layer, samples, first=i == 0) for i, layer in enumerate(layers)]
    return Work(tuple(reversed(passes)))


def update_work(parameters: int, tensors: int) -> Work:
    """Return the work of a step of gradient descent: read weight and gradient, write weight."""
    numbers = 3.0 * parameters
    return Work((Operation(Kind.ELEMENTWISE, True, 0.0, NUMBER * numbers, float(tensors)),))


def _forward(layer: Layer, samples: int, training: bool) -> Operation:
    numbers = samples * (layer.inputs + layer.outputs)
    if layer.kind is Kind.NORM:
        numbers = samples * layer.inputs * NORM_PASSES["training" if training else "scoring"]
    return Operation(
        layer.kind,
        False,
        flops=2.0 * layer.multiply_adds * samples,
        bytes=NUMBER * (numbers + layer.weights),
        channels=layer.channels * samples,
    )


def _backward(layer: Layer, samples: int, first: bool) -> Operation:
    if layer.kind in ARITHMETIC:
        gradients = 1 if first else 2
        numbers = gradients * (samples * (layer.inputs + layer.outputs) + layer.weights)
        return Operation(
            layer.kind,
            True,
            flops=2.0 * gradients * layer.multiply_adds * samples,
            bytes=NUMBER * numbers,
            launches=gradients,
            channels=layer.channels * samples,
        )
    passes = NORM_PASSES["backward"] * layer.inputs
    numbers = passes if layer.kind is Kind.NORM else 2 * layer.outputs + layer.inputs
    return Operation(layer.kind, True, 0.0, NUMBER * (samples * numbers + layer.weights))
