"""The figure is drawn from its data, in a file of the kind that was asked for."""

import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from handmade import run, runs_of
from titan_repro.analysis.clocks import OwnClock
from titan_repro.errors import ConfigurationError
from titan_repro.figures import fig7
from titan_repro.figures.curves import FEW_POINTS
from titan_repro.figures.figure import draw_to
from titan_repro.figures.style import LOOKS, PAPER_COLOUR, QUIET_COLOUR, looks
from titan_repro.paper.published import curve

RUNS = runs_of(
    run("rs", 0, (0, 0.1, 0.0), (50, 0.4, 1.0), (100, 0.5, 2.0)),
    run("rs", 1, (0, 0.2, 0.0), (50, 0.6, 1.0), status="diverged"),
    run("titan", 0, (0, 0.1, 0.0), (50, 0.7, 1.0), (100, 0.9, 2.0), label="titan filter.budget=20"),
    run("titan", 0, (0, 0.1, 0.0), (50, 0.6, 1.0), (100, 0.8, 2.0), label="titan filter.budget=30"),
    run("mine", 0, (0, 0.1, 0.0), (200, 0.9, 3.0), setting="s2", rounds=200),
)


def plot(runs, path):
    draw_to(fig7, fig7.Data(runs, lambda group: OwnClock()), path)


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
    plot(RUNS, tmp_path / "curves.png")
    return saved[0]


def test_a_panel_a_setting_with_axes_that_say_what_they_are(figure):
    first, second = figure.axes
    assert (
        first.get_title() == "digits, small_cnn, stream clean, 100 rounds; data: digits\n(bundled)"
    )
    assert second.get_title().startswith("digits, small_cnn, stream clean, 200 rounds")
    for axes in figure.axes:
        assert axes.get_xlabel() == "training rounds"
        assert axes.get_ylabel().endswith(", %")


def words(axes):
    """The words at the ends of lines."""
    return [text.get_text() for text in axes.texts]


def test_lines_are_means_as_far_as_all_seeds_go(figure):
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert list(lines) == ["rs", "titan filter.budget=20", "titan filter.budget=30"]
    assert list(lines["rs"].get_xdata()) == [0, 50]  # at 100 only one seed is left
    assert list(lines["rs"].get_ydata()) == pytest.approx([15, 50])
    assert list(lines["titan filter.budget=20"].get_ydata()) == pytest.approx([10, 70, 90])
    assert len(figure.axes[0].collections) == 1  # the range of rs; one seed has none


def test_each_line_has_its_name_value_and_seeds_at_its_end_and_there_is_no_legend(figure):
    assert sorted(words(figure.axes[0])) == [
        "rs 50.0 (2)",
        "titan filter.budget=20 90.0 (1)",
        "titan filter.budget=30 80.0 (1)",
    ]
    assert all(axes.get_legend() is None for axes in figure.axes)


def test_a_selector_has_its_colour_and_its_variants_other_dashes(figure):
    rs, first, second = figure.axes[0].lines
    [unknown] = figure.axes[1].lines
    assert to_hex(rs.get_color()) == LOOKS["rs"].colour
    assert to_hex(first.get_color()) == to_hex(second.get_color()) == LOOKS["titan"].colour
    assert first.get_linestyle() != second.get_linestyle()
    assert to_hex(unknown.get_color()) not in {look.colour for look in LOOKS.values()}


def test_at_most_four_lines_stand_out_and_the_rest_is_grey(monkeypatch, tmp_path):
    saved = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *given, **more: saved.append(self))
    names = ["rs", "stratified", "is", "ll", "cis", "titan", "mine", "camel"]
    plot(runs_of(*(run(n, 0, (0, 0.1, 0.0), (100, 0.5, 1.0)) for n in names)), tmp_path / "a.png")
    hue = {line.get_label(): to_hex(line.get_color()) for line in saved[0].axes[0].lines}
    quiet = {name for name, colour in hue.items() if colour == QUIET_COLOUR}
    assert quiet == {"is", "ll", "camel", "stratified"}  # one's own comes before controls
    assert len(words(saved[0].axes[0])) == len(names)


def test_no_two_selectors_look_alike():
    assert len({look.colour for look in LOOKS.values()}) == len(LOOKS)
    own = looks([f"mine{number}" for number in range(20)])
    assert len(set(own.values())) == 20
    assert not {look.colour for look in own.values()} & {look.colour for look in LOOKS.values()}


def test_an_own_selector_looks_the_same_in_every_figure():
    assert looks(["mine", "rs"])["mine"] == looks(["mine", "titan", "theirs"])["mine"]
    assert looks(["a"])["a"] == looks(["mine"])["mine"]  # the same place, so the second gives way
    together = looks(["mine", "a"])
    assert together["a"] == looks(["a"])["a"] != together["mine"]
    assert looks(["mine", "rs"])["rs"] == LOOKS["rs"]


def test_few_points_are_marked(figure, monkeypatch, tmp_path):
    assert {line.get_marker() for line in figure.axes[0].lines} == {"o"}
    saved = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *given, **more: saved.append(self))
    many = [(n, 0.1, float(n)) for n in range(FEW_POINTS + 1)]
    plot(runs_of(run("rs", 0, *many)), tmp_path / "unused.png")
    assert saved[0].axes[0].lines[0].get_marker() == "None"


def test_panels_stand_in_a_grid(monkeypatch, tmp_path):
    saved = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *given, **more: saved.append(self))
    parts = [run("rs", 0, (0, 0.1, 0.0), setting=f"s{n}") for n in range(3)]
    plot(runs_of(*parts), tmp_path / "unused.png")
    assert len(saved[0].axes) == 3
    assert [tuple(axes.get_subplotspec().rowspan) for axes in saved[0].axes] == [(0,), (0,), (1,)]


def test_the_papers_curve_is_thin_and_grey_and_as_long_as_ours(monkeypatch, tmp_path):
    saved = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *given, **more: saved.append(self))
    facts = {"task": "cifar10", "model": "alexnet", "rounds": 1000}
    ours = [run(name, 0, (0, 0.1, 0.0), (1000, 0.3, 1.0), **facts) for name in ("rs", "titan")]
    plot(runs_of(*ours), tmp_path / "unused.png")
    *_, paper = saved[0].axes[0].lines
    assert len(saved[0].axes[0].lines) == 3  # figure 7 has no Titan
    assert paper.get_label() == "rs, paper's figure 7"
    assert to_hex(paper.get_color()) == PAPER_COLOUR
    assert paper.get_linewidth() < 1
    expected = curve("alexnet", "rs")
    assert list(paper.get_ydata()) == list(expected["accuracy"][expected["round"] <= 1000])


def test_without_runs_the_papers_curves_stand_alone_and_it_is_said():
    data = fig7.Data(None, lambda group: OwnClock(), None, ("alexnet",), ("Not run yet, x.",))
    _, [axes] = fig7.panels(data)
    fig7.draw(data, [axes])
    assert "no runs: titan-run experiment=fig7 model=alexnet" in words(axes)
    assert "cis 76.5 (paper)" in words(axes)
    [table] = fig7.tables(data)
    assert table.title == "Figure 7: no runs yet"
    assert table.notes == ("Not run yet, x.",)


def test_runs_that_go_on_further_get_a_panel_of_their_own():
    facts = {"task": "cifar10", "model": "alexnet"}
    short = [run("rs", n, (0, 0.1, 0.0), (1000, 0.3, 1.0), rounds=1000, **facts) for n in (0, 1)]
    long = [run("rs", 0, (0, 0.1, 0.0), (20_000, 0.7, 1.0), rounds=20_000, **facts)]
    data = fig7.Data(
        runs_of(*short), lambda group: OwnClock(), runs_of(*long), ("alexnet", "mobilenet")
    )
    _, axes = fig7.panels(data)
    fig7.draw(data, axes)
    assert [panel.get_xlim()[1] for panel in axes] == [1000, 20_000, 20_000]
    assert words(axes[1])[0] == "rs 70.0 (1)"


@pytest.mark.parametrize(
    ("name", "start"), [("c.png", b"\x89PNG"), ("c.pdf", b"%PDF"), ("c.svg", b"<?xml")]
)
def test_every_format_is_written_in_a_folder_that_need_not_exist(tmp_path, name, start):
    path = tmp_path / "figures" / name
    plot(RUNS, path)
    assert path.read_bytes().startswith(start)
    assert [item.name for item in path.parent.iterdir()] == [name]


def test_the_picture_is_not_blank(tmp_path):
    plot(RUNS, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        colours = {
            to_hex([c / 255 for c in colour])
            for _, colour in picture.convert("RGB").getcolors(2**24)
        }
    assert {LOOKS["rs"].colour, LOOKS["titan"].colour} <= colours


@pytest.mark.parametrize("name", ["curves", "curves.gif", "curves.PNG"])
def test_another_format_is_refused(tmp_path, name):
    with pytest.raises(
        ConfigurationError, match=r"--figure: found .*; allowed endings: \.png, \.pdf, \.svg"
    ):
        plot(RUNS, tmp_path / name)


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"--figure: .*/file/c\.png: cannot be written"):
        plot(RUNS, tmp_path / "file" / "c.png")
