"""What an HTML document holds, read by the standard library's parser alone."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "br", "hr", "img"}


@dataclass
class Facts:
    """Tags with their attributes in order; ids; texts by the id of the nearest element above."""

    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    text: str = ""

    def values(self, name: str) -> list[str]:
        """Return the values of one attribute."""
        return [attributes[name] for _, attributes in self.tags if name in attributes]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.facts = Facts()
        self.open: list[str] = []

    def handle_starttag(self, tag, attributes):
        given = {name: value or "" for name, value in attributes}
        self.facts.tags.append((tag, given))
        if "id" in given:
            self.facts.ids.append(given["id"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data):
        self.facts.text += data


def facts(document: str) -> Facts:
    """Read a document; raises AssertionError unless every element is closed in order."""
    reader = _Reader()
    reader.feed(document)
    reader.close()
    assert reader.open == []
    return reader.facts
