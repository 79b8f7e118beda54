"""The figure is drawn from its data, in a file of the kind that was asked for."""

import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from handmade import run, runs_of
from titan_repro.errors import ConfigurationError
from titan_repro.figures.curves import plot_comparison
from titan_repro.figures.style import COLOURS

RUNS = runs_of(
    run("rs", 0, (0, 0.1, 0.0), (50, 0.4, 1.0), (100, 0.5, 2.0)),
    run("rs", 1, (0, 0.2, 0.0), (50, 0.6, 1.0), status="diverged"),
    run("titan", 0, (0, 0.1, 0.0), (50, 0.7, 1.0), (100, 0.9, 2.0), label="titan filter.budget=20"),
    run("titan", 0, (0, 0.1, 0.0), (50, 0.6, 1.0), (100, 0.8, 2.0), label="titan filter.budget=30"),
    run("mine", 0, (0, 0.1, 0.0), (200, 0.9, 3.0), setting="s2", rounds=200),
)


@pytest.fixture
def figure(monkeypatch, tmp_path):
    """The figure that was saved for RUNS."""
    saved = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure,
        "savefig",
        lambda self, *given, **more: (saved.append(self), save(self, *given, **more)),
    )
    plot_comparison(RUNS, tmp_path / "curves.png")
    return saved[0]


def test_a_panel_a_setting_with_axes_that_say_what_they_are(figure):
    first, second = figure.axes
    assert (
        first.get_title() == "digits, small_cnn, stream clean, 100 rounds; data: digits (bundled)"
    )
    assert second.get_title().startswith("digits, small_cnn, stream clean, 200 rounds")
    for axes in figure.axes:
        assert axes.get_xlabel() == "training rounds"
        assert axes.get_ylabel().endswith(", %")


def test_lines_are_means_as_far_as_all_seeds_go(figure):
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert list(lines) == [
        "rs (2 seeds)",
        "titan filter.budget=20 (1 seed)",
        "titan filter.budget=30 (1 seed)",
    ]
    rs = lines["rs (2 seeds)"]
    assert list(rs.get_xdata()) == [0, 50]  # at 100 only one seed is left
    assert list(rs.get_ydata()) == pytest.approx([15, 50])
    assert list(lines["titan filter.budget=20 (1 seed)"].get_ydata()) == pytest.approx([10, 70, 90])
    assert len(figure.axes[0].collections) == 1  # the range of rs; one seed has none


def test_a_selector_has_its_colour_and_its_variants_other_dashes(figure):
    rs, first, second = figure.axes[0].lines
    [unknown] = figure.axes[1].lines
    assert to_hex(rs.get_color()) == COLOURS["rs"]
    assert to_hex(first.get_color()) == to_hex(second.get_color()) == COLOURS["titan"]
    assert first.get_linestyle() != second.get_linestyle()
    assert to_hex(unknown.get_color()) not in COLOURS.values()


def test_colours_differ():
    assert len(set(COLOURS.values())) == len(COLOURS)


@pytest.mark.parametrize(
    ("name", "start"), [("c.png", b"\x89PNG"), ("c.pdf", b"%PDF"), ("c.svg", b"<?xml")]
)
def test_every_format_is_written_in_a_folder_that_need_not_exist(tmp_path, name, start):
    path = tmp_path / "figures" / name
    plot_comparison(RUNS, path)
    assert path.read_bytes().startswith(start)
    assert [item.name for item in path.parent.iterdir()] == [name]


def test_the_picture_is_not_blank(tmp_path):
    plot_comparison(RUNS, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        colours = {
            to_hex([c / 255 for c in colour])
            for _, colour in picture.convert("RGB").getcolors(2**24)
        }
    assert {COLOURS["rs"], COLOURS["titan"]} <= colours


@pytest.mark.parametrize("name", ["curves", "curves.gif", "curves.PNG"])
def test_another_format_is_refused(tmp_path, name):
    with pytest.raises(
        ConfigurationError, match=r"--figure: found .*; allowed endings: \.png, \.pdf, \.svg"
    ):
        plot_comparison(RUNS, tmp_path / name)


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"--figure: .*/file/c\.png: cannot be written"):
        plot_comparison(RUNS, tmp_path / "file" / "c.png")
