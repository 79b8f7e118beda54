"""Runs of one place as two tables for everything in this package, each cut at a number of rounds.

A run is a line and its number of rounds a point on it. Runs of a setting are compared at one point
N that they have in common: where the whole test set was measured (see `milestones`).
"""

from collections import Counter
from collections.abc import Collection as Container
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from titan_repro.config import SETTING_KEYS
from titan_repro.errors import RunFolderError
from titan_repro.records.collect import Collection, collect
from titan_repro.records.export import OF_THE_END
from titan_repro.records.recorded import RecordedRun


@dataclass(frozen=True)
class LeftOut:
    """A run that does not count. rounds: how far it is."""

    where: str
    rounds: int
    status: str


@dataclass(frozen=True)
class Runs:
    """Runs at the number of rounds N of their setting, and their curves until there.

    summaries: a row a run that has a milestone at N, or diverged before: the columns of
        `Collection.table`, of which `status` (finished, diverged), `rounds` (N), `rounds_done`,
        `final_*`, `weights_sha256` and `seconds_per_round` are those at N, and two more. `label`:
        the selector's name, with the choices that are not what most runs of the same selector
        have; with all that differ where no value is the most frequent. `detail`: likewise what
        tells the run's setting from others of its task, model and stream.
    curves: long form: run_id, round, accuracy, loss, train_seconds, and the run's label, task,
        model, setting and seed.
    recorded: all else that is kept of each run, by its id.
    longer: how many of the runs go on after N.
    left_out: runs without a milestone at N. damaged: a line for each that cannot be read.
    usual: the choices that labels leave out; empty if no selector has runs with several.
    """

    summaries: pd.DataFrame
    curves: pd.DataFrame
    recorded: Mapping[str, RecordedRun]
    longer: int = 0
    left_out: tuple[LeftOut, ...] = ()
    damaged: tuple[str, ...] = ()
    usual: str = ""

    def settings(self) -> list[pd.DataFrame]:
        """Return the rows of `summaries`, a table a setting, in their order."""
        return [group for _, group in self.summaries.groupby("setting", sort=False)]

    def remarks(self) -> list[str]:
        """Say, a line each, what goes on further than the tables, is missing and is damaged."""
        lines = []
        if self.longer:
            lines.append(f"{self.longer} of the runs go on further; --rounds N counts them at N")
        if self.left_out:
            lines.append(f"left out, not measured there: {_told(self.left_out)}")
        if self.damaged:
            lines.append(f"left out {len(self.damaged)} damaged: {'; '.join(self.damaged)}")
        if self.usual:
            lines.append(f"choices where a name gives no others: {self.usual}")
        return lines


def load_runs(source: Path, rounds: int | None = None) -> Runs:
    """Read all runs below `source`, or in the export that it is.

    rounds: N for every setting. Without it, N is for each setting the number of rounds at which
        most of its runs were last measured on the whole test set; of several, the largest.
    A run that is there twice counts once, the longer one. Raises RunFolderError if no run counts.
    """
    return runs_at(collect(source), rounds)


def runs_at(
    found: Collection, rounds: int | None = None, *, only: Container[str] | None = None
) -> Runs:
    """Cut runs that were read before, as `load_runs` does.

    only: the ids of the runs that count; without it all do.
    """
    table = found.table()
    if only is not None:
        table = table[table["run_id"].isin(list(only))]
    cut, left_out, longer = [], [], 0
    for _, group in table.groupby("setting", sort=False) if len(table) else ():
        at = _common_rounds(group) if rounds is None else rounds
        for _, row in group.iterrows():
            here = None if at is None else at_rounds(row.to_dict(), at)
            if here is None:
                left_out.append(LeftOut(row["where"], int(row["rounds_done"]), row["status"]))
            else:
                cut.append(here)
                longer += int(row["rounds_done"] > here["rounds_done"])
    if only is None:
        left_out += [LeftOut(str(run.path), run.rounds, "not over") for run in found.begun]
    if not cut:
        raise RunFolderError(_nothing(found, left_out, rounds))
    summaries = pd.DataFrame(cut, columns=table.columns)
    usual = _usual_choices(summaries)
    named = [
        _label(selector, _flatten(choices), usual)
        for selector, choices in zip(summaries["selector"], summaries["choices"], strict=True)
    ]
    summaries = summaries.assign(label=named, detail=_details(summaries))
    return Runs(
        summaries,
        _curves(found, summaries),
        {run.summary["run_id"]: run for run in found.runs},
        longer,
        tuple(left_out),
        found.damaged,
        _told_choices(usual),
    )


def velocity(row: Mapping[Any, Any]) -> Any:
    """Return how many samples arrive in a round of a run, a row of `Runs.summaries`.

    As titan-run binds it: the stream's own number where it holds one (columns of other runs leave
    NaN), else stream.velocity; None if the row has neither.
    """
    own = row.get("config.stream.source.velocity")
    return row.get("config.stream.velocity") if own is None or own != own else own


def at_rounds(row: Mapping[Any, Any], rounds: int) -> dict[Any, Any] | None:
    """Return a run's row of `Collection.table` as it was after so many rounds.

    None if the whole test set was not measured there, unless the run had diverged before.
    """
    for milestone in row["milestones"]:
        if milestone["rounds"] == rounds:
            whole = rounds == row["rounds_done"] and row["status"] == "finished"
            unknown = () if whole else (key for key in OF_THE_END if key in row)
            return {
                **row,
                **dict.fromkeys(unknown),
                "status": "finished",
                "rounds": rounds,
                "rounds_done": rounds,
                "final_accuracy": milestone["accuracy"],
                "final_loss": milestone["loss"],
                "final_samples": milestone["samples"],
                "weights_sha256": milestone["weights_sha256"],
                "seconds_per_round": milestone["train_seconds"] / max(rounds, 1),
            }
    diverged = row["status"] == "diverged" and row["rounds_done"] <= rounds
    return {**row, "rounds": rounds} if diverged else None


def _common_rounds(group: pd.DataFrame) -> int | None:
    """Return N for the runs of one setting; None if nothing was measured and none diverged."""
    last: list[int] = [found[-1]["rounds"] for found in group["milestones"] if len(found)]
    if last:
        return max(set(last), key=lambda rounds: (last.count(rounds), rounds))
    diverged = group[group["status"] == "diverged"]
    return int(diverged["rounds"].max()) if len(diverged) else None


def _curves(found: Collection, summaries: pd.DataFrame) -> pd.DataFrame:
    """Return the curves of the runs that count, cut at their rounds."""
    points = ["run_id", "round", "accuracy", "loss", "train_seconds"]
    facts = ["run_id", "label", "selector", "task", "model", "setting", "seed"]
    ends = summaries[[*facts, "rounds"]]
    curves = found.curves(set(summaries["run_id"]))[points].drop_duplicates(["run_id", "round"])
    curves = curves.merge(ends, on="run_id")
    return curves[curves["round"] <= curves["rounds"]].drop(columns="rounds").reset_index(drop=True)


def _nothing(found: Collection, left_out: list[LeftOut], rounds: int | None) -> str:
    """Say why there is nothing to report."""
    if rounds is not None and found.runs:
        known = {m["rounds"] for run in found.runs for m in run.summary["milestones"]}
        every = ", ".join(f"{number:,}" for number in sorted(known)) or "none yet"
        return f"{found.source}: found no run measured at --rounds {rounds}; allowed: {every}"
    parts = [
        *([f"not measured yet: {_told(left_out)}"] if left_out else []),
        *([f"{len(found.damaged)} damaged: {'; '.join(found.damaged)}"] if found.damaged else []),
    ]
    told = "; ".join(parts) or "titan-run with paths.runs makes them"
    return f"{found.source}: found no finished runs; {told}"


def _told(left_out: "list[LeftOut] | tuple[LeftOut, ...]") -> str:
    """Name the runs that are left out, and how far they are; of more than five, how many."""
    if len(left_out) <= 5:
        return ", ".join(f"{run.where} ({run.status}, {run.rounds:,} rounds)" for run in left_out)
    numbers = Counter((run.status, run.rounds) for run in left_out)
    told = [f"{n} {status} at {rounds:,} rounds" for (status, rounds), n in numbers.most_common()]
    kinds = [*told[:5], *(["some elsewhere"] if len(told) > 5 else [])]
    return f"{', '.join(kinds)}; titan-report runs names them"


def _usual_choices(summaries: pd.DataFrame) -> dict[str, dict[str, str | None]]:
    """Return for each selector the choices that differ among its runs, and what most have.

    None where no value is more frequent than all others.
    """
    seen: dict[str, dict[str, Counter[str]]] = {}
    for selector, choices in zip(summaries["selector"], summaries["choices"], strict=True):
        for key, value in _flatten(choices).items():
            seen.setdefault(selector, {}).setdefault(key, Counter())[value] += 1
    return {
        selector: {key: _most(found) for key, found in sorted(keys.items()) if len(found) > 1}
        for selector, keys in seen.items()
    }


def _most(numbers: Counter[str]) -> str | None:
    (value, most), (_, second) = numbers.most_common(2)
    return value if most > second else None


def _label(
    selector: str, choices: Mapping[str, str], usual: Mapping[str, Mapping[str, str | None]]
) -> str:
    """Name a run by its selector and by the choices that are not what the selector usually has."""
    telling = [
        f"{key}={choices[key]}"
        for key, value in usual.get(selector, {}).items()
        if key in choices and choices[key] != value
    ]
    return " ".join([selector, *telling])


def _told_choices(usual: Mapping[str, Mapping[str, str | None]]) -> str:
    """Say what a selector's name stands for where it has runs with other choices, too."""
    told = [
        f"{selector} ({', '.join(f'{key}={value}' for key, value in keys.items() if value)})"
        for selector, keys in usual.items()
        if any(keys.values())
    ]
    return "; ".join(told)


def _details(summaries: pd.DataFrame) -> "pd.Series[str]":
    """Name for each run the keys of its setting that differ within its task, model and stream."""
    details = pd.Series("", index=summaries.index)
    columns = [name for name in map(str, summaries) if _tells_settings_apart(name)]
    for _, family in summaries.groupby(["task", "model", "stream"]):
        values = family[columns].astype(str)
        for column in columns:
            constant = (values[column].groupby(family["setting"]).nunique() == 1).all()
            if constant and values[column].nunique() > 1:
                key = column.removeprefix("config.")
                told = [f", {key} {value}" if value != "nan" else "" for value in values[column]]
                details[family.index] += told
    return details


def _tells_settings_apart(column: str) -> bool:
    if not column.startswith("config."):
        return False
    key = column.removeprefix("config.")
    if key == "task.front_end":
        return True
    group, _, part = key.rpartition(".")
    if group == "":
        return key in SETTING_KEYS
    if group == "federation" and part in ("workers", "timeout_seconds"):
        return False  # they change no result
    return group in ("model", "stream", "device", "federation") and part != "name"


def _flatten(node: Any, prefix: str = "") -> dict[str, str]:
    if isinstance(node, float) and node.is_integer():
        return {prefix: str(int(node))}  # 1 and 1.0 name one run
    if not isinstance(node, dict):
        return {prefix: str(node)}
    flat: dict[str, str] = {}
    for key, value in node.items():
        flat |= _flatten(value, f"{prefix}.{key}".lstrip("."))
    return flat
