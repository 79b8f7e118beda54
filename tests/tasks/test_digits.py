from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_digits

from titan_repro.errors import ConfigurationError
from titan_repro.tasks.base import Task, counts
from titan_repro.tasks.digits import Digits


def load(**options: float) -> Task:
    loader = Digits(**options)
    return loader.load(loader.locate(Path("anywhere")), None)


def test_holds_every_bundled_image_once() -> None:
    task = load()
    assert task.input_shape == (1, 8, 8)
    assert task.source == "digits (bundled)"
    assert task.train.inputs.dtype == torch.uint8

    def rows(inputs: torch.Tensor, labels: torch.Tensor) -> list[list[int]]:
        return sorted(torch.cat([inputs.flatten(1).long(), labels[:, None]], 1).tolist())

    bundled = load_digits()
    assert rows(
        torch.cat([task.train.inputs, task.test.inputs]),
        torch.cat([task.train.labels, task.test.labels]),
    ) == rows(torch.from_numpy(bundled.images), torch.from_numpy(bundled.target))


def test_a_fifth_of_every_class_is_tested() -> None:
    table = counts(load())
    share = table["test"] / table.sum(axis=1)
    assert table.to_numpy().sum() == 1797
    assert share.between(0.195, 0.205).all()


def test_split_follows_from_its_own_seed_alone() -> None:
    torch.manual_seed(1)
    first = load()
    torch.manual_seed(2)
    assert load().fingerprint == first.fingerprint
    assert load(split_seed=1).fingerprint != first.fingerprint


def test_normalised_by_the_training_part() -> None:
    task = load()
    normalised = task.normalise(task.train.inputs)
    assert abs(normalised.mean().item()) < 1e-4
    assert abs(normalised.std().item() - 1) < 1e-4


@pytest.mark.parametrize("fraction", [0, 1, -0.1, float("nan")])
def test_fraction_out_of_range(fraction: float) -> None:
    with pytest.raises(ConfigurationError, match="test_fraction"):
        Digits(test_fraction=fraction)
