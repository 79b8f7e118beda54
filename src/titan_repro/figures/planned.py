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

from titan_repro.analysis.load import Runs, runs_at
from titan_repro.errors import RunFolderError
from titan_repro.records.collect import Collection, collect
from titan_repro.records.identity import run_id

_FORM = re.compile(r"[^(]*\((.*?)(?:, [^)]*)?\)")
"""The form of data within what is told of them: "cifar10 (parquet, JPEG images)" is of parquet."""


@dataclass(frozen=True)
class PlannedCell:
    """Runs of an experiment that differ in their seed alone.

    names: of task, model, stream and selector. swept: the values that tell the cell from others of
    the experiment, as on the command line. seeds, rounds: that the experiment asks for.
    """

    experiment: str
    names: tuple[str, str, str, str]
    swept: tuple[str, ...]
    seeds: tuple[int, ...]
    rounds: int

    @property
    def task(self) -> str:
        """The task's name."""
        return self.names[0]

    @property
    def place(self) -> str:
        """Names of the setting, for people."""
        return ", ".join(self.names[:3])

    @property
    def selector(self) -> str:
        """The selector's name, with other values that the experiment sweeps over."""
        return " ".join([self.names[3], *(each for each in self.swept if not _is_group(each))])

    def run_id(self, seed: int, form: str) -> str:
        """Return the id of the run with a seed, on data of a form."""
        of_setting = tuple(each for each in self.swept if not each.startswith("selector="))
        of_choices = tuple(each for each in self.swept if each[: each.index("=")] not in NAMED)
        setting = _facts(self.experiment, of_setting)["setting"]
        setting = {**setting, "task": {**setting["task"], "form": form}}
        return run_id({**_facts(self.experiment, of_choices), "setting": setting, "seed": seed})


NAMED = ("task", "model", "stream")
"""Groups of a setting, which decide nothing of what a selector does; nor does it of a setting."""


def _is_group(override: str) -> bool:
    return override[: override.index("=")] in (*NAMED, "selector")


@cache
def planned(experiment: str) -> tuple[PlannedCell, ...]:
    """Return the cells of a sweep of conf/experiment, seeds and rounds as written there."""
    whole = _compose((f"experiment={experiment}",), hydra=True)
    values = {key: str(each).split(",") for key, each in whole.hydra.sweeper.params.items()}
    seeds = tuple(map(int, values.pop("seed", [str(whole.seed)])))
    cells = []
    for combined in itertools.product(*values.values()):
        swept = dict(zip(values, combined, strict=True))
        task, model, stream, selector = (
            str(swept.get(group, whole[group].name)) for group in (*NAMED, "selector")
        )
        overrides = tuple(f"{key}={value}" for key, value in swept.items())
        names = (task, model, stream, selector)
        cells.append(PlannedCell(experiment, names, overrides, seeds, whole.rounds))
    return tuple(cells)


@cache
def _facts(experiment: str, overrides: tuple[str, ...]) -> dict[str, Any]:
    """Return the identity of a run of an experiment, but for its seed and the form of its data."""
    from titan_repro.config import identity
    from titan_repro.runs.build import build_selector
    from titan_repro.runs.candidate_budget import budget_choices

    config = _compose((f"experiment={experiment}", *overrides))
    scoring, budget = build_selector(config).runs_network, budget_choices(config)
    return identity(config, "", scoring=scoring, budget=budget)


def _compose(overrides: tuple[str, ...], *, hydra: bool = False) -> Any:
    """Compose a configuration as titan-run does; `hydra`: with Hydra's own part."""
    from hydra import compose, initialize_config_dir

    from titan_repro.conf_path import conf_dir
    from titan_repro.config import register_schema

    register_schema()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose("config", list(overrides), return_hydra_config=hydra)


@dataclass(frozen=True)
class Shown:
    """The runs that a figure shows, and what is not there.

    runs: None where there are none of its experiments. gaps: a line for each setting of which
    planned runs are missing, or have fewer rounds than planned. others: how many runs of the
    same place are left out. found, own: all that was read, and the ids of what is shown.
    """

    runs: Runs | None
    gaps: tuple[str, ...]
    others: int
    found: Collection
    own: frozenset[str]

    def at(self, rounds: int) -> Runs | None:
        """Return the runs that were measured after so many rounds, cut there; None for none."""
        try:
            return runs_at(self.found, rounds, only=self.own)
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
    found = collect(source)
    table = found.table()
    done = dict(zip(table["run_id"], table["rounds_done"].astype(int), strict=True))
    over = set(table.loc[table["status"] == "diverged", "run_id"])
    seeds = {int(seed) for seed in table["seed"]}
    forms = {
        str(task): sorted({form_of(told) for told in group["data_source"]})
        for task, group in table.groupby("task")
    }
    there = set(table[["task", "model", "stream", "selector"]].itertuples(index=False, name=None))
    named: set[str] = set()
    for cell in itertools.chain.from_iterable(map(planned, (*experiments, *further))):
        if cell.names in there:  # composing a configuration takes long
            wanted = {*cell.seeds, *seeds}
            named |= {cell.run_id(seed, form) for form in forms[cell.task] for seed in wanted}
    own = named & done.keys()
    ends = {run: None if run in over else rounds_done for run, rounds_done in done.items()}
    cells = itertools.chain.from_iterable(map(planned, experiments))
    gaps = _gaps(cells, {names: forms[names[0]] for names in there}, ends)
    if else_all and not own:
        return Shown(runs_at(found), (), 0, found, frozenset(done))
    runs = runs_at(found, only=own) if _measured(table, own) else None
    return Shown(runs, tuple(gaps), len(done) - len(own), found, frozenset(own))


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
    forms: Mapping[tuple[str, ...], Sequence[str]],
    ends: Mapping[str, int | None],
) -> list[str]:
    """Say, a line a setting of an experiment, which seeds of which selectors are missing.

    forms: of the data that runs with a cell's names were made on, by these names. ends: rounds of
    the runs that are there, None for those that diverged.
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
    forms: Mapping[tuple[str, ...], Sequence[str]],
    ends: Mapping[str, int | None],
) -> bool:
    for form in forms.get(cell.names, ()):
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
