"""Imperfect streams (paper appendix B, figure 11): noisy inputs and wrong labels.

Noise belongs to the sample, not to its visit: whether a sample is noisy, and how, follows from
the seed and its position in the training split. The order of arrival is the clean stream's.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor

from titan_repro.seeds import generator
from titan_repro.streams.base import Samples
from titan_repro.streams.checks import check_fraction, is_finite, move, require
from titan_repro.streams.clean import CleanStream
from titan_repro.streams.normals import SampleNormals
from titan_repro.tasks.base import Task


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
