"""What differs from the paper, of the runs that there are: data, rounds, seeds, machine."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from pandas.api.types import is_list_like

from titan_repro.analysis.gaps import missing_seeds
from titan_repro.figures.titles import short_title
from titan_repro.figures.words import count_of, numbers_in_words
from titan_repro.paper.published import TABLE1_ROUNDS, claims

STANDS_IN = {
    "dsads": ("harbox", "HARBOX cannot be redistributed; DSADS is movement of other people"),
    "speech_spectrograms": ("speech_commands", "spectrograms of recordings, made beforehand"),
    "speech_commands_10": ("speech_commands", "the ten command words alone"),
}
"""Tasks in place of the paper's, and why."""

PAPER_BOARD = "Jetson Nano"


@dataclass(frozen=True)
class Difference:
    """One thing that is not as in the paper."""

    what: str
    paper: str
    ours: str


def differences(summaries: pd.DataFrame) -> list[Difference]:
    """Return them, the weightiest first. summaries: of `Runs`."""
    tasks = sorted(set(summaries["task"]))
    return [
        *(each for task in tasks for each in _data(summaries, task)),
        *_missing(summaries),
        Difference("rounds", f"{TABLE1_ROUNDS:,} (image models)", _rounds(summaries)),
        Difference("seeds", "not stated, no spread given", _seeds(summaries)),
        Difference("machine", PAPER_BOARD, f"{_machine(summaries)}; {PAPER_BOARD} only modelled"),
    ]


def _data(summaries: pd.DataFrame, task: str) -> list[Difference]:
    source = sorted(set(summaries.loc[summaries["task"] == task, "data_source"]))
    if task in STANDS_IN:
        other, why = STANDS_IN[task]
        return [Difference("data", other, f"{task} stands in: {why}")]
    if any("JPEG" in name for name in source):
        words = f"{', '.join(source)}: re-encoded, so accuracies do not compare to the decimal"
        return [Difference("data", f"{task}, lossless", words)]
    if task not in paper_tasks():
        return [Difference("data", "not in the paper", ", ".join(source))]
    return []


def _missing(summaries: pd.DataFrame) -> list[Difference]:
    """Name the paper's models that have no run, or none on its data."""
    models = [c.id.split(".")[2] for c in claims().values() if c.id.startswith("table1.time.")]
    lacking = [name for name in dict.fromkeys(models) if name not in set(summaries["model"])]
    if not lacking:
        return []
    return [Difference("models", f"{len(dict.fromkeys(models))} in Table 1", _no_run(lacking))]


def _no_run(models: Sequence[str]) -> str:
    return f"no run yet of {', '.join(models)}"


def paper_tasks() -> set[str]:
    """Return the tasks that Table 1 speaks of."""
    pairs = [part for c in claims().values() for part in c.condition.split() if "=" in part]
    return {value for key, value in (pair.split("=", 1) for pair in pairs) if key == "task"}


def _rounds(summaries: pd.DataFrame) -> str:
    parts = []
    for (task, model), group in summaries.groupby(["task", "model"]):
        numbers = " and ".join(f"{n:,}" for n in sorted(set(group["rounds"])))
        parts.append(f"{numbers} ({model} on {task})")
    return "; ".join(parts)


def _seeds(summaries: pd.DataFrame) -> str:
    parts = []
    for (task, model), group in summaries.groupby(["task", "model"]):
        numbers = group.groupby("label")["seed"].nunique()
        low, high = int(numbers.min()), int(numbers.max())
        words = count_of(high, "seed") if low == high else f"{low} to {high} seeds"
        parts.append(f"{words} ({model} on {task})")
    return "; ".join(parts)


def gaps(summaries: pd.DataFrame) -> list[str]:
    """Say, a line a setting, which selectors lack which seeds that others have."""
    lines = []
    for _, group in summaries.groupby("setting", sort=False):
        by_seeds: dict[tuple[int, ...], list[str]] = {}
        for label, seeds in missing_seeds(group).items():
            by_seeds.setdefault(tuple(seeds), []).append(label)
        parts = [f"{', '.join(who)}: {numbers_in_words(seeds)}" for seeds, who in by_seeds.items()]
        if parts:
            lines.append(f"Seeds without a run, {short_title(group)}: {'; '.join(parts)}.")
    return lines


def _machine(summaries: pd.DataFrame) -> str:
    if "processors" not in summaries:
        return "not recorded"
    lists = [names for names in summaries["processors"] if is_list_like(names)]
    return ", ".join(sorted({str(name) for names in lists for name in names})) or "not recorded"
