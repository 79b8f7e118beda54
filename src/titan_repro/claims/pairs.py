"""Runs that a claim is about, paired by seed, where most of them got furthest.

Claims are of the paper's own settings: 10 of 100 samples a round, the clean stream, Titan with 30
candidates by features of the first block, all open choices at their defaults.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from titan_repro.analysis.load import velocity
from titan_repro.claims.comparisons import FEWEST_SEEDS
from titan_repro.claims.evidence import Evidence, MeasuredAfter

TASKS: Mapping[str, Sequence[str]] = {
    "speech_commands": ("speech_commands", "speech_spectrograms"),
    "harbox": ("harbox", "dsads"),
}
"""Tasks of conf/ that a task of the paper may be tested on, its own first."""

STANDS_IN = {
    "speech_spectrograms": "spectrograms of twenty words for Speech Commands",
    "dsads": "DSADS for HARBOX",
}

NO_ROWS = pd.DataFrame(columns=["run_id", "label", "setting", "seed", "status"])

FEDERATED = "federated"
"""Stands for the stream of runs over several devices."""

_FILTER = {
    "filter.score": "rep_plus_div",
    "filter.quota": "per_class_proportional",
    "filter.decay": 1.0,
    "pooling": "none",
    "delay": 1,
}
_POLICY = {
    "policy.gradient": "last_layer",
    "policy.class_importance": "bessel",
    "policy.class_mass": "candidates",
    "policy.weighting": "none",
    "policy.sampling": "systematic",
}
STANDARD: Mapping[str, Mapping[str, Any]] = {
    "titan": {**_FILTER, **_POLICY, "scoring_norm": "running"},
    "cis": {**_POLICY, "scoring_norm": "running"},
}
"""Choices of a selector that the paper leaves open, as the ambiguity register has them."""


@dataclass(frozen=True)
class Cell:
    """Runs that differ in their seed alone. blocks: None for any number."""

    model: str
    selector: str
    stream: str = "clean"
    batch: int = 10
    budget: int = 30
    blocks: int | None = 1

    @property
    def standard(self) -> bool:
        """Whether the paper's training curves are of such runs."""
        return (self.batch, self.budget, self.blocks) == (10, 30, 1)

    def command(
        self, task: str, rounds: int, *others: "Cell", seeds: Sequence[int] = (0, 1, 2)
    ) -> str:
        """Return the titan-run command that makes these runs, and those of other cells."""
        selectors = ",".join(dict.fromkeys(each.selector for each in (*others, self)))
        streams = ",".join(dict.fromkeys(each.stream for each in (*others, self)))
        batches = ",".join(dict.fromkeys(str(each.batch) for each in (*others, self)))
        parts = [f"titan-run -m task={task} model={self.model} selector={selectors}"]
        if streams == FEDERATED:
            parts += ["federation=fedavg"]
        elif streams != "clean":
            parts += [f"stream={streams}"]
        parts += [f"batch_size={batches}"] if batches != "10" else []
        parts += [f"filter.budget={self.budget}"] if self.budget != 30 else []
        return " ".join([*parts, f"seed={','.join(map(str, seeds))} rounds={rounds}"])


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

    def command(self, ours: Cell, *others: Cell) -> str:
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
    evidence: Evidence, task: str, ours: Cell, others: Sequence[Cell], rounds: int
) -> dict[Cell, Pair]:
    """Return the runs of a cell with those of each other cell, all after the same rounds.

    Of the numbers of rounds up to `rounds`, the largest that three common seeds reached; if there
    is none, that of the most seeds. Of several settings, that of the most seeds. A task that stands
    in counts where the paper's own has no three seeds. Cells without a common seed are left out.
    """
    best: dict[Cell, Pair] = {}
    for name in TASKS.get(task, (task,)):
        for number in (n for n in evidence.milestones if n <= rounds):
            for found in _in_settings(evidence, name, ours, others, number):
                if _most(found) > _most(best) and (
                    _most(best) < FEWEST_SEEDS or _same_place(found, best)
                ):
                    best = found
    return best


def find_pair(evidence: Evidence, task: str, ours: Cell, other: Cell, rounds: int) -> Pair | None:
    """Return the runs of two cells, as `find_pairs` does; None if they have no common seed."""
    return find_pairs(evidence, task, ours, [other], rounds).get(other)


def rows(measured: MeasuredAfter, cell: Cell, task: str) -> pd.DataFrame:
    """Return the rows of a cell, sorted by label."""
    kind = (task, cell.model, cell.selector)
    if kind not in measured.by_kind:
        return NO_ROWS
    kept = [_belongs(row, cell) for row in measured.records[kind]]
    return measured.by_kind[kind][kept].sort_values(["label", "run_id"])


def _in_settings(
    evidence: Evidence, task: str, ours: Cell, others: Sequence[Cell], rounds: int
) -> Iterator[dict[Cell, Pair]]:
    here = evidence.after(rounds)
    every = {cell: rows(here, cell, task) for cell in {ours, *others}}
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


def _most(found: Mapping[Cell, Pair]) -> int:
    return max((pair.seeds for pair in found.values()), default=0)


def _same_place(found: Mapping[Cell, Pair], best: Mapping[Cell, Pair]) -> bool:
    one, other = next(iter(found.values())), next(iter(best.values()))
    return (one.task, one.rounds) == (other.task, other.rounds)


def _belongs(row: Mapping[Any, Any], cell: Cell) -> bool:
    """Return whether a run of a selector is one of its cell; what it does not say is default."""
    if cell.stream == FEDERATED:
        if not _federated(row):
            return False
    elif row["stream"] != cell.stream or isinstance(row.get("federation"), Mapping):
        return False
    wanted = dict(STANDARD.get(cell.selector, {}))
    if cell.selector == "titan":
        wanted |= {"filter.budget": cell.budget}
        wanted |= {} if cell.blocks is None else {"blocks": cell.blocks}
    return (
        _default(row.get("config.batch_size"), 10) == cell.batch
        and _default(velocity(row), 100) == 100
        and all(_default(chosen(row, key), value) == value for key, value in wanted.items())
    )


def _federated(row: Mapping[Any, Any]) -> bool:
    """Return whether a run is over several devices, as the paper shares its samples out."""
    if not isinstance(row.get("federation"), Mapping):
        return False
    wanted = {"by": "classes", "classes_per_device": 5, "devices": 50, "local_iterations": 3}
    return all(
        _default(row.get(f"config.federation.{key}"), value) == value
        for key, value in wanted.items()
    )


def chosen(row: Mapping[Any, Any], key: str) -> Any:
    """Return the value of a choice under a dotted key; None if the run has none there."""
    node: Any = row["choices"]
    for name in key.split("."):
        node = node.get(name) if isinstance(node, Mapping) else None
    return node


def _default(value: Any, default: Any) -> Any:
    """Return a value, or the default where a column of other runs leaves none."""
    return default if value is None or value != value else value
