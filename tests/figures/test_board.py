"""Figures 6 and 8 as modelled: the model's bars, the paper's marks, one label each colour."""

import pytest
import yaml

from titan_repro.boards.board import read_board
from titan_repro.boards.paper import IMAGE_MODELS
from titan_repro.conf_path import conf_dir
from titan_repro.errors import ConfigurationError
from titan_repro.figures.board import DELAYS, ROUNDS, board_figures, draw_delays, draw_groups
from titan_repro.figures.style import pyplot

MODEL = {f"{part}.{m}": 10.0 * i + j for i, (part, *_) in enumerate((*ROUNDS, *DELAYS), 1)
         for j, m in enumerate(IMAGE_MODELS)}  # fmt: skip
PAPER = {key: 2 * value for key, value in MODEL.items()}


@pytest.fixture
def axes():
    figure, axes = pyplot().subplots()
    yield axes
    pyplot().close(figure)


def test_bars_are_the_model_and_lines_the_paper(axes):
    draw_groups(axes, ROUNDS, MODEL, PAPER)
    heights = [bar.get_height() for bar in axes.patches]
    assert heights == [MODEL[f"{part}.{m}"] for part, _, _ in ROUNDS for m in IMAGE_MODELS]
    marks = [path.vertices[0][1] for lines in axes.collections for path in lines.get_paths()]
    assert marks == [2 * height for height in heights]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == [label for _, label, _ in ROUNDS]
    assert axes.get_ylim()[1] > 1.1 * max(marks)  # the labels stand above all of it


def test_delays_bear_both_numbers(axes):
    draw_delays(axes, "mobilenet", MODEL, PAPER)
    texts = [text.get_text() for text in axes.texts]
    expected = [MODEL[f"{part}.mobilenet"] for part, _ in DELAYS]
    assert texts == [f"{n:.0f}" for value in expected for n in (value, 2 * value)]


def test_the_same_figures_come_out_twice(tmp_path, setups):
    profile = yaml.safe_load((conf_dir() / "device" / "jetson_nano.yaml").read_text())
    board = read_board(profile["modelled"])
    first, again = (board_figures(board, setups, tmp_path / name) for name in ("a", "b"))
    assert [path.name for path in first] == ["fig6_modelled.png", "fig8_modelled.png"]
    for one, other in zip(first, again, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"^--figures: .*file: File exists$"):
        board_figures(None, {}, tmp_path / "file")
