from collections.abc import Callable

import pytest
import torch

from titan_repro.errors import ConfigurationError
from titan_repro.streams.base import Samples
from titan_repro.streams.clean import CleanStream
from titan_repro.streams.noise import FeatureNoise, LabelNoise, noisy_samples
from titan_repro.tasks.base import Task

MakeTask = Callable[..., Task]
VELOCITY = 500  # of 500 samples: each round of the small task is an epoch


def by_sample(arrivals: Samples) -> Samples:
    return arrivals.take(arrivals.indices.argsort())


@pytest.mark.parametrize("fraction", [0.0, 0.001, 0.4, 1.0])
def test_exactly_the_fraction_is_noisy(fraction: float) -> None:
    assert noisy_samples(5000, fraction, seed=0).sum() == round(fraction * 5000)


def test_noisy_samples_are_a_fair_draw() -> None:
    """Each of 50 samples is noisy in 40 % of 4,000 seeds, within 4 standard errors (50 looks)."""
    shares = torch.stack([noisy_samples(50, 0.4, seed) for seed in range(4000)]).double().mean(0)
    assert (shares - 0.4).abs().max() < 4 * (0.4 * 0.6 / 4000) ** 0.5


@pytest.mark.parametrize("stream_type", [FeatureNoise, LabelNoise])
class TestBoth:
    def test_noise_leaves_the_order_as_it_was(
        self, task: Task, stream_type: type[FeatureNoise | LabelNoise]
    ) -> None:
        clean = CleanStream(task, 5, 70)
        for fraction in (0.1, 0.9):
            noisy = stream_type(task, 5, 70, fraction=fraction)
            assert torch.equal(noisy.round(11).indices, clean.round(11).indices)

    def test_a_round_alone_equals_the_round_after_all_before_it(
        self, task: Task, stream_type: type[FeatureNoise | LabelNoise]
    ) -> None:
        stream = stream_type(task, 3, 120)
        for t in range(8):
            last = stream.round(t)
        other = stream_type(task, 3, 120)
        alone = other.round(7)
        for name in ("indices", "labels", "noisy"):
            assert torch.equal(getattr(alone, name), getattr(last, name))
        assert torch.equal(other.inputs(alone), stream.inputs(last))

    def test_a_sample_is_the_same_at_every_visit(
        self, task: Task, stream_type: type[FeatureNoise | LabelNoise]
    ) -> None:
        stream = stream_type(task, 0, VELOCITY)
        first, second = stream.round(0), stream.round(6)
        assert not torch.equal(first.indices, second.indices)
        first, second = by_sample(first), by_sample(second)
        assert torch.equal(first.labels, second.labels)
        assert torch.equal(first.noisy, second.noisy)
        assert torch.equal(stream.inputs(first), stream.inputs(second))

    def test_seeds_give_different_noise(
        self, task: Task, stream_type: type[FeatureNoise | LabelNoise]
    ) -> None:
        first, second = (by_sample(stream_type(task, s, VELOCITY).round(0)) for s in (0, 1))
        assert not torch.equal(first.noisy, second.noisy)

    def test_a_subset_has_the_noise_of_the_whole(
        self, task: Task, stream_type: type[FeatureNoise | LabelNoise]
    ) -> None:
        subset = torch.arange(100, 200)
        part = stream_type(task, 0, 100, subset=subset)
        whole = stream_type(task, 0, VELOCITY)
        there, here = by_sample(whole.round(0)).take(subset), by_sample(part.round(0))
        assert torch.equal(here.noisy, there.noisy)
        assert torch.equal(here.labels, there.labels)
        assert torch.equal(part.inputs(here), whole.inputs(there))

    @pytest.mark.parametrize("fraction", [-0.1, 1.01, float("nan"), "most"])
    def test_impossible_fractions_name_the_key(
        self, task: Task, stream_type: type[FeatureNoise | LabelNoise], fraction: float
    ) -> None:
        with pytest.raises(ConfigurationError, match=r"stream\.fraction: .* from 0 to 1"):
            stream_type(task, 0, 100, fraction=fraction)


def test_feature_noise_has_the_set_energy_and_leaves_others_alone(task: Task) -> None:
    stream = FeatureNoise(task, 0, VELOCITY, fraction=0.4, sigma=0.7)
    arrivals = stream.round(0)
    added = stream.inputs(arrivals) - CleanStream(task, 0, VELOCITY).inputs(arrivals)
    assert torch.equal(arrivals.labels, task.train.labels[arrivals.indices])
    assert added[~arrivals.noisy].abs().max() == 0
    noise = added[arrivals.noisy].double() / 0.7  # 200 samples x 48
    assert abs(noise.square().mean() - 1) < 3 * (2 / noise.numel()) ** 0.5
    assert abs(noise.mean()) < 3 * noise.numel() ** -0.5
    assert (noise.flatten(1).norm(dim=1) > 0).all()


def test_feature_noise_is_the_same_for_some_of_a_round(task: Task) -> None:
    stream = FeatureNoise(task, 0, 100)
    arrivals = stream.round(2)
    chosen = torch.tensor([50, 3, 3, 99])
    assert torch.equal(stream.inputs(arrivals.take(chosen)), stream.inputs(arrivals)[chosen])


def test_feature_noise_does_not_change_the_task_or_the_memory_format(make_task: MakeTask) -> None:
    for shape in ((3, 4, 4), (1, 7, 3), (15,), (5, 3)):
        task = make_task(samples=50, shape=shape)
        before = task.train.inputs.clone()
        stream = FeatureNoise(task, 0, 50, fraction=1.0)
        inputs = stream.inputs(stream.round(0))
        assert torch.equal(task.train.inputs, before)
        assert inputs.shape == (50, *shape)
        if inputs.ndim == 4:
            assert inputs.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("fraction", [0.0, 0.4, 1.0])
def test_the_masked_form_for_a_gpu_has_the_same_bits(task: Task, fraction: float) -> None:
    stream = FeatureNoise(task, 0, 100, fraction=fraction)
    arrivals = stream.round(0)
    rows = CleanStream(task, 0, 100).inputs(arrivals).flatten(1)
    masked = rows.clone()
    stream._disturb_noisy_rows(rows, arrivals)
    stream._disturb_masked(masked, arrivals)
    assert torch.equal(masked, rows)


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("inf"), float("nan"), None])
def test_impossible_sigmas_name_the_key(task: Task, sigma: float) -> None:
    with pytest.raises(ConfigurationError, match=r"stream\.sigma: found"):
        FeatureNoise(task, 0, 100, sigma=sigma)


def test_wrong_labels_are_wrong_and_uniform_over_the_other_classes(make_task: MakeTask) -> None:
    task = make_task(samples=10_000, classes=5, shape=(1, 1, 1))
    arrivals = LabelNoise(task, 0, 10_000, fraction=0.4).round(0)
    steps = (arrivals.labels - task.train.labels[arrivals.indices]) % 5
    assert torch.equal(steps != 0, arrivals.noisy)
    assert arrivals.noisy.sum() == 4000
    counts = torch.bincount(steps[arrivals.noisy], minlength=5)[1:]
    assert (counts - 1000).abs().max() < 3 * (4000 * 0.25 * 0.75) ** 0.5


def test_wrong_labels_leave_the_inputs_alone(task: Task) -> None:
    stream, clean = LabelNoise(task, 0, 100), CleanStream(task, 0, 100)
    assert torch.equal(stream.inputs(stream.round(1)), clean.inputs(clean.round(1)))


def test_a_single_class_cannot_have_wrong_labels(make_task: MakeTask) -> None:
    with pytest.raises(ConfigurationError, match="at least 2 classes"):
        LabelNoise(make_task(classes=1), 0, 100)
