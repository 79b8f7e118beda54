"""The paper's numbers about its device, as data.

`paper_claims.csv` holds what the text says, `paper_device.csv` the absolute seconds, watts and
megabytes of its figures, and independent latencies of the same board. Ids are the same everywhere.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

IMAGE_MODELS = ("alexnet", "mobilenet", "squeezenet", "resnet50")


@dataclass(frozen=True)
class Claim:
    """A number of the paper, or one end of a range of numbers."""

    id: str
    text: str
    value: float
    unit: str
    source: str


@dataclass(frozen=True)
class Figure:
    """A number read off a published figure, or of an independent benchmark.

    id: figure, quantity and model. use: fit | check.
    residual: why the model misses it, "" where it does not.
    """

    id: str
    value: float
    unit: str
    use: str
    source: str
    residual: str

    @property
    def model(self) -> str:
        """The last part of the id."""
        return self.id.rsplit(".", 1)[1]


def _rows(name: str) -> Iterator[dict[str, str]]:
    text = resources.files("titan_repro.boards").joinpath(name).read_text(encoding="utf-8")
    return iter(csv.DictReader(text.splitlines()))


def paper_claims() -> list[Claim]:
    """Read the numbers of the paper's text. A range becomes two claims, `.low` and `.high`."""
    claims = []
    for row in _rows("paper_claims.csv"):
        ends = row["value"].split("-")
        names = [row["id"]] if len(ends) == 1 else [row["id"] + end for end in (".low", ".high")]
        claims += [
            Claim(name, row["claim"], float(end), row["unit"], row["source"])
            for name, end in zip(names, ends, strict=True)
        ]
    return claims


def paper_figures() -> list[Figure]:
    """Read the absolute numbers of the paper's device and of independent benchmarks."""
    return [
        Figure(
            row["id"], float(row["value"]), row["unit"], row["use"], row["source"], row["residual"]
        )
        for row in _rows("paper_device.csv")
    ]
