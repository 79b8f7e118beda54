"""Settings of one seed: which are drawn, and what is said of the others."""

import pandas as pd
import pytest
from test_effects_figure import effect, family

from titan_repro.figures import effects
from titan_repro.figures.one_seed import name_below, part
from titan_repro.figures.style import pyplot


@pytest.mark.parametrize(
    ("seeds", "drawn", "alone"),
    [
        ({}, "", ""),
        ({"a": 1, "b": 0}, "ab", ""),  # none has more
        ({"a": 1, "b": 6, "c": 0, "d": 2}, "bd", "ac"),
        ({"a": 2}, "a", ""),
    ],
)
def test_one_seed_is_drawn_where_none_has_more(seeds, drawn, alone):
    assert part(list(seeds), seeds.__getitem__) == (list(drawn), list(alone))


def test_what_is_left_to_the_table_is_named_once_below():
    figure = pyplot().figure()
    name_below(figure, [])
    assert figure.get_supxlabel() == ""
    groups = [
        pd.DataFrame([{"model": model, "task": "x", "detail": ""}]) for model in ("a", "b", "a")
    ]
    name_below(figure, groups)
    assert figure.get_supxlabel() == "one seed, in the table alone: a on x and b on x"
    pyplot().close(figure)


def test_effects_of_one_seed_have_no_panel():
    several, alone = family(effect("delay=0", 1.0, 2.0)), family(effect("delay=0", 1.0))
    data = effects.Data([alone, several], 0)
    figure, axes = effects.panels(data)
    effects.draw(data, axes)
    assert [[tick.get_text() for tick in panel.get_yticklabels()] for panel in axes] == [
        ["delay=0 (2)"]
    ]
    assert figure.get_supxlabel() == "one seed, in the table alone: x on x"
    assert len(effects.tables(data)) == 2
