"""What the paper leaves open: the ambiguity register of docs/design.md as data (register.csv)."""

import csv
import re
from dataclasses import dataclass
from importlib import resources

_KEY = re.compile(r"`([a-z_.]+)`")


@dataclass(frozen=True)
class OpenChoice:
    """A row of the register: names of keys and values stand in `backticks`, as in Markdown.

    what: the key, or words where no key decides it. values: that are offered, the default first.
    reason: what is open.
    """

    what: str
    values: str
    reason: str

    @property
    def key(self) -> str | None:
        """The key of the configuration, None where there is none."""
        found = _KEY.fullmatch(self.what)
        return None if found is None else found[1]


def register() -> list[OpenChoice]:
    """Read the register, in the order of docs/design.md."""
    file = resources.files("titan_repro.paper").joinpath("register.csv")
    rows = csv.DictReader(file.read_text(encoding="utf-8").splitlines())
    return [OpenChoice(row["key"], row["values"], row["open"]) for row in rows]
