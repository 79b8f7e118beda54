"""The paper's numbers about its device, as data.

`paper_device.csv` holds the absolute seconds, watts and megabytes of its figures, and independent
latencies of the same board. What the text claims is in `paper/claims.csv`.
"""

import csv
from dataclasses import dataclass
from importlib import resources

IMAGE_MODELS = ("alexnet", "mobilenet", "squeezenet", "resnet50")


@dataclass(frozen=True)
class PublishedNumber:
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


def published_numbers() -> list[PublishedNumber]:
    """Read the absolute numbers of the paper's device and of independent benchmarks."""
    file = resources.files("titan_repro.boards").joinpath("paper_device.csv")
    rows = csv.DictReader(file.read_text(encoding="utf-8").splitlines())
    return [
        PublishedNumber(
            row["id"], float(row["value"]), row["unit"], row["use"], row["source"], row["residual"]
        )
        for row in rows
    ]
