"""Gaussian noise computed from where it is needed: sample and element, no stored state.

A `torch.Generator` would have to be seeded once a sample, on the host, with the sample's number;
on a GPU that waits for the device in every round. Hashing a counter needs neither. Only integer
arithmetic, table look-ups and one addition are used, so the same sample has bit-identical noise
alone or among others, and on every device.
"""

import math

import torch
from torch import Tensor

from titan_repro.seeds import derive_seed
from titan_repro.streams.checks import move

_LEVELS = 1 << 16
# The constants of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number
# generators"), as signed integers: torch multiplies int64 modulo 2^64, as unsigned does.
_GAMMA = 0x9E3779B97F4A7C15 - (1 << 64)
_FACTORS = (0xBF58476D1CE4E5B9 - (1 << 64), 0x94D049BB133111EB - (1 << 64))


class SampleNormals:
    """Standard normal noise of a fixed length for each sample of a data set.

    A 64-bit hash of (key, sample, k) gives four 16-bit words; a word picks one of 65,536 equally
    likely quantiles of the normal distribution, and two such picks, added and divided by sqrt(2),
    make one value. Its variance is exactly 1 and its largest value 6.1, which one standard normal
    in a thousand million exceeds.

    seed, purpose: decide the key; others give independent noise.
    elements: values a sample.
    device: where the values are computed.
    """

    def __init__(self, seed: int, purpose: str, elements: int, device: torch.device) -> None:
        self.elements = elements
        self._key = derive_seed(seed, purpose)
        self._hashes = torch.arange((elements + 1) // 2, device=device)
        self._quantiles = move(_half_variance_quantiles(), device)

    def of(self, samples: Tensor) -> Tensor:
        """Return the noise (n, elements) float32 of `samples` (n,) int64."""
        counters = samples.unsqueeze(1) * len(self._hashes) + self._hashes  # (n, h)
        words = _hash(counters.mul_(_GAMMA).add_(self._key)).view(torch.int16)  # (n, 4h)
        positions = words.int().add_(_LEVELS // 2)
        picks = self._quantiles.index_select(0, positions.view(-1)).view(words.shape)
        half = words.shape[1] // 2
        noise: Tensor = picks[:, :half] + picks[:, half:]  # (n, 2h)
        return noise[:, : self.elements]


def _half_variance_quantiles() -> Tensor:
    """Return the 65,536 mid-quantiles of the normal distribution, scaled to variance 1/2."""
    levels = (torch.arange(_LEVELS, dtype=torch.float64) + 0.5) / _LEVELS
    quantiles: Tensor = torch.special.ndtri(levels)
    return (quantiles / quantiles.square().mean().sqrt() / math.sqrt(2)).float()


def _hash(states: Tensor) -> Tensor:
    """Mix 64-bit states in place with SplitMix64's output function and return them."""
    for shift, factor in ((30, _FACTORS[0]), (27, _FACTORS[1])):
        states.bitwise_xor_(_shift_right(states, shift)).mul_(factor)
    return states.bitwise_xor_(_shift_right(states, 31))


def _shift_right(states: Tensor, shift: int) -> Tensor:
    """Shift as unsigned numbers: torch's own fills with the sign bit."""
    return (states >> shift).bitwise_and_((1 << (64 - shift)) - 1)
