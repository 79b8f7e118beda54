"""Noisy streams disturb inputs or labels (paper appendix B, figure 11).

Noise belongs to the sample, not to its visit: whether a sample is noisy, and how, follows from
the seed and its position in the training split. The order of arrival is the clean stream's.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor

from titan_repro.seeds import derive_seed, generator
from titan_repro.streams.base import Samples, check_fraction, is_finite, move, require
from titan_repro.streams.clean import CleanStream
from titan_repro.tasks.base import Task

_LEVELS = 1 << 16
# The constants of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number
# generators"), as signed integers: torch multiplies int64 modulo 2^64, as unsigned does.
_GAMMA = 0x9E3779B97F4A7C15 - (1 << 64)
_FACTORS = (0xBF58476D1CE4E5B9 - (1 << 64), 0x94D049BB133111EB - (1 << 64))


class FeatureNoise:
    """The clean stream with Gaussian noise added to the inputs of some samples.

    The noise is added after normalisation and nothing is clipped, so sigma is in units of the
    data's own standard deviation (per channel, where the task normalises per channel).

    task, seed, velocity, subset: as in `CleanStream`.
    fraction: share of the training split that is noisy, exactly round(fraction * N) samples
        (paper: 0.4); a subset's own share varies around it.
    sigma: standard deviation of the noise. The paper does not state one; at 1 a noisy sample
        holds as much noise as signal.

    Raises ConfigurationError naming `stream.fraction`, `stream.sigma` or `stream.velocity`.
    """

    def __init__(
        self,
        task: Task,
        seed: int,
        velocity: int,
        fraction: float = 0.4,
        sigma: float = 1.0,
        subset: Tensor | None = None,
    ) -> None:
        check_fraction(fraction)
        holds = is_finite(sigma) and sigma > 0
        require(holds, "stream.sigma", sigma, "finite numbers above 0")
        self.velocity = velocity
        self.sigma = sigma
        self._clean = CleanStream(task, seed, velocity, subset)
        device = task.train.labels.device
        self._noisy = move(noisy_samples(len(task.train), fraction, seed), device)
        elements = math.prod(task.input_shape)
        self._normals = SampleNormals(seed, "feature noise", elements, device)

    def round(self, t: int) -> Samples:
        """Return round t's `velocity` samples."""
        arrivals = self._clean.round(t)
        return replace(arrivals, noisy=self._noisy.index_select(0, arrivals.indices))

    def inputs(self, arrivals: Samples) -> Tensor:
        """Return the normalised inputs (n, *input_shape), float32, disturbed where noisy."""
        inputs = self._clean.inputs(arrivals)
        rows = _rows(inputs)
        if inputs.device.type == "cpu":
            self._disturb_noisy_rows(rows, arrivals)
        else:
            self._disturb_masked(rows, arrivals)
        return inputs

    def _disturb_noisy_rows(self, rows: Tensor, arrivals: Samples) -> None:
        """Add noise in place to rows (n, elements), computed for the noisy ones alone."""
        noisy = arrivals.noisy.nonzero().squeeze(1)
        noise = self._normals.of(arrivals.indices[noisy])
        rows.index_add_(0, noisy, noise.mul_(self.sigma))

    def _disturb_masked(self, rows: Tensor, arrivals: Samples) -> None:
        """Do the same computing noise for every row: finding the noisy ones would stall a GPU."""
        noise = self._normals.of(arrivals.indices).mul_(self.sigma)
        rows.add_(noise.mul_(arrivals.noisy.unsqueeze(1)))


class LabelNoise:
    """The clean stream with some samples labelled as another class.

    A wrong label is never the true one and each of the C - 1 others is equally likely.

    task, seed, velocity, subset: as in `CleanStream`.
    fraction: share of the training split with a wrong label, exactly round(fraction * N) samples
        (paper: 0.4); a subset's own share varies around it.

    Raises ConfigurationError naming `stream.fraction` or `stream.velocity`, or where the task
    has a single class.
    """

    def __init__(
        self,
        task: Task,
        seed: int,
        velocity: int,
        fraction: float = 0.4,
        subset: Tensor | None = None,
    ) -> None:
        check_fraction(fraction)
        classes, labels = len(task.classes), task.train.labels
        require(
            classes >= 2,
            "task",
            task.name,
            "tasks of at least 2 classes where labels are to be wrong",
        )
        self.velocity = velocity
        self._clean = CleanStream(task, seed, velocity, subset)
        noisy = noisy_samples(len(labels), fraction, seed)
        steps = torch.randint(1, classes, (len(labels),), generator=generator(seed, "wrong labels"))
        self._noisy = move(noisy, labels.device)
        self._labels = (labels + move(steps * noisy, labels.device)) % classes

    def round(self, t: int) -> Samples:
        """Return round t's `velocity` samples, labelled as the stream has it."""
        indices = self._clean.round(t).indices
        return Samples(
            indices, self._labels.index_select(0, indices), self._noisy.index_select(0, indices)
        )

    def inputs(self, arrivals: Samples) -> Tensor:
        """Return the normalised inputs (n, *input_shape), float32."""
        return self._clean.inputs(arrivals)


def noisy_samples(total: int, fraction: float, seed: int) -> Tensor:
    """Return (total,) bool with exactly round(fraction * total) True.

    A larger fraction adds noisy samples to those of a smaller one; both kinds of noise strike
    the same samples for the same seed.
    """
    noisy = torch.zeros(total, dtype=torch.bool)
    order = torch.randperm(total, generator=generator(seed, "noisy samples"))
    noisy[order[: round(fraction * total)]] = True
    return noisy


def _rows(inputs: Tensor) -> Tensor:
    """View inputs (n, *input_shape) as (n, elements) in the order in which memory holds them."""
    in_order = inputs.permute(0, 2, 3, 1) if inputs.ndim == 4 else inputs  # channels_last
    return in_order.view(len(inputs), math.prod(inputs.shape[1:]))


class SampleNormals:
    """Standard normal noise of a fixed length for each sample of a data set, without stored state.

    A `torch.Generator` would have to be seeded once a sample, on the host, with the sample's
    number; on a GPU that waits for the device in every round. Hashing a counter needs neither. Only
    integer arithmetic, table look-ups and one addition are used, so the same sample has
    bit-identical noise alone or among others, and on every device.

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
