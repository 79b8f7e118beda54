"""Inputs are standardised by each channel's mean and deviation, taken over the training part."""

import logging

import torch
from torch import Tensor

from titan_repro.errors import DataError

log = logging.getLogger(__name__)

CHUNK_ELEMENTS = 1 << 19
"""Elements turned into float64 at a time (4 MB): they stay in the processor's cache, and a whole
data set never exists as floats."""

RELATIVE_RESOLUTION = 1e-7
"""A channel that varies by less than this share of its mean is constant in float32."""


def channel_moments(inputs: Tensor, channel: int = 0) -> tuple[Tensor, Tensor]:
    """Return mean and population standard deviation of each channel, in the inputs' units.

    inputs: (N, *input_shape) training inputs of any number type, N >= 1.
    channel: the axis of `input_shape` whose entries are kept apart; over all others is averaged.
        0 for images (C, H, W). Windows (steps, axes) take 1; to use the result with flattened
        windows, expand it to (steps, axes) and flatten it.

    Both results are float32 of length C along `channel` and 1 along the other axes, so they
    broadcast against input_shape. The standard deviation of a constant channel is given as 1,
    and the log says so. Raises DataError if there is no input and if a channel holds NaN or
    infinity.
    """
    if len(inputs) == 0:
        raise DataError("found 0 training samples; allowed: at least 1")
    count = 0
    mean = torch.zeros(inputs.shape[channel + 1], dtype=torch.float64)
    squares = torch.zeros_like(mean)  # sum of squared deviations from the mean, (C,)
    for chunk in torch.split(inputs, max(1, CHUNK_ELEMENTS // inputs[0].numel())):
        values = chunk.movedim(channel + 1, 0).flatten(1).double()  # (C, n)
        added = values.shape[1]
        chunk_mean = values.mean(1)
        chunk_squares = (values - chunk_mean[:, None]).square_().sum(1)
        difference = chunk_mean - mean  # chunks are merged as in Chan, Golub & LeVeque 1979
        squares += chunk_squares + difference**2 * (added * count / (count + added))
        mean += difference * (added / (count + added))
        count += added
    shape = [1] * (inputs.ndim - 1)
    shape[channel] = -1
    std = _without_zeros((squares / count).sqrt(), mean)
    return mean.float().reshape(shape), std.float().reshape(shape)


def _without_zeros(std: Tensor, mean: Tensor) -> Tensor:
    """Return std (C,) with 1 where a channel is constant."""
    if not bool(torch.isfinite(std).all()):
        channel = int((~torch.isfinite(std)).nonzero()[0])
        raise DataError(f"channel {channel} of the training inputs holds NaN or infinity")
    constant = std <= RELATIVE_RESOLUTION * mean.abs()
    if bool(constant.any()):
        channels = ", ".join(str(int(c)) for c in constant.nonzero())
        log.warning("constant in the training part, only centred: channel %s", channels)
    return torch.where(constant, torch.ones_like(std), std)
