"""Runs of two groups with the same seeds, at the most rounds that three seeds of both reached."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from titan_repro.claims.comparisons import FEWEST_SEEDS
from titan_repro.claims.evidence import ClaimEvidence, MeasuredAfter
from titan_repro.claims.groups import RunGroup, rows_of_group

TASKS: Mapping[str, Sequence[str]] = {
    "speech_commands": ("speech_commands", "speech_spectrograms"),
    "harbox": ("harbox", "dsads"),
}
"""Tasks of conf/ that a task of the paper may be tested on, its own first."""

STANDS_IN = {
    "speech_spectrograms": "spectrograms of twenty words for Speech Commands",
    "dsads": "DSADS for HARBOX",
}


@dataclass(frozen=True)
class Pair:
    """Two groups of runs with the same seeds, rows of `Runs.summaries` in the order of seeds.

    rounds: after which they were measured. task: that they were trained on. measured: all runs that
    were measured then.
    """

    ours: pd.DataFrame
    theirs: pd.DataFrame
    rounds: int
    task: str
    measured: MeasuredAfter

    @property
    def curves(self) -> pd.DataFrame:
        """Curves of both groups, as of `Runs`."""
        every = self.measured.curves
        return every[every["run_id"].isin(self.runs)]

    @property
    def seeds(self) -> int:
        """How many seeds both have."""
        return len(self.ours)

    @property
    def runs(self) -> tuple[str, ...]:
        """Ids of all runs."""
        return tuple(map(str, pd.concat([self.ours, self.theirs])["run_id"].drop_duplicates()))

    def command(self, ours: RunGroup, *others: RunGroup) -> str:
        """Return the titan-run command that makes runs like these."""
        seeds = self.ours["seed"].astype(int).tolist()
        return ours.command(self.task, self.rounds, *others, seeds=seeds)

    def note(self, rounds: int, *, data: bool = False) -> str:
        """Say what differs from the paper's runs of so many rounds; data: also in pictures."""
        parts = [STANDS_IN.get(self.task, "")]
        parts += [f"{self.rounds:,} of {rounds:,} rounds"] if self.rounds < rounds else []
        sources = "".join(self.ours["data_source"].astype(str)).lower()
        parts += ["JPEG copy of CIFAR-10"] if data and "jpeg" in sources else []
        return "; ".join(part for part in parts if part)


def find_pairs(
    evidence: ClaimEvidence, task: str, ours: RunGroup, others: Sequence[RunGroup], rounds: int
) -> dict[RunGroup, Pair]:
    """Return the runs of a group with those of each other group, all after the same rounds.

    Of the numbers of rounds up to `rounds`, the largest that three common seeds reached; if there
    is none, that of the most seeds. Of several settings, that of the most seeds. A task that stands
    in counts where the paper's own has no three seeds. Cells without a common seed are left out.
    """
    best: dict[RunGroup, Pair] = {}
    for name in TASKS.get(task, (task,)):
        for number in (n for n in evidence.milestones if n <= rounds):
            for found in _in_settings(evidence, name, ours, others, number):
                if _most(found) > _most(best) and (
                    _most(best) < FEWEST_SEEDS or _same_place(found, best)
                ):
                    best = found
    return best


def find_pair(
    evidence: ClaimEvidence, task: str, ours: RunGroup, other: RunGroup, rounds: int
) -> Pair | None:
    """Return the runs of two groups, as `find_pairs` does; None if they have no common seed."""
    return find_pairs(evidence, task, ours, [other], rounds).get(other)


def _in_settings(
    evidence: ClaimEvidence, task: str, ours: RunGroup, others: Sequence[RunGroup], rounds: int
) -> Iterator[dict[RunGroup, Pair]]:
    here = evidence.after(rounds)
    every = {group: rows_of_group(here, group, task) for group in {ours, *others}}
    for setting, own in every[ours].groupby("setting"):
        found = {}
        for other in others:
            theirs = every[other]
            if (other.stream, other.batch) == (ours.stream, ours.batch):
                theirs = theirs[theirs["setting"] == setting]
            elif len(theirs):
                theirs = theirs[theirs["setting"] == theirs["setting"].value_counts().idxmax()]
            pair = _pair(own, theirs, rounds, task, here)
            if pair.seeds:
                found[other] = pair
        yield found


def _pair(
    ours: pd.DataFrame, theirs: pd.DataFrame, rounds: int, task: str, measured: MeasuredAfter
) -> Pair:
    ours, theirs = ours.drop_duplicates("seed"), theirs.drop_duplicates("seed")
    theirs = theirs[theirs["status"] == "finished"]
    common = sorted(set(ours["seed"]) & set(theirs["seed"]))
    ours, theirs = (runs.set_index("seed", drop=False).loc[common] for runs in (ours, theirs))
    return Pair(ours, theirs, rounds, task, measured)


def _most(found: Mapping[RunGroup, Pair]) -> int:
    return max((pair.seeds for pair in found.values()), default=0)


def _same_place(found: Mapping[RunGroup, Pair], best: Mapping[RunGroup, Pair]) -> bool:
    one, other = next(iter(found.values())), next(iter(best.values()))
    return (one.task, one.rounds) == (other.task, other.rounds)
