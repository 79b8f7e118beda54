from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from titan_repro.errors import ConfigurationError, DataError
from titan_repro.figures import samples
from titan_repro.figures.samples import plot_samples
from titan_repro.tasks.base import Split, Task

CLASSES = ("still", "walking", "never seen")


def make_task(*shape: int, dtype: torch.dtype = torch.uint8, name: str = "made") -> Task:
    """A task whose third class has no samples."""
    inputs = torch.randint(0, 200, (6, *shape), generator=torch.Generator().manual_seed(0))
    split = Split(inputs.to(dtype), torch.tensor([0, 0, 0, 1, 1, 1]))
    return Task(name, name, CLASSES, split, split, torch.zeros(1), torch.ones(1), "0")


@pytest.mark.parametrize(
    "task",
    [
        make_task(3, 32, 32),
        make_task(1, 8, 8),
        make_task(1, 40, 98, dtype=torch.float16),
        make_task(900, dtype=torch.float32),
        make_task(900, dtype=torch.float16, name="dsads"),
    ],
    ids=["colour", "grey", "spectrogram", "movement", "dsads"],
)
def test_draws_a_picture_that_is_not_blank(task: Task, tmp_path: Path) -> None:
    plot_samples(task, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width > 500
        assert np.asarray(picture.convert("L")).std() > 5


def test_draws_the_same_each_time(tmp_path: Path) -> None:
    task = make_task(3, 32, 32)
    for seed, name in enumerate(("a.png", "b.png")):
        torch.manual_seed(seed)
        plot_samples(task, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_images_stand_in_the_row_of_their_class() -> None:
    inputs = torch.zeros(4, 1, 8, 8, dtype=torch.uint8)
    inputs[2:] = 16
    split = Split(inputs, torch.tensor([0, 0, 1, 1]))
    task = Task("t", "t", ("dark", "bright"), split, split, torch.zeros(1), torch.ones(1), "0")
    figure = samples._images(samples.pyplot(), task)
    (axes,) = figure.axes
    sheet = axes.images[0].get_array().filled(np.nan)  # two rows of 8 with a gap of 1 between
    assert [label.get_text() for label in axes.get_yticklabels()] == ["dark", "bright"]
    assert np.nanmax(sheet[:8]) == 0
    assert np.nanmin(sheet[9:]) == 1
    assert np.isnan(sheet[8]).all()
    samples.pyplot().close(figure)


def test_curves_are_the_axes_of_each_quantity() -> None:
    steps = torch.arange(100.0)[:, None] + 1000 * torch.arange(9)  # (100, 9)
    split = Split(steps.reshape(1, 900), torch.tensor([0]))
    task = Task("dsads", "dsads", ("only",), split, split, torch.zeros(1), torch.ones(1), "0")
    figure = samples._movement(samples.pyplot(), task)
    panels = figure.axes
    assert [axes.get_title() for axes in panels] == [
        "acceleration, m/s²",
        "rotation rate, rad/s",
        "magnetic field, Earth's field = 1",
    ]
    assert panels[0].get_xlabel() == "time, s"
    for quantity, axes in enumerate(panels):
        for axis, line in enumerate(axes.lines):
            np.testing.assert_allclose(line.get_xdata(), np.arange(100) / 25)
            np.testing.assert_allclose(
                line.get_ydata(), np.arange(100) + 1000 * (3 * quantity + axis)
            )
    samples.pyplot().close(figure)


def test_shape_without_a_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"samples of shape \(7,\) have no picture"):
        plot_samples(make_task(7), tmp_path / "a.png")


def test_unknown_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"a\.gif; allowed endings: \.png, \.pdf, \.svg"):
        plot_samples(make_task(7), tmp_path / "a.gif")


def test_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        plot_samples(make_task(1, 8, 8), tmp_path / "file" / "a.png")
