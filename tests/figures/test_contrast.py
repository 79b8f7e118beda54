import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from titan_repro.figures.contrast import contrast, readable
from titan_repro.figures.page.colours import DARK, LIGHT


@settings(max_examples=40)
@given(st.from_regex("#[0-9a-f]{6}", fullmatch=True), st.sampled_from([LIGHT, DARK]))
def test_a_readable_colour_has_the_contrast(colour, background):
    assert contrast(readable(colour, background), background) >= 4.5


def test_contrast_as_the_standard_has_it():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#ffffff", "#ffffff") == pytest.approx(1)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)
