"""All that claims are judged by: runs, measurements of costs, the modelled board, the theory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, cast

import pandas as pd
from omegaconf import OmegaConf

from titan_repro.analysis.costs import Costs, find_costs
from titan_repro.analysis.load import Runs, runs_at
from titan_repro.boards.board import read_board
from titan_repro.boards.cost_model import Board, RoundCost, inline_cost, pipelined_cost
from titan_repro.boards.paper import published_numbers
from titan_repro.boards.paper_model import (
    VELOCITY,
    Setup,
    baseline_seconds,
    memory_mb,
    paper_setups,
)
from titan_repro.boards.round_work import RoundSize
from titan_repro.conf_path import conf_dir
from titan_repro.config import plain
from titan_repro.records.collect import collect
from titan_repro.theory.statement import Statement
from titan_repro.theory.table import check_all

COLUMNS = (
    *("run_id", "label", "task", "model", "selector", "stream", "setting", "seed", "status"),
    *("choices", "final_accuracy", "data_source", "federation", "config.federation."),
    *("config.batch_size", "config.stream.velocity", "config.stream.source.velocity"),
    "config.model.norm",
)
"""Columns of `Runs.summaries` that claims ask for, or how they begin."""

BOARD = "device/jetson_nano.yaml"
"""The profile of the paper's board, in conf/."""


Kind = tuple[str, str, str]
"""Task, model and selector."""


@dataclass(frozen=True)
class MeasuredAfter:
    """Runs after one number of rounds.

    by_kind: the rows of `Runs.summaries`, of each task, model and selector apart, with the columns
    that claims ask for. records: the same rows as dictionaries. curves: as of `Runs`.
    """

    by_kind: Mapping[Kind, pd.DataFrame]
    records: Mapping[Kind, Sequence[Mapping[Any, Any]]]
    curves: pd.DataFrame


def parted(runs: Runs) -> MeasuredAfter:
    """Part runs by task, model and selector, once for all claims."""
    columns = [name for name in map(str, runs.summaries) if name.startswith(COLUMNS)]
    every = runs.summaries[columns].groupby(["task", "model", "selector"], sort=False)
    by_kind = {tuple(map(str, kind)): own for kind, own in every}
    return MeasuredAfter(
        cast(Mapping[Kind, pd.DataFrame], by_kind),
        {cast(Kind, kind): own.to_dict("records") for kind, own in by_kind.items()},
        runs.curves,
    )


class ClaimEvidence:
    """What an export or a folder of run folders holds, and what needs neither.

    Raises RunFolderError if `source` is no folder, or a damaged export; runs that cannot be read
    are in `damaged`, a line each.
    """

    def __init__(self, source: Path) -> None:
        self.source = source
        self._found = collect(source)
        self._cut: dict[int, MeasuredAfter] = {}

    @property
    def damaged(self) -> tuple[str, ...]:
        """What cannot be read."""
        return self._found.damaged

    @cached_property
    def milestones(self) -> tuple[int, ...]:
        """Numbers of rounds after which some run was measured on the whole test set, descending."""
        known = {m["rounds"] for run in self._found.runs for m in run.summary["milestones"]}
        return tuple(sorted(known - {0}, reverse=True))

    def after(self, rounds: int) -> "MeasuredAfter":
        """Return the runs that were measured after so many rounds, one of `milestones`."""
        if rounds not in self._cut:
            self._cut[rounds] = parted(runs_at(self._found, rounds))
        return self._cut[rounds]

    @cached_property
    def costs(self) -> dict[str, Costs]:
        """Measurements of experiment=fig6 by model; of several of one model, the first."""
        found: dict[str, Costs] = {}
        for costs in find_costs(self.source):
            found.setdefault(costs.model, costs)
        return found

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        """Every statement of the theory, checked."""
        return _statements()

    @property
    def board(self) -> Board:
        """The paper's board, as conf/ describes it."""
        return _board()

    @property
    def setups(self) -> dict[str, Setup]:
        """The paper's models at 224 x 224."""
        return _setups()

    def board_number(self, name: str) -> float:
        """Return what the modelled board says to a number of the paper's that it was not fitted to.

        name: its id in boards/paper_device.csv, "fig6c...." (MB) or "fig2a...." (seconds).
        """
        figure, part, model = name.split(".")
        if figure == "fig6c":
            return memory_mb(self.setups[model])[part]
        if figure == "fig2a":
            return baseline_seconds(self.board, self.setups[model], part)
        raise LookupError(f"no number of the board for {name}")

    @cached_property
    def fitted(self) -> frozenset[str]:
        """Ids of the numbers that the board was fitted to."""
        return frozenset(each.id for each in published_numbers() if each.use == "fit")

    def random_round(self, model: str, batch: int) -> RoundCost:
        """Return the cost of a round of random selection on the board."""
        size = RoundSize(0, 0, VELOCITY, batch)
        work = self.setups[model].counter("rs").round(size, filter_at_once=1, score_at_once=1)
        return inline_cost(self.board, work)

    def titan_round(self, model: str, candidates: int) -> RoundCost:
        """Return the cost of a pipelined round of Titan on the board."""
        size = RoundSize(VELOCITY, candidates, candidates, 10)
        setup = self.setups[model]
        work = setup.counter("titan").round(size, filter_at_once=1, score_at_once=1)
        return pipelined_cost(self.board, work, *setup.state)

    def baseline_seconds(self, model: str, selector: str) -> float:
        """Return the time of a round of a selector without a filter on the board.

        "is" is that of section 4.1, on gradients of the last layer, and so costs what C-IS does;
        `boards.paper_model` has that of section 2.3, on all gradients.
        """
        return baseline_seconds(
            self.board, self.setups[model], "cis" if selector == "is" else selector
        )


@cache
def _board() -> Board:
    return read_board(plain(OmegaConf.load(conf_dir() / BOARD))["modelled"])


@cache
def _setups() -> dict[str, Setup]:
    return paper_setups()


@cache
def _statements() -> tuple[Statement, ...]:
    return tuple(check_all())
