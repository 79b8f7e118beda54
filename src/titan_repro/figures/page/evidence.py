"""All that the page and REPRODUCTION.md speak of, read once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from titan_repro.analysis.clocks import ChooseClock, Timed, choose_clock, timed
from titan_repro.analysis.comparison import Row, compare
from titan_repro.analysis.costs import MODEL_ORDER, Costs, find_costs
from titan_repro.analysis.load import Runs, load_runs
from titan_repro.analysis.replay import Replay
from titan_repro.claims.verdicts import Judgement, judge
from titan_repro.figures import gain
from titan_repro.figures.planned import shown_runs
from titan_repro.runs.command import Commands


@dataclass(frozen=True)
class Setting:
    """Runs that are compared: one task, model, stream, number of rounds and so on.

    group: their rows of `Runs.summaries`. times: their curves on the clock of the setting.
    """

    group: pd.DataFrame
    times: Timed

    @property
    def task(self) -> str:
        """The task's name."""
        return str(self.group["task"].iloc[0])

    @property
    def model(self) -> str:
        """The model's name."""
        return str(self.group["model"].iloc[0])

    @property
    def rounds(self) -> int:
        """Rounds at which the runs are compared."""
        return int(self.group["rounds"].iloc[0])

    @property
    def name(self) -> str:
        """Words that tell it from the other settings."""
        first = self.group.iloc[0]
        stream = "" if first["stream"] == "clean" else f", {first['stream']}"
        return f"{self.model} on {self.task}{stream}{first['detail']}, {self.rounds:,} rounds"

    @property
    def pairs(self) -> int:
        """Seeds that have a finished run of titan and one of rs."""
        finished = self.group[self.group["status"] == "finished"]
        seeds = [set(finished.loc[finished["label"] == name, "seed"]) for name in ("titan", "rs")]
        return len(seeds[0] & seeds[1])

    @cached_property
    def rows(self) -> Mapping[str, Row]:
        """What `compare` says of each label."""
        return {row.label: row for row in compare(self.group, self.times.curves)}

    def curves(self, label: str) -> pd.DataFrame:
        """Return the curves of one label."""
        return self.times.curves[self.times.curves["label"] == label]


@dataclass(frozen=True)
class Evidence:
    """What is known, ready to be put into words.

    source: the folder as the user named it. runs: those that compare selectors. every: these and
        the sweeps over one choice of a selector, which have figures and claims of their own.
    settings: models in the paper's order. board: the modelled board's number for those of
        boards/paper_device.csv, by id. commands: what titan-run is given for each run beside seed
        and rounds, () where that is not known.
    """

    source: Path
    runs: Runs
    every: Runs
    settings: Sequence[Setting]
    judgements: Sequence[Judgement]
    costs: Sequence[Costs]
    board: Mapping[str, float]
    commands: Mapping[str, tuple[str, ...]]

    @cached_property
    def _points(self) -> Mapping[str, tuple[int, int]]:
        """Rounds and seed of each run, by id."""
        columns = (self.every.summaries[name] for name in ("run_id", "rounds", "seed"))
        return {
            str(name): (int(rounds), int(seed)) for name, rounds, seed in zip(*columns, strict=True)
        }

    def command(self, run_ids: Sequence[str]) -> str:
        """Return one command for runs that differ in their seed alone, else where to look."""
        told = {self.commands[run_id] for run_id in run_ids}
        rounds = {self._points[run_id][0] for run_id in run_ids}
        if len(told) != 1 or () in told or len(rounds) != 1:
            return "no single command: their configurations are in runs.parquet, column config"
        seeds = ",".join(map(str, sorted({self._points[run_id][1] for run_id in run_ids})))
        many = "-m " if "," in seeds else ""
        keys = " ".join([*told.pop(), f"rounds={rounds.pop()}", f"seed={seeds}"])
        return f"titan-run {many}{keys}"


def gather(
    source: Path,
    replay_on: Callable[[str], Replay],
    board: Mapping[str, float],
    judge: Callable[[Path], Sequence[Judgement]] = judge,
) -> Evidence:
    """Read runs, claims and measurements below `source`.

    replay_on: see `choose_clock`. judge: judges the claims by what is there. Raises RunFolderError
    if no run counts.
    """
    every = load_runs(source)
    shown = shown_runs(source, gain.EXPERIMENTS, further=gain.FURTHER, else_all=True)
    runs = every if shown.runs is None else shown.runs
    choose = choose_clock(None, source, runs, replay_on)
    found = Commands()
    commands = {
        str(run_id): found.overrides(every.recorded[run_id].config, every.recorded[run_id].summary)
        for run_id in every.summaries["run_id"]
        if run_id in every.recorded
    }
    return Evidence(
        source,
        runs,
        every,
        sorted(_settings(runs, choose), key=_place),
        judge(source),
        find_costs(source),
        board,
        {**dict.fromkeys(map(str, every.summaries["run_id"]), ()), **commands},
    )


def _settings(runs: Runs, choose: ChooseClock) -> Iterator[Setting]:
    for _, group in runs.summaries.groupby("setting", sort=False):
        own = runs.curves[runs.curves["run_id"].isin(group["run_id"])]
        yield Setting(group, timed(group, own, choose(group)))


def _place(setting: Setting) -> tuple[int, str, bool, str]:
    known = MODEL_ORDER.index(setting.model) if setting.model in MODEL_ORDER else len(MODEL_ORDER)
    return known, setting.model, setting.group["stream"].iloc[0] != "clean", setting.name
