"""What variance.json says: how far batch gradients are from the mean gradient, at training states.

Every number is a mean over rounds of the stream, of squared lengths of gradients. `gradients` says
which: `last_layer` and `full` (all parameters), both with running BatchNorm statistics, so that a
batch's gradient is the weighted mean of its samples'; `as_trained` (all parameters, as the training
step computes them, with the batch's own statistics).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

LAST_LAYER, FULL, AS_TRAINED = "last_layer", "full", "as_trained"
GREEDY, GREEDY_WEIGHTED = "greedy", "greedy_weighted"
"""In place of a selector: a batch picked to be near the mean gradient, by one who knows it; plainly
averaged, and with the best weights for its samples."""


@dataclass(frozen=True)
class StateVariance:
    """Variance of one pick at a state, in closed form (theory.decomposition); a batch has 1 / B.

    state: rounds trained. rs: with replacement. stratified: inside classes, which is what a
    class-proportional batch leaves. importance_sampling, cis: what is left at the optimum of
    Lemmas 1 and 2. squared_mean: |mean gradient|^2. samples: of a round. unfilled: how many classes
    Lemma 2 gives fewer than one pick in a batch of `batch_size`.
    """

    state: int
    gradients: str
    rs: float
    stratified: float
    importance_sampling: float
    cis: float
    squared_mean: float
    samples: int
    batch_size: int
    unfilled: float

    def rs_batch(self, size: int) -> float:
        """Return the variance of a uniform batch without replacement, as `rs` draws it."""
        left = (self.samples - size) / max(self.samples - 1, 1)
        return self.rs / size * left


@dataclass(frozen=True)
class BatchError:
    """What a selector's batches are off by, from repeated draws of its policy.

    mean_squared: E |batch gradient - mean gradient of the arrivals|^2 = variance + squared_bias.
    Estimates of both are unbiased, so that a squared bias near zero may come out below it.
    standard_error: of mean_squared, by the draws; the rounds are taken as given.
    """

    state: int
    gradients: str
    batch_size: int
    selector: str
    mean_squared: float
    variance: float
    squared_bias: float
    standard_error: float


@dataclass(frozen=True)
class Stability:
    """How per-sample importance at a state is correlated with that `lag` rounds later.

    pearson, spearman: of the last layer's gradient norms of the same `samples` samples.
    """

    state: int
    lag: int
    pearson: float
    spearman: float
    samples: int


@dataclass(frozen=True)
class Findings:
    """The tables of variance.json."""

    decomposition: tuple[StateVariance, ...] = ()
    errors: tuple[BatchError, ...] = ()
    stability: tuple[Stability, ...] = ()

    def __add__(self, other: "Findings") -> "Findings":
        """Return the rows of both."""
        return Findings(
            self.decomposition + other.decomposition,
            self.errors + other.errors,
            self.stability + other.stability,
        )

    def record(self) -> dict[str, Any]:
        """Return what the file holds of them."""
        tables = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: [asdict(row) for row in rows] for name, rows in tables.items()}


FACTS = (
    *("experiment", "seed", "trained_by", "velocity", "rounds", "draws", "full_rounds"),
    *("trained_draws", "data_source", "batch_norm", "filter_budget"),
)
"""Entries that tables and figures quote beside task, model and id."""


def findings_of(content: Mapping[str, Any]) -> Findings:
    """Read the tables of a file's content.

    Raises KeyError naming what is missing, TypeError for tables that are none.
    """
    for name in FACTS:
        content[name]
    return Findings(
        _rows(content, "decomposition", StateVariance),
        _rows(content, "errors", BatchError),
        _rows(content, "stability", Stability),
    )


Row = TypeVar("Row", StateVariance, BatchError, Stability)


def _rows(content: Mapping[str, Any], name: str, kind: type[Row]) -> tuple[Row, ...]:
    wanted = [field.name for field in fields(kind)]
    rows = []
    for number, row in enumerate(content[name]):
        for key in wanted:
            if key not in row:
                raise KeyError(f"{name}[{number}].{key}")
            if isinstance(row[key], str) != (kind.__annotations__[key] is str):
                raise TypeError(f"{name}[{number}].{key} is {row[key]!r}")
        rows.append(kind(**{key: row[key] for key in wanted}))
    return tuple(rows)
