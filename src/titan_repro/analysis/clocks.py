"""Clocks for runs: what a run's rounds would have taken, told apart by where the time is from.

Sweeps run side by side on busy machines, so a run's own clock is the last resort. A measurement of
`titan-run experiment=fig6` times rounds in turns on quiet cores, and a modelled board needs none.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from pandas.api.types import is_list_like

from titan_repro.analysis.costs import Costs, find_costs, read_costs
from titan_repro.analysis.load import Runs, velocity
from titan_repro.analysis.replay import Replay
from titan_repro.errors import ConfigurationError
from titan_repro.records.recorded import RecordedRun

MEASURED = "measured"

NO_MORE_THAN_TITAN = ("ours", "titan_random")
"""Selectors that score as many candidates as Titan and have a filter that looks at no features."""

Run = Mapping[Any, Any]
"""A row of `Runs.summaries`."""


class NoTimeError(Exception):
    """A clock has no time for a run; the message says why."""


class Clock(Protocol):
    """Something that says how long rounds take."""

    def caption(self, runs: pd.DataFrame) -> str:
        """Name the clock and its machine for runs of one setting."""

    def seconds(self, run: Run, curve: pd.DataFrame) -> np.ndarray:
        """Return seconds after each evaluation of a run's curve, (evaluations,).

        Raises NoTimeError if the clock has none for this run.
        """


@dataclass(frozen=True)
class OwnClock:
    """What each run measured itself while it ran."""

    def caption(self, runs: pd.DataFrame) -> str:
        """Name the processors on which the runs were made."""
        told = runs["processors"] if "processors" in runs else pd.Series(dtype=object)
        names = sorted({str(name) for names in told if is_list_like(names) for name in names})
        where = ", ".join(names) or "a processor that the runs do not name"
        return f"measured by each run itself on {where}"

    def seconds(self, run: Run, curve: pd.DataFrame) -> np.ndarray:
        """Return train_seconds."""
        return curve["train_seconds"].to_numpy(dtype=float)


@dataclass(frozen=True)
class CostsClock:
    """Round times of one measurement of `experiment=fig6`, medians.

    Titan takes what it took pipelined, but no less than rs, whose training it has: what is below
    that is the measurement's noise. With delay 0 it takes what it took in sequence. So do ours and
    titan_random, which score as many candidates and look at no features: they take no longer. rs,
    and stratified and rs2, which look at no sample either, the round of rs; every other selector,
    in sequence, the round of rs and its latency in bulk (milliseconds a sample) times the samples
    of a round.
    """

    costs: Costs

    def caption(self, runs: pd.DataFrame) -> str:
        """Name the measurement and its machine."""
        alike = [name for name in NO_MORE_THAN_TITAN if name in set(runs["selector"])]
        words = f" ({' and '.join(alike)} at most as long)" if alike else ""
        return (
            f"rounds times those of {self.costs.path.parent.name}/costs.json, measured on "
            f"{self.costs.machine()}, titan pipelined (no less than rs){words}, others in sequence"
        )

    def seconds(self, run: Run, curve: pd.DataFrame) -> np.ndarray:
        """Return rounds times the time of a round."""
        return curve["round"].to_numpy(dtype=float) * self.round_ms(run) / 1000

    def round_ms(self, run: Run) -> float:
        """Return the time of a round of a run's selector. Raises NoTimeError if there is none."""
        self._check_same_work(run)
        random = self.costs.round_ms(MEASURED, "rs")
        match run["selector"]:
            case "rs" | "stratified" | "rs2":
                return random
            case name if name in ("titan", *NO_MORE_THAN_TITAN):
                self._check_same_filter(run)
                if run["choices"].get("delay", 1):
                    return max(random, self.costs.round_ms(MEASURED, "titan_pipelined"))
                return self.costs.round_ms(MEASURED, "titan_sequential")
            case name if name in self.costs.content["latency"][MEASURED]:
                bulk = self.costs.number(f"latency.{MEASURED}.{name}.bulk_ms")
                return random + bulk * float(self.costs.content["velocity"])
        raise NoTimeError("costs.json has no latency of it")

    def _check_same_work(self, run: Run) -> None:
        """Refuse runs whose rounds are others than the measured ones."""
        iterations = run.get("config.federation.local_iterations")
        if iterations is not None and iterations == iterations:  # NaN: another run has the column
            raise NoTimeError("costs.json has no times of a federation's rounds")
        for key, found in (
            ("task", run.get("task")),
            ("model", run.get("model")),
            ("velocity", velocity(run)),
            ("batch_size", run.get("config.batch_size")),
        ):
            self._check(key, found)
        policy = run["choices"].get("policy") or {}
        if policy.get("gradient") == "full":
            raise NoTimeError("costs.json has no times of gradient=full")

    def _check_same_filter(self, run: Run) -> None:
        self._check("filter_budget", (run["choices"].get("filter") or {}).get("budget"))
        if run["selector"] not in NO_MORE_THAN_TITAN:
            self._check("filter_blocks", run["choices"].get("blocks"))

    def _check(self, key: str, found: Any) -> None:
        """Compare what a run has with what was measured, where both say it."""
        measured = self.costs.content.get(key)
        known = found is not None and found == found  # columns of other runs leave NaN
        if known and measured is not None and found != measured:
            raise NoTimeError(f"costs.json is of {key} {measured}, not {found}")


@dataclass(frozen=True)
class BoardClock:
    """A modelled board, on which the recorded rounds are replayed.

    recorded: what is kept of the runs, as of `Runs`.
    """

    replay: Replay
    recorded: Mapping[str, RecordedRun]

    def caption(self, runs: pd.DataFrame) -> str:
        """Name the board."""
        name = self.replay.device.name
        return f"modelled on {name}, runs with a delay of one round pipelined, others in sequence"

    def seconds(self, run: Run, curve: pd.DataFrame) -> np.ndarray:
        """Return the time on the board after each evaluation."""
        clock: np.ndarray = self.replay.run(self.recorded[str(run["run_id"])], run).seconds
        at: np.ndarray = clock[curve["round"].to_numpy(dtype=int)]
        return at


@dataclass(frozen=True)
class Timed:
    """Curves of one setting with a column `seconds`, NaN where the clock has none.

    caption: the clock and its machine. untimed: why, by the label of runs without a time.
    """

    curves: pd.DataFrame
    caption: str
    untimed: Mapping[str, str]


def timed(runs: pd.DataFrame, curves: pd.DataFrame, clock: Clock) -> Timed:
    """Put the runs of one setting on a clock. runs, curves: as those of `Runs`."""
    parts, untimed = [], {}
    by_run = {str(run_id): own.sort_values("round") for run_id, own in curves.groupby("run_id")}
    for run in runs.to_dict("records"):
        curve = by_run.get(str(run["run_id"]))
        if curve is None:
            continue
        seconds = np.full(len(curve), np.nan)
        try:
            seconds = clock.seconds(run, curve)
        except NoTimeError as error:
            untimed[str(run["label"])] = str(error)
        parts.append(curve.assign(seconds=seconds))
    every = pd.concat(parts) if parts else curves.iloc[:0].assign(seconds=0.0)
    return Timed(every, clock.caption(runs), untimed)


ChooseClock = Callable[[pd.DataFrame], Clock]
"""Chooses the clock for the runs of one setting."""


def choose_clock(
    wanted: str | None, folder: Path, loaded: Runs, replay_on: Callable[[str], Replay]
) -> ChooseClock:
    """Return what chooses the clock of each setting.

    wanted: "measured" (each run's own), a path of a costs.json, or the name of a modelled device.
        None: the measurement of the same task and model below `folder` (or, for a file, beside it)
        if there is exactly one, else "measured".
    loaded: the runs that were read there.
    replay_on: replays runs on the device that an override such as "device=jetson_nano" names.
    Raises ConfigurationError for a name that is none of these, RunFolderError for a damaged file.
    """
    if wanted is None:
        found = find_costs(folder if folder.is_dir() else folder.parent)
        return lambda runs: _only(found, runs) or OwnClock()
    if wanted == MEASURED:
        return lambda runs: OwnClock()
    if wanted.endswith(".json"):
        if not Path(wanted).is_file():
            raise ConfigurationError(f"--clock: found {wanted}, which is no file; {ALLOWED}")
        clock = CostsClock(read_costs(Path(wanted)))
        return lambda runs: clock
    try:
        replay = replay_on(f"device={wanted}")
    except ConfigurationError as error:
        raise ConfigurationError(f"--clock: found {wanted}; {ALLOWED} ({error})") from None
    if replay.device.board is None:
        raise ConfigurationError(
            f"--clock: found {wanted}, a device whose clock is measured; {ALLOWED}"
        )
    board = BoardClock(replay, loaded.recorded)
    return lambda runs: board


ALLOWED = "allowed: measured, a costs.json of experiment=fig6, a modelled device (jetson_nano)"


def _only(found: list[Costs], runs: pd.DataFrame) -> Clock | None:
    """Return the clock of the only measurement of these runs' task and model, if it is one."""
    first = runs.iloc[0]
    same = [
        costs
        for costs in found
        if (costs.content["task"], costs.model) == (first["task"], first["model"])
    ]
    return CostsClock(same[0]) if len(same) == 1 else None
