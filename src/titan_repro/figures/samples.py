"""`plot_samples` draws a task's training samples: images, spectrograms or curves of movement."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from titan_repro.errors import DataError
from titan_repro.figures.pictures import check_format
from titan_repro.figures.style import pyplot
from titan_repro.files import write_atomically
from titan_repro.seeds import generator
from titan_repro.tasks.base import Task
from titan_repro.tasks.readers.windows import AXES, STEPS

IMAGES_A_CLASS = 10
QUANTITIES = ("acceleration", "rotation rate", "magnetic field")


@dataclass(frozen=True)
class Sensors:
    """How a movement task was recorded: steps a second, and the unit of each of QUANTITIES."""

    rate_hz: float
    units: tuple[str, str, str]


SENSORS = {
    "harbox": Sensors(50, ("m/s²", "rad/s", "µT")),
    "dsads": Sensors(25, ("m/s²", "rad/s", "Earth's field = 1")),
}
"""By task name; another movement task is drawn in steps and stored units."""


def plot_samples(task: Task, path: Path) -> None:
    """Draw training samples of every class, the same ones each time, into the file `path`.

    Square images are drawn in a row a class; spectrograms (1, bands, frames) of one second as one
    heat map a class; movement windows (900,) as curves, one window a class. Raises DataError for
    samples of another shape, or if the file cannot be written.
    """
    check_format(path, "--output")
    plt = pyplot()
    match task.input_shape:
        case (1 | 3, height, width) if height == width:
            figure = _images(plt, task)
        case (1, _, _):
            figure = _spectrograms(plt, task)
        case (length,) if length == STEPS * len(AXES):
            figure = _movement(plt, task)
        case shape:
            raise DataError(f"{task.source}: samples of shape {shape} have no picture")
    try:
        with write_atomically(path) as file:
            figure.savefig(file, format=path.suffix.removeprefix("."), bbox_inches="tight")
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        plt.close(figure)


def _title(task: Task) -> str:
    return f"{task.source}: training samples"


def _draw(task: Task, count: int) -> list[Tensor]:
    """Draw up to `count` training samples of each class: a tensor (n, *input_shape) a class."""
    source = generator(0, "pictures")
    drawn = []
    for label in range(len(task.classes)):
        members = (task.train.labels == label).nonzero().squeeze(1)
        order = torch.randperm(len(members), generator=source)[:count]
        drawn.append(task.train.inputs[members[order]])
    return drawn


def _images(plt: Any, task: Task) -> Any:
    """Draw a row of images a class, as one picture with labels at its rows."""
    channels, height, width = task.input_shape
    gap = max(1, height // 16)
    rows = len(task.classes)
    sheet = np.full(
        (rows * (height + gap) - gap, IMAGES_A_CLASS * (width + gap) - gap, channels), np.nan
    )
    highest = float(task.train.inputs.max())
    for row, images in enumerate(_draw(task, IMAGES_A_CLASS)):
        for column, image in enumerate(images):
            top, left = row * (height + gap), column * (width + gap)
            pixels = image.permute(1, 2, 0).double().numpy() / highest
            sheet[top : top + height, left : left + width] = pixels
    figure, axes = plt.subplots(figsize=(6.4, 0.6 * rows + 0.3), layout="compressed")
    axes.set_title(_title(task))
    if channels == 1:
        axes.imshow(sheet[:, :, 0], cmap="gray", interpolation="nearest")
    else:
        axes.imshow(np.nan_to_num(sheet, nan=1.0), interpolation="nearest")
    axes.set_yticks([row * (height + gap) + height / 2 for row in range(rows)], task.classes)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return figure


def _spectrograms(plt: Any, task: Task) -> Any:
    """Draw one heat map a class, all with the same colours."""
    columns = 5
    rows = -(-len(task.classes) // columns)
    figure, panels = plt.subplots(
        rows, columns, figsize=(9, 1.6 * rows + 0.6), sharex=True, sharey=True, squeeze=False
    )
    drawn = _draw(task, 1)
    present = torch.cat(drawn).float()
    lowest, highest = float(present.min()), float(present.max())
    bands = task.input_shape[1]
    for axes, word, spectrogram in zip(panels.flat, task.classes, drawn, strict=False):
        axes.set_title(word)
        for picture in spectrogram:
            heat = axes.imshow(
                picture[0].float().numpy(),
                origin="lower",
                aspect="auto",
                extent=(0, 1, 0, bands),
                vmin=lowest,
                vmax=highest,
                cmap="magma",
            )
    for axes in panels.flat:
        axes.grid(False)
    for axes in panels.flat[len(task.classes) :]:
        axes.set_visible(False)
    figure.suptitle(_title(task))
    figure.supxlabel("time, s")
    figure.supylabel("mel band, lowest first")
    stored = task.train.inputs.dtype == torch.uint8
    unit = "stored as 0 to 255" if stored else "natural logarithm"
    figure.colorbar(heat, ax=panels, label=f"log mel power, {unit}", shrink=0.8)
    return figure


def _movement(plt: Any, task: Task) -> Any:
    """Draw one window a class: a panel a quantity with curves of x, y and z."""
    sensors = SENSORS.get(task.name)
    rows = len(task.classes)
    figure, panels = plt.subplots(
        rows, 3, figsize=(9, 0.9 * rows + 0.8), sharex=True, sharey="col", squeeze=False
    )
    time = np.arange(STEPS) / (sensors.rate_hz if sensors else 1)
    for activity, window, row in zip(task.classes, _draw(task, 1), panels, strict=True):
        for curves in window.reshape(-1, STEPS, len(QUANTITIES), 3).double().numpy():
            for quantity, axes in enumerate(row):
                lines = axes.plot(time, curves[:, quantity], linewidth=1)
        row[0].set_ylabel(activity, rotation=0, ha="right", va="center")
    units = sensors.units if sensors else ("stored unit",) * 3
    for axes, name, unit in zip(panels[0], QUANTITIES, units, strict=True):
        axes.set_title(f"{name}, {unit}")
    for axes in panels[-1]:
        axes.set_xlabel("time, s" if sensors else "step")
    figure.suptitle(_title(task))
    figure.legend(lines, ["x", "y", "z"], loc="outside lower right", ncols=3)
    return figure
