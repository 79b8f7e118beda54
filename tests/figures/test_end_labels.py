"""Words at the ends of lines: apart, in order, moved as little as it takes, and dark enough."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb

from titan_repro.figures.end_labels import (
    EndLabel,
    apart,
    contrast_on_white,
    readable,
    write_at_ends,
)
from titan_repro.figures.style import LOOKS, PAPER_COLOUR, QUIET_COLOUR, pyplot

places = st.lists(st.floats(-5, 5), max_size=12)


@given(places)
def test_they_lie_apart_in_their_order(wanted):
    moved = apart(wanted, 0.5)
    order = np.argsort(wanted, kind="stable")
    assert (np.diff(moved[order]) >= 0.5 - 1e-9).all()


@given(places)
def test_those_that_lie_apart_stay(wanted):
    spread = apart(wanted, 0.5)
    assert apart(spread, 0.5) == pytest.approx(spread)


def test_two_that_coincide_move_by_half_a_gap_each():
    assert list(apart([1.0, 1.0, 9.0], 0.5)) == pytest.approx([0.75, 1.25, 9.0])


@pytest.mark.parametrize(
    "colour", [PAPER_COLOUR, QUIET_COLOUR, *(look.colour for look in LOOKS.values())]
)
def test_words_are_dark_enough(colour):
    assert contrast_on_white(np.array(readable(colour))) >= 4.5


def test_contrast_as_the_standard_has_it():
    assert contrast_on_white(np.zeros(3)) == pytest.approx(21)
    assert contrast_on_white(np.ones(3)) == pytest.approx(1)
    assert contrast_on_white(np.array(to_rgb("#767676"))) == pytest.approx(4.54, abs=0.01)


def test_words_stand_outside_unless_the_line_ends_early():
    figure, axes = pyplot().subplots()
    axes.plot([0, 10], [0, 1])
    axes.set_xlim(0, 10)
    write_at_ends(axes, [EndLabel(10, 1, "late", "#000000"), EndLabel(2, 0.5, "early", "#000000")])
    late, early = axes.texts
    assert late.xyann[0] == 1.03
    assert early.xyann == (5, 0)
    pyplot().close(figure)
