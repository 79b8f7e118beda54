"""A table that can be printed as Markdown, HTML, LaTeX or CSV."""

import csv
import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from textwrap import fill
from typing import Literal, get_args

Format = Literal["markdown", "html", "latex", "csv"]
NOTE_WIDTH = 100
"""Characters a line of a note in Markdown, as in the terminal."""

FORMATS: tuple[Format, ...] = get_args(Format)


class Bold(str):
    """A cell that stands out where the format can show it: Markdown, HTML and LaTeX."""

    __slots__ = ()


@dataclass(frozen=True)
class Table:
    """Words and numbers, ready to be read.

    title: says what the table holds, units and clock included. header: a name a column.
    rows: a cell a column. notes: sentences that belong below it.
    Raises ValueError for a row that is not as long as the header.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise ValueError(f"{len(row)} cells under {len(self.header)} columns: {row}")

    def format(self, name: Format) -> str:
        """Return the table in one of FORMATS."""
        match name:
            case "markdown":
                return self.markdown()
            case "html":
                return self.html()
            case "latex":
                return self.latex()
            case "csv":
                return self.csv()

    def markdown(self) -> str:
        """Return the title, an aligned table that also reads well in a terminal, and the notes."""
        lines = [[_markdown(cell) for cell in row] for row in (self.header, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        drawn = [
            "| " + " | ".join(map(str.ljust, line, widths)) + " |"  # as wide as the widest
            for line in lines
        ]
        drawn.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        notes = (fill(_one_line(note), NOTE_WIDTH, break_on_hyphens=False) for note in self.notes)
        return "\n\n".join((self.title, "\n".join(drawn), *notes))

    def html(self) -> str:
        """Return a <table> with the title as its caption, and a <p> a note."""
        head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in self.header)
        lines = [f"<tr>{head}</tr>"]
        for first, *rest in self.rows:
            cells = "".join(f"<td>{_html(cell)}</td>" for cell in rest)
            lines.append(f'<tr><th scope="row">{html.escape(first)}</th>{cells}</tr>')
        body = "\n".join(lines[1:])
        return "\n".join(
            [
                f"<table>\n<caption>{html.escape(self.title)}</caption>",
                f"<thead>\n{lines[0]}\n</thead>\n<tbody>\n{body}\n</tbody>\n</table>",
                *(f"<p>{html.escape(note)}</p>" for note in self.notes),
            ]
        )

    def latex(self) -> str:
        r"""Return a table environment that needs no package, notes below the tabular."""
        lines = [" & ".join(map(_latex, row)) + r" \\" for row in (self.header, *self.rows)]
        return "\n".join(
            [
                rf"\begin{{table}}\caption{{{_latex(self.title)}}}",
                rf"\begin{{tabular}}{{{'l' * len(self.header)}}}",
                r"\hline",
                lines[0],
                r"\hline",
                *lines[1:],
                r"\hline",
                r"\end{tabular}",
                *(rf"\par {_latex(note)}" for note in self.notes),
                r"\end{table}",
            ]
        )

    def csv(self) -> str:
        """Return header and rows; title and notes are lines that begin with "# "."""
        text = io.StringIO()
        lines = [list(self.header), *map(list, self.rows)]
        comments = any(line[0].startswith("#") for line in lines)
        quoting: Literal[0, 1] = csv.QUOTE_ALL if comments else csv.QUOTE_MINIMAL
        csv.writer(text, quoting=quoting, lineterminator="\n").writerows(lines)
        notes = [f"# {_one_line(note)}\n" for note in self.notes]
        return f"# {_one_line(self.title)}\n{text.getvalue()}{''.join(notes)}".rstrip("\n")


def no_runs(name: str) -> Table:
    """Return what stands in place of the tables of a figure that has no runs yet."""
    return Table(f"{name}: no runs yet", ("setting", "seeds"), [])


def with_notes(tables: Sequence[Table], notes: Sequence[str]) -> list[Table]:
    """Return the tables, further notes below the last of them."""
    if not notes or not tables:
        return list(tables)
    *others, last = tables
    return [*others, replace(last, notes=(*last.notes, *notes))]


def render(tables: Sequence[Table], name: Format = "markdown") -> str:
    """Return the tables one below the other.

    Notes that are the same below several tables stand once, below the last of these.
    """
    parts = []
    for position, table in enumerate(tables):
        later = {note for other in tables[position + 1 :] for note in other.notes}
        own = [note for note in table.notes if note not in later]
        parts.append(Table(table.title, table.header, table.rows, own).format(name))
    return "\n\n".join(parts)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _markdown(cell: str) -> str:
    r"""Escape what Markdown would take for its own: no `_` inside a word, no `*` between spaces."""
    escaped = re.sub(r"([\\|`<]|(?<! )\*|\*(?! ))", r"\\\1", _one_line(cell))
    escaped = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", escaped)
    return f"**{escaped}**" if isinstance(cell, Bold) else escaped


def _html(cell: str) -> str:
    escaped = html.escape(cell)
    return f"<strong>{escaped}</strong>" if isinstance(cell, Bold) else escaped


_LATEX = {
    "\\": r"\textbackslash{}",
    **{character: "\\" + character for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    "±": r"$\pm$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{MINUS SIGN}": "$-$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    '"': "''",
}


def _latex(text: str) -> str:
    escaped = "".join(_LATEX.get(character, character) for character in _one_line(text))
    return rf"\textbf{{{escaped}}}" if isinstance(text, Bold) else escaped
