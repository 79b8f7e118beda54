"""Words at the ends of lines: apart, in order, moved as little as it takes, and dark enough."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from titan_repro.figures.end_labels import (
    EndLabel,
    apart,
    write_at_ends,
)
from titan_repro.figures.style import pyplot

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


@given(st.lists(st.floats(0, 300), min_size=1, max_size=20))
def test_they_stay_inside_while_there_is_room(wanted):
    placed = np.sort(apart(wanted, 10, 0, 300))
    assert (np.diff(placed) >= 10 - 1e-9).all()
    assert placed[0] >= -1e-9
    assert placed[-1] <= 300 + 1e-9


def test_two_that_coincide_move_by_half_a_gap_each():
    assert list(apart([1.0, 1.0, 9.0], 0.5)) == pytest.approx([0.75, 1.25, 9.0])


def test_words_stand_outside_unless_the_line_ends_early():
    figure, axes = pyplot().subplots()
    axes.plot([0, 10], [0, 1])
    axes.set_xlim(0, 10)
    write_at_ends(axes, [EndLabel(10, 1, "late", "#000000"), EndLabel(2, 0.5, "early", "#000000")])
    late, early = axes.texts
    assert late.xyann[0] == 1.03
    assert early.xyann == (5, 0)
    pyplot().close(figure)
