"""The tables and the forest of effects."""

import numpy as np
import pandas as pd
import pytest

from titan_repro.analysis.key_effects import FamilyEffects, KeyEffect
from titan_repro.analysis.paired import Gain
from titan_repro.analysis.statistics import mean_interval
from titan_repro.errors import RunFolderError
from titan_repro.figures import effects
from titan_repro.figures.figure import draw_to, find, names


def effect(label, *deltas, diverged=0):
    keys = " x ".join(change.split("=")[0] for change in label.split())
    return KeyEffect(
        keys, Gain(label, "titan", np.array(deltas), mean_interval(deltas), np.nan), diverged
    )


def family(*found, later=False):
    one = dict.fromkeys(("task", "model", "stream", "data_source"), "x")
    group = pd.DataFrame([{**one, "detail": "", "rounds": 100, "run_id": "0"}])
    return FamilyEffects(group, found, later)


FAMILY = family(
    effect("selector=ll", -50.0, -51.0),
    effect("gradient=full", 1.0, 1.1, 0.9),
    effect("gradient=logits", -0.2),
    effect("delay=0", diverged=2),
)
DATA = effects.Data([FAMILY, family(effect("delay=0", 1.0), later=True)], 3)


def test_cells():
    first, later = effects.tables(DATA)
    assert first.rows == [
        ["selector=ll", "2", "-50.50 [-56.85, -44.15]", ""],
        ["gradient=full", "3", "+1.00 [+0.75, +1.25]", ""],
        ["gradient=logits", "1", "-0.20", ""],
        ["delay=0", "0", "no pair", "2"],
    ]
    assert first.notes[-1].startswith("3 runs are left out")
    assert (effects.LATER in first.notes, effects.LATER in later.notes) == (False, True)


def test_the_largest_effect_is_on_top_and_its_colour_says_what_it_is(tmp_path):
    assert "effects" in names()
    draw_to(find("effects"), DATA, tmp_path / "effects.png")
    assert (tmp_path / "effects.png").stat().st_size > 10_000
    _, [axes] = effects.panels(DATA)  # what lies later has no panel
    effects.draw(DATA, [axes])
    drawn = [tick.get_text() for tick in axes.get_yticklabels()]
    assert drawn == ["gradient=logits (1)", "gradient=full (3)", "selector=ll (2)"]
    means = {int(line.get_ydata()[0]): line for line in axes.lines if line.get_marker() == "D"}
    colours = [means[place].get_color() for place in range(3)]
    assert colours == [effects.UNKNOWN, effects.BETTER, effects.WORSE]
    assert [text.get_text() for text in axes.texts] == ["◂ -50"]


def test_no_pair_at_all_is_one_line(tmp_path):
    with pytest.raises(RunFolderError, match="no runs with a default Titan of the same seed; tit"):
        effects.load(tmp_path, lambda device: None)


def test_a_long_panel_has_a_column_of_its_own():
    lines = [effect(f"filter.budget={number}", 0.1, 0.2) for number in range(30)]
    data = effects.Data([family(*lines[:3]), family(*lines), family(*lines[:4])], 0)
    figure, axes = effects.panels(data)
    effects.draw(data, axes)
    figure.canvas.draw()
    short, long, other = (panel.get_position() for panel in axes)
    assert short.x0 == pytest.approx(other.x0)
    assert other.y0 > short.y1  # below it
    assert abs(long.x0 - short.x0) > 0.4
    assert long.height > 4 * short.height
