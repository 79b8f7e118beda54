"""Measurements of costs (experiment=fig6) as records for tables and figures."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from titan_repro.errors import RunFolderError
from titan_repro.paper.published import claimed_numbers
from titan_repro.records.measured import (
    COSTS,
    machine_of,
    measurements_below,
    read_measurement,
)

WAYS = ("rs", "titan_sequential", "titan_pipelined")
PURPOSES = ("parameters", "gradients", "activations", "filter", "scoring", "copies")
"""Of memory, in the order of the sum."""

MODEL_ORDER = ("alexnet", "mobilenet", "squeezenet", "resnet50", "resnet34", "mlp")


@dataclass(frozen=True)
class Costs:
    """One costs.json.

    label: the model's name, with the measurement's id where another one has the same.
    path: of the file.
    """

    label: str
    content: Mapping[str, Any]
    path: Path

    @property
    def model(self) -> str:
        """The model's name."""
        return str(self.content["model"])

    def number(self, path: str) -> float:
        """Return the number under a dotted path; NaN where it was not measured or is none."""
        value = _at(self.content, path)
        return float(value) if isinstance(value, int | float) else math.nan

    def has_rounds(self, clock: str) -> bool:
        """Whether the record has rounds by this clock."""
        return clock in self.content["rounds"]

    def round_ms(self, clock: str, way: str) -> float:
        """Return the time of a round by a clock.

        "measured": the median. "quiet": the 10th percentile, NaN in records made before there was
        one. "modelled": on the board.
        """
        if not self.has_rounds(clock):
            return math.nan
        path = f"rounds.{clock}.{way}_ms"
        return self.number(f"{path}.median" if clock == "measured" else path)

    def hidden(self, clock: str) -> float:
        """Return the percentage of selection's cost that the pipeline hides."""
        return self.number(f"rounds.{clock}.hidden_percent")

    def filter_ms(self, blocks: int) -> float:
        """Return the filter's measured time of an arriving sample with features of n blocks.

        NaN in records made before it was measured block by block.
        """
        timed = self.content["latency"].get("filter_by_blocks", {}).get(str(blocks))
        return math.nan if timed is None else float(timed["arriving_ms"])

    def extra_mb(self, kind: str) -> float:
        """Return Titan's memory beyond random selection's: measured, counted or modelled."""
        name = "together_mb" if kind == "measured" else "total_mb"
        titan, random = (
            self.number(f"memory.{kind}.{way}.{name}") for way in ("titan_pipelined", "rs")
        )
        return titan - random

    def power_ratio(self) -> float:
        """Return pipelined Titan's modelled power over random selection's."""
        return self._ratio("watts")

    def energy_ratio(self) -> float:
        """Return pipelined Titan's modelled energy a round over random selection's."""
        return self._ratio("joules_per_round")

    def machine(self) -> str:
        """Name the processor that the measurement was made on, from provenance.json beside it."""
        return machine_of(self.path)

    def paper(self, claim: str) -> float:
        """Return the paper's number for this model, such as that of "fig6c.memory", or NaN."""
        return claimed_numbers().get(f"{claim}.{self.model}", math.nan)

    def _ratio(self, name: str) -> float:
        titan, random = (
            self.number(f"power.modelled.{way}.{name}") for way in ("titan_pipelined", "rs")
        )
        return titan / random


def load_costs(folder: Path) -> list[Costs]:
    """Read every costs.json below `folder`, models in the paper's order.

    Raises RunFolderError if there are none, and naming the file for one that is damaged.
    """
    if not folder.is_dir():
        raise RunFolderError(f"{folder}: no such folder; allowed: a folder that titan-run wrote to")
    found = find_costs(folder)
    if not found:
        raise RunFolderError(
            f"{folder}: found no measurements; titan-run experiment=fig6 with paths.runs makes them"
        )
    return found


def find_costs(folder: Path) -> list[Costs]:
    """Read every costs.json below `folder`, if any; raises as `load_costs` does for damage."""
    below = measurements_below(folder, COSTS, _check)
    found = sorted(below, key=lambda each: (place_of(each[1]["model"]), each[1]["task"]))
    models = [content["model"] for _, content in found]
    return [
        Costs(
            content["model"]
            if models.count(content["model"]) == 1
            else f"{content['model']} {content['id'][:4]}",
            content,
            path,
        )
        for path, content in found
    ]


def read_costs(path: Path) -> Costs:
    """Read one costs.json; raises RunFolderError naming the file if it is damaged."""
    content = read_measurement(path, _check)
    return Costs(content["model"], content, path)


def place_of(model: str) -> tuple[int, str]:
    """Return what sorts models into the paper's order, all others by name behind them."""
    known = MODEL_ORDER.index(model) if model in MODEL_ORDER else len(MODEL_ORDER)
    return known, model


def _check(content: Mapping[str, Any]) -> None:
    for part in REQUIRED:
        _at(content, part)


def _at(content: Mapping[str, Any], path: str) -> Any:
    node: Any = content
    for name in path.split("."):
        if not isinstance(node, Mapping) or name not in node:
            raise KeyError(path)
        node = node[name]
    return node


REQUIRED = (
    *("id", "task", "model", "board", "velocity", "data_source"),
    *(f"rounds.measured.{way}_ms.median" for way in WAYS),
    *(f"rounds.modelled.{way}_ms" for way in WAYS),
    *(f"rounds.{clock}.hidden_percent" for clock in ("measured", "modelled")),
    *(
        f"latency.{clock}.filter.{how}_ms"
        for clock in ("measured", "modelled")
        for how in ("arriving", "bulk")
    ),
    *(f"memory.measured.{way}.together_mb" for way in WAYS),
    *(
        f"memory.{kind}.{way}.{part}_mb"
        for kind in ("counted", "modelled")
        for way in ("rs", "titan_pipelined")
        for part in (*PURPOSES, "total")
    ),
    *(f"power.modelled.{way}.{part}" for way in WAYS for part in ("watts", "joules_per_round")),
)
"""Paths without which nothing can be drawn."""
