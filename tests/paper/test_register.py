"""The register as data is the table of docs/design.md, word for word."""

import re
from pathlib import Path

from titan_repro.paper.register import register

DESIGN = Path(__file__).parents[2] / "docs" / "design.md"


def documented():
    text = DESIGN.read_text(encoding="utf-8").partition("## Ambiguity register")[2]
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| key"):
            cells = re.split(r"(?<!\\)\|", line)[1:-1]
            yield tuple(cell.strip().replace(r"\|", "|") for cell in cells)


def test_the_data_are_the_documented_table():
    assert [(row.what, row.values, row.reason) for row in register()] == list(documented())


def test_keys_are_told_from_words():
    key_of = {row.what: row.key for row in register()}
    assert key_of["`filter.score`"] == "filter.score"
    assert key_of["stream order"] is None
