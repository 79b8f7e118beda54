"""Tables in four formats: whatever a cell says, it is read back as it was."""

import csv
import html
import io
import re
from html.parser import HTMLParser

import pytest

from titan_repro.figures.table import FORMATS, Table, render

NASTY = r"a|b\c <i>&amp; 50 % $x_1$ #1 {y}^2~z *s* `k` ± 2"
TABLE = Table("Time & <more>", ("selector", "a, b"), [(NASTY, '"q", r'), ("rs", "> 3")], ("A_n.",))


def test_markdown_is_aligned_and_escapes_what_it_would_take_for_its_own():
    title, table, note = TABLE.markdown().split("\n\n")
    assert (title, note) == ("Time & <more>", "A_n.")
    lines = table.splitlines()
    assert len({len(line) for line in lines}) == 1
    assert set(lines[1]) == {"|", "-"}
    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", lines[2])[1:-1]]
    assert [re.sub(r"\\(.)", r"\1", cell) for cell in cells] == [NASTY, '"q", r']
    assert "\\|" in cells[0]
    assert "\\<i>" in cells[0]
    assert lines[3].startswith("| rs ")


def test_a_name_with_an_underscore_stays_readable():
    assert "| titan_literal |" in Table("t", ("titan_literal",), []).markdown()
    assert r"| \_a\_ |" in Table("t", ("_a_",), []).markdown()


def test_a_product_stays_readable():
    assert "| 1 + 2 * 3 |" in Table("t", ("1 + 2 * 3",), []).markdown()
    assert r"| \*a\* |" in Table("t", ("*a*",), []).markdown()


def test_long_notes_are_wrapped_and_a_header_alone_is_a_table():
    text = Table("t", ("a", "bb"), [], ("word " * 60,)).markdown()
    assert text.startswith("t\n\n| a | bb |\n|---|----|\n\nword")
    assert max(map(len, text.splitlines())) <= 100


class Cells(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.tags = {}, []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        if data.strip():
            self.found.setdefault(self.tags[-1], []).append(data)


def test_html_reads_back():
    parser = Cells()
    parser.feed(TABLE.html())
    assert parser.found["caption"] == ["Time & <more>"]
    assert parser.found["th"] == ["selector", "a, b", NASTY, "rs"]
    assert parser.found["td"] == ['"q", r', "> 3"]
    assert parser.found["p"] == ["A_n."]
    assert "i" not in parser.tags
    assert html.escape("<i>") in TABLE.html()


def test_latex_escapes_every_special_character():
    lines = TABLE.latex().splitlines()
    assert lines[0] == r"\begin{table}\caption{Time \& $<$more$>$}"
    row = next(line for line in lines if line.startswith("a$|$b"))
    cell = row.split(" & ")[0]
    assert cell == (
        r"a$|$b\textbackslash{}c $<$i$>$\&amp; 50 \% \$x\_1\$ \#1 \{y\}\textasciicircum{}2"
        r"\textasciitilde{}z *s* `k` $\pm$ 2"
    )
    assert row.endswith(r" \\")
    assert r"rs & $>$ 3 \\" in lines
    assert lines[-2:] == [r"\par A\_n.", r"\end{table}"]


def test_csv_reads_back_and_comments_hold_title_and_notes():
    lines = TABLE.csv().splitlines()
    assert (lines[0], lines[-1]) == ("# Time & <more>", "# A_n.")
    rows = list(csv.reader(io.StringIO("\n".join(lines[1:-1]))))
    assert rows == [list(TABLE.header), *map(list, TABLE.rows)]
    hashed = Table("t", ("a",), [("#1",)]).csv().splitlines()
    assert not hashed[-1].startswith("#")
    assert list(csv.reader(hashed[1:])) == [["a"], ["#1"]]


@pytest.mark.parametrize("name", FORMATS)
def test_a_note_of_several_tables_stands_once_below_the_last(name):
    first = Table("one", ("a",), [("1",)], ("own", "shared"))
    second = Table("two", ("a",), [("2",)], ("shared",))
    text = render([first, second], name)
    assert text.count("shared") == 1
    assert text.index("own") < text.index("two") < text.index("shared")
    assert first.format(name).count("shared") == 1


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="1 cells under 2 columns"):
        Table("t", ("a", "b"), [("1",)])
