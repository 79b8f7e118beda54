"""Figures 6 and 8 as modelled on the paper's board, with the paper's own numbers as marks.

Bars and dots are the model's, black lines and rings the paper's. Nothing in them is measured.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from titan_repro.boards.cost_model import Board
from titan_repro.boards.paper import IMAGE_MODELS, published_numbers
from titan_repro.boards.paper_model import Setup, modelled_numbers
from titan_repro.errors import ConfigurationError
from titan_repro.figures.pictures import key_across, save_picture
from titan_repro.figures.style import colour, pyplot

NAMES = {
    "alexnet": "AlexNet",
    "mobilenet": "MobileNet",
    "squeezenet": "SqueezeNet",
    "resnet50": "ResNet50",
}
QUIET, STRONG, PALE, INK = colour("rs"), colour("titan"), "#e6b8ae", "#000000"
Bars = Sequence[tuple[str, str, str]]
"""Part of the id, label and colour of each bar of a group."""

ROUNDS: Bars = (
    ("fig6a.alone", "training alone", QUIET),
    ("fig6a.sequence", "in sequence", PALE),
    ("fig6a.pipelined", "pipelined", STRONG),
)
POWER: Bars = (("fig6d.rs", "RS", QUIET), ("fig6d.titan", "Titan", STRONG))
MEMORY: Bars = (("fig6c.update", "training", QUIET), ("fig6c.titan", "with Titan", STRONG))

DELAYS = (
    ("fig8.titan1", "filter,\n1 block"),
    ("fig8.titan3", "3 blocks"),
    ("fig8.titan5", "5 blocks"),
    ("fig8.cis", "C-IS"),
)


def board_figures(board: Board, setups: Mapping[str, Setup], folder: Path) -> list[Path]:
    """Draw both into a folder, which is made; return the files.

    Raises ConfigurationError if the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--figures: {folder}: {error.strerror}") from None
    numbers = modelled_numbers(board, setups)
    paper = {figure.id: figure.value for figure in published_numbers()}
    paths = [folder / "fig6_modelled.png", folder / "fig8_modelled.png"]
    _figure6(numbers, paper, paths[0])
    _figure8(numbers, paper, paths[1])
    return paths


def _figure6(model: Mapping[str, float], paper: Mapping[str, float], path: Path) -> None:
    figure, panels = pyplot().subplots(1, 3, figsize=(13, 3.8), width_ratios=(1.35, 1, 1))
    figure.suptitle(
        "Figure 6 on the modelled Jetson Nano: bars, the model; black lines, the paper", fontsize=10
    )
    titles = ("(a) seconds a round", "(c) memory, MB", "(d) power, W")
    for axes, title, bars in zip(panels, titles, (ROUNDS, MEMORY, POWER), strict=True):
        draw_groups(axes, bars, model, paper)
        axes.set_title(title, loc="left", fontsize=10)
    save_picture(figure, path)


def draw_groups(
    axes: Any, bars: Bars, model: Mapping[str, float], paper: Mapping[str, float]
) -> None:
    """Draw a group of bars for each of the paper's models, and the paper's numbers across them.

    Labels stand once, in the bars' colours and order, above all groups.
    """
    from matplotlib.patches import Patch

    width = 0.84 / len(bars)
    centres = np.arange(len(IMAGE_MODELS))
    highest = 0.0
    for place, (part, _, hue) in enumerate(bars):
        x = centres + (place - (len(bars) - 1) / 2) * width
        heights = [model[f"{part}.{name}"] for name in IMAGE_MODELS]
        marks = [paper[f"{part}.{name}"] for name in IMAGE_MODELS]
        axes.bar(x, heights, 0.94 * width, color=hue)
        axes.hlines(marks, x - width / 2, x + width / 2, color=INK, linewidth=2)
        highest = max(highest, *heights, *marks)
    axes.set_ylim(0, 1.16 * highest)
    key_across(axes, len(bars), handles=[Patch(color=hue, label=label) for _, label, hue in bars])
    axes.set_xticks(centres, [NAMES[name] for name in IMAGE_MODELS])
    axes.grid(visible=False, axis="x")


def _figure8(model: Mapping[str, float], paper: Mapping[str, float], path: Path) -> None:
    figure, panels = pyplot().subplots(1, 4, figsize=(13, 3.6), sharey=True)
    figure.suptitle(
        "Figure 8 on the modelled Jetson Nano, ms a sample: bars and the numbers at their feet, "
        "the model; black lines and the numbers on them, the paper",
        fontsize=10,
    )
    for axes, name in zip(panels, IMAGE_MODELS, strict=True):
        draw_delays(axes, name, model, paper)
    panels[0].set_ylabel("ms a sample (logarithmic)")
    save_picture(figure, path)


def draw_delays(
    axes: Any, name: str, model: Mapping[str, float], paper: Mapping[str, float]
) -> None:
    """Draw what the filter and C-IS take of one sample with one model, each with its number."""
    from matplotlib.patheffects import withStroke

    places = np.arange(len(DELAYS))
    heights = np.array([model[f"{part}.{name}"] for part, _ in DELAYS])
    marks = np.array([paper[f"{part}.{name}"] for part, _ in DELAYS])
    hues = [STRONG] + [PALE] * (len(DELAYS) - 2) + [colour("cis")]
    axes.bar(places, heights, 0.8, color=hues, bottom=0)
    axes.hlines(marks, places - 0.4, places + 0.4, color=INK, linewidth=2)
    for x, height, mark, hue in zip(places, heights, marks, hues, strict=True):
        inside = {"color": INK if hue == PALE else "white", "fontweight": "bold"}
        above = {"color": INK, "path_effects": [withStroke(linewidth=2.5, foreground="white")]}
        for y, text, up, look in ((1.0, height, 4, inside), (mark, mark, 3, above)):
            axes.annotate(
                f"{text:.0f}",
                (x, y),
                (0, up),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                **look,
            )
    axes.set_yscale("log")
    axes.set_ylim(1, 1200)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xticks(places, [label for _, label in DELAYS], fontsize=8)
    axes.grid(visible=False, axis="x")
    axes.set_title(NAMES[name], loc="left", fontsize=10)
