"""Which runs an experiment is made of, and which of them are there.

A figure shows the runs of its experiments and no others that lie in the same place: a sweep over
the filter's blocks has runs of the same setting, but other lengths and variants of Titan.
"""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from titan_repro.analysis.load import Runs, load_runs
from titan_repro.errors import RunFolderError
from titan_repro.records.collect import collect
from titan_repro.records.identity import run_id

_FORM = re.compile(r"[^(]*\((.*?)(?:, [^)]*)?\)")
"""The form of data within what is told of them: "cifar10 (parquet, JPEG images)" is of parquet."""


@dataclass(frozen=True)
class PlannedCell:
    """Runs of an experiment that differ in their seed alone.

    place: names the setting. selector: with the other values that the experiment sweeps over.
    task: its name. facts: the runs' identity, without seed and form of the data.
    seeds, rounds: that the experiment asks for.
    """

    experiment: str
    place: str
    selector: str
    task: str
    facts: Mapping[str, Any]
    seeds: tuple[int, ...]
    rounds: int

    def run_id(self, seed: int, form: str) -> str:
        """Return the id of the run with a seed, on data of a form."""
        setting = self.facts["setting"]
        setting = {**setting, "task": {**setting["task"], "form": form}}
        return run_id({**self.facts, "setting": setting, "seed": seed})


@cache
def planned(experiment: str) -> tuple[PlannedCell, ...]:
    """Return the cells of a sweep of conf/experiment, seeds and rounds as written there."""
    from hydra import compose, initialize_config_dir

    from titan_repro.conf_path import conf_dir
    from titan_repro.config import identity, register_schema
    from titan_repro.runs.build import build_selector
    from titan_repro.runs.candidate_budget import budget_choices

    register_schema()
    cells = []
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        whole = compose("config", [f"experiment={experiment}"], return_hydra_config=True)
        values = {key: str(each).split(",") for key, each in whole.hydra.sweeper.params.items()}
        seeds = tuple(map(int, values.pop("seed", [str(whole.seed)])))
        for combined in itertools.product(*values.values()):
            swept = dict(zip(values, combined, strict=True))
            overrides = [f"{key}={value}" for key, value in swept.items()]
            config = compose("config", [f"experiment={experiment}", *overrides])
            facts = identity(
                config, "", scoring=build_selector(config).scores, budget=budget_choices(config)
            )
            names = (config.task.name, config.model.name, config.stream.name)
            others = [f"{k}={v}" for k, v in swept.items() if k not in (*NAMED, "selector")]
            cells.append(
                PlannedCell(
                    experiment,
                    ", ".join(map(str, names)),
                    " ".join([config.selector.name, *others]),
                    config.task.name,
                    facts,
                    seeds,
                    config.rounds,
                )
            )
    return tuple(cells)


NAMED = ("task", "model", "stream")
"""Groups whose choice the place of a cell tells."""


@dataclass(frozen=True)
class Shown:
    """The runs that a figure shows, and what is not there.

    runs: None where there are none of its experiments. gaps: a line for each setting of which
    planned runs are missing, or have fewer rounds than planned. others: how many runs of the
    same place are left out. source, own: where the runs are, and the ids of all that are shown.
    """

    runs: Runs | None
    gaps: tuple[str, ...]
    others: int
    source: Path
    own: frozenset[str]

    def at(self, rounds: int) -> Runs | None:
        """Return the runs that were measured after so many rounds, cut there; None for none."""
        try:
            return load_runs(self.source, rounds, only=self.own)
        except RunFolderError:
            return None

    def at_common_rounds(self) -> Runs | None:
        """Return the runs of all settings cut at one number of rounds, the largest of all.

        Where there is none that every setting has, each is cut at its own; None without runs.
        """
        if self.runs is None:
            return None
        rows = self.runs.summaries["milestones"]
        known = {int(milestone["rounds"]) for milestones in rows for milestone in milestones}
        for rounds in sorted(known, reverse=True):
            cut = self.at(rounds)
            if cut is not None and len(cut.settings()) == len(self.runs.settings()):
                return cut
        return self.runs

    def notes(self) -> tuple[str, ...]:
        """Return sentences for the foot of a table."""
        told = f"{self.others} other runs in the same place are not shown here."
        return (*(f"Not run yet, {gap}." for gap in self.gaps), *((told,) if self.others else ()))


def shown_runs(
    source: Path,
    experiments: Sequence[str],
    *,
    further: Sequence[str] = (),
    else_all: bool = False,
) -> Shown:
    """Read the runs of the experiments, of any seed, below `source` or in the export that it is.

    further: experiments whose runs are shown, too, but not missed. else_all: whether all runs are
    shown where none is of these experiments, as in a folder of somebody's own runs.
    Raises RunFolderError if `source` is no folder or a damaged export; with else_all also if
    nothing in it can be shown.
    """
    table = collect(source).table()
    done = dict(zip(table["run_id"], table["rounds_done"].astype(int), strict=True))
    over = set(table.loc[table["status"] == "diverged", "run_id"])
    seeds = {int(seed) for seed in table["seed"]}
    forms = {
        str(task): sorted({form_of(told) for told in group["data_source"]})
        for task, group in table.groupby("task")
    }
    named: set[str] = set()
    for cell in itertools.chain.from_iterable(map(planned, (*experiments, *further))):
        wanted = {*cell.seeds, *seeds}
        named |= {cell.run_id(seed, form) for form in forms.get(cell.task, ()) for seed in wanted}
    own = named & done.keys()
    ends = {run: None if run in over else rounds_done for run, rounds_done in done.items()}
    gaps = _gaps(itertools.chain.from_iterable(map(planned, experiments)), forms, ends)
    if else_all and not own:
        return Shown(load_runs(source), (), 0, source, frozenset(done))
    runs = load_runs(source, only=own) if _measured(table, own) else None
    return Shown(runs, tuple(gaps), len(done) - len(own), source, frozenset(own))


def form_of(data_source: str) -> str:
    """Return the form of the data, such as "npz", from what a run tells of them."""
    found = _FORM.fullmatch(data_source)
    return data_source if found is None else found[1]


def _measured(table: pd.DataFrame, own: set[str]) -> bool:
    """Return whether one of the runs has something to show."""
    rows = table[table["run_id"].isin(own)]
    return any(
        len(milestones) or status == "diverged"
        for milestones, status in zip(rows["milestones"], rows["status"], strict=True)
    )


def _gaps(
    cells: Iterable[PlannedCell],
    forms: Mapping[str, Sequence[str]],
    ends: Mapping[str, int | None],
) -> list[str]:
    """Say, a line a setting of an experiment, which seeds of which selectors are missing.

    ends: rounds of the runs that are there, None for those that diverged.
    """
    missing: dict[str, dict[str, list[str]]] = {}
    for cell in cells:
        lacking = [seed for seed in cell.seeds if not _is_there(cell, seed, forms, ends)]
        if lacking:
            place = f"{cell.experiment} ({cell.place}, {cell.rounds:,} rounds)"
            selectors = missing.setdefault(place, {})
            selectors.setdefault(seed_words(lacking), []).append(cell.selector)
    return [
        f"{place}: " + "; ".join(f"{', '.join(names)} {words}" for words, names in parts.items())
        for place, parts in missing.items()
    ]


def _is_there(
    cell: PlannedCell,
    seed: int,
    forms: Mapping[str, Sequence[str]],
    ends: Mapping[str, int | None],
) -> bool:
    for form in forms.get(cell.task, ()):
        end = ends.get(cell.run_id(seed, form), 0)
        if end is None or end >= cell.rounds:
            return True
    return False


def seed_words(seeds: Sequence[int]) -> str:
    """Write seeds as people do: "seed 3", "seeds 1, 2 and 5 to 9"."""
    ordered = sorted(seeds)
    ranges: list[list[int]] = []
    for seed in ordered:
        if ranges and seed == ranges[-1][-1] + 1:
            ranges[-1].append(seed)
        else:
            ranges.append([seed])
    parts = [
        f"{part[0]} to {part[-1]}" if len(part) > 2 else ", ".join(map(str, part))
        for part in ranges
    ]
    noun = "seed" if len(ordered) == 1 else "seeds"
    return f"{noun} {', '.join(parts)}"
