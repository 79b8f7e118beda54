"""The numbers of figure 5 as tables: every state, every batch size, every kind of gradients."""

import math
from collections.abc import Iterator, Mapping, Sequence

from titan_repro.analysis.variance import VarianceRecord
from titan_repro.figures.table import Table
from titan_repro.paper.published import (
    IMPORTANCE_CORRELATION,
    batch_variances,
    filter_variances,
)
from titan_repro.records.variance import AS_TRAINED, FULL, GREEDY, GREEDY_WEIGHTED, LAST_LAYER

NAMES: Mapping[str, str] = {
    "rs": "rs",
    "stratified": "stratified",
    "is": "is",
    "cis": "cis",
    "cis_unbiased": "cis, unbiased weights",
    "titan": "titan",
    "titan_unbiased": "titan, unbiased weights",
    GREEDY: "picked knowing the mean gradient",
    GREEDY_WEIGHTED: "the same, with the best weights",
}
SHOWN = ("stratified", "is", "cis", "cis_unbiased", "titan")
"""Drawn as lines over the batch size."""

WAYS: Mapping[str, tuple[str, str | None]] = {
    "Random+Random": ("rs", None),
    "Coarse+Random": ("coarse_random", None),
    "Random+C-IS": ("random_cis", "random_cis_unbiased"),
    "Coarse+C-IS": ("titan", "titan_unbiased"),
    "C-IS": ("cis", "cis_unbiased"),
}
"""The paper's ways of figure 5(b): our selectors with plain and with unbiased weights."""

WORDS = {
    LAST_LAYER: "gradients of the last layer",
    FULL: "gradients over all parameters, BatchNorm's running statistics",
    AS_TRAINED: "gradients over all parameters as trained, BatchNorm's own statistics of a batch",
}

NOTES = (
    "Error: mean squared distance of the batch's gradient from the mean gradient of all samples of "
    "the round, = variance + squared bias, over that of rs, which draws without replacement and is "
    "known in closed form. By draws of the policies themselves; (±) is a standard error, bias the "
    "squared bias where it is more than three of these.",
    "Least by Lemma 2: unbiased independent draws, class quotas in fractions. Batches of fewer "
    "samples than classes cannot get there.",
)


def fig5_tables(data: Sequence[VarianceRecord]) -> list[Table]:
    """Return all tables of all measurements."""
    return [table for record in data for table in _of_one(record)]


def _of_one(record: VarianceRecord) -> Iterator[Table]:
    for state in record.states:
        for gradients in record.gradients:
            if any(row.gradients == gradients for row in record.findings.errors):
                yield _errors(record, state, gradients)
    yield _ways(record)
    if record.findings.stability:
        yield _stability(record)


def _errors(record: VarianceRecord, state: int, gradients: str) -> Table:
    sizes = record.batch_sizes if gradients != AS_TRAINED else [record.batch_size]
    rows = [
        [NAMES.get(name, name), *(_cell(record, state, size, name, gradients) for size in sizes)]
        for name in record.selectors
    ]
    if gradients != AS_TRAINED:
        closed = {
            "is, closed form (Lemma 1)": record.optimum_of_is,
            "least by Lemma 2": record.least,
        }
        for name, value in closed.items():
            rows.append([name, *(_number(value(state, size, gradients)) for size in sizes)])
    if gradients == LAST_LAYER:
        for name in ("is", "cis"):
            paper = batch_variances(record.model, name)
            if paper:
                cells = [_number(paper.get(size, math.nan)) for size in sizes]
                rows.append([f"{name}, paper (state not told)", *cells])
    title = f"Error of a batch over that of rs after {state:,} rounds: {WORDS[gradients]}"
    header = ("selector", *(f"batch of {size}" for size in sizes))
    return Table(f"{title}; {record.title}", header, rows, NOTES)


def _cell(record: VarianceRecord, state: int, size: int, name: str, gradients: str) -> str:
    total, error, bias = (
        record.over_rs(state, size, name, gradients, part)
        for part in ("mean_squared", "standard_error", "squared_bias")
    )
    if math.isnan(total):
        return "none"
    if error == 0:  # the same batch every time: all of it is bias
        return f"{_number(total)}, fixed"
    biased = f", bias {_number(bias)}" if bias > 3 * error else ""
    return f"{_number(total)} (±{_number(error)}{biased})"


def _number(value: float) -> str:
    return "none" if math.isnan(value) else f"{value:.3g}"


def _ways(record: VarianceRecord) -> Table:
    paper, size = filter_variances(record.model), record.batch_size
    rows = []
    for way, (plain, unbiased) in WAYS.items():
        for state in record.states:
            cells = [
                _number(record.over_rs(state, size, name, part=part)) if name else ""
                for name in (plain, unbiased)
                for part in ("mean_squared", "variance", "squared_bias")
            ]
            rows.append([way, f"{state:,}", *cells, _number(paper.get(way, math.nan))])
    header = (
        *("way", "rounds", "error", "variance", "squared bias"),
        *("error, unbiased weights", "variance", "squared bias", "paper"),
    )
    title = f"Filter and C-IS, batches of {size}, gradients of the last layer, over rs"
    return Table(f"{title}; {record.title}", header, rows, NOTES[:1])


def _stability(record: VarianceRecord) -> Table:
    rows = [
        [f"{row.state:,}", str(row.lag), f"{row.pearson:.3f}", f"{row.spearman:.3f}"]
        for row in record.findings.stability
    ]
    samples = record.findings.stability[0].samples
    title = f"Importance of the same {samples} samples k rounds apart, correlation"
    notes = (f"The paper has {IMPORTANCE_CORRELATION} (Pearson) at k = 1, at a state not told.",)
    header = ("rounds", "k", "Pearson", "ranks (Spearman)")
    return Table(f"{title}; {record.title}", header, rows, notes)
