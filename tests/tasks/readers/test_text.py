"""Numbers from text: exact values, and errors that name file and line."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from titan_repro.errors import DataError
from titan_repro.tasks.readers import text as text_reader
from titan_repro.tasks.readers.text import parse_numbers


def parse(text: bytes, columns: int = 2, delimiter: str = " ", dtype=np.float32):
    return parse_numbers(text, columns, delimiter, dtype, "walk.txt")


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-1e30, 1e30)] * 2), min_size=1, max_size=20))
def test_parsed_numbers_are_the_written_ones(rows):
    text = "\n".join(" ".join(f"{value:.18e}" for value in row) for row in rows).encode()
    assert np.array_equal(parse(text, dtype=np.float64), np.array(rows))


def test_whole_text_is_never_parsed_line_by_line(monkeypatch):
    monkeypatch.delattr(text_reader, "_parse_lines")
    assert parse(b"1 2\n3 4\n").tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "text",
    [
        b"1 2\n3 4",
        b"1 2\n3 4\n",
        b"1 2\r\n3 4\r\n",
        b"\n1 2\n\n3 4\n\n",
        b" 1   2 \n3\t4\n",
        b"1.0e0 +2\n3. 4\n",
    ],
)
def test_spacing_and_line_ends_do_not_matter(text):
    numbers = parse(text)
    assert numbers.dtype == np.float32
    assert numbers.tolist() == [[1, 2], [3, 4]]


def test_a_text_without_numbers_has_no_lines():
    assert parse(b"").shape == (0, 2)
    assert parse(b" \n\n").shape == (0, 2)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"3 abc", "found 'abc', a finite number is needed"),
        (b"3 nan", "found 'nan', a finite number is needed"),
        (b"inf 3", "found 'inf', a finite number is needed"),
        (b"3 1e39", "found '1e39', a finite number is needed"),
        (b"3 1_0", "found '1_0', a finite number is needed"),
        (b"3 \xff\x00", r"found '\\xff\x00', a finite number is needed"),
        (b"3", "1 numbers found, 2 needed"),
        (b"3 4 5", "3 numbers found, 2 needed"),
        (b"3,4", "1 numbers found, 2 needed"),
    ],
)
def test_a_fault_is_named_with_its_line(line, found):
    with pytest.raises(DataError) as error:
        parse(b"1 2\n\n" + line + b"\n5 x\n")
    assert str(error.value) == f"walk.txt: line 3: {found}"


@pytest.mark.parametrize("line", [b"3,", b"3,,4", b",", b"3;4"])
def test_an_empty_field_between_commas_is_a_fault(line):
    with pytest.raises(DataError, match=r"^walk\.txt: line 2: "):
        parse(b"1,2\n" + line + b"\n", delimiter=",")
