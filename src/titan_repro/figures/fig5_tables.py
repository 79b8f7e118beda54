"""The numbers of figure 5: a screen of tables a training to read, and all to compute with."""

import math
from collections.abc import Iterator, Mapping, Sequence

from titan_repro.analysis.mean_variance import MeanVariance
from titan_repro.analysis.variance import VarianceRecord
from titan_repro.figures.table import Table
from titan_repro.paper.published import (
    IMPORTANCE_CORRELATION,
    batch_variances,
    filter_variances,
)
from titan_repro.records.variance import GREEDY, GREEDY_WEIGHTED

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

BY_SIZE = ("is", "cis", "cis_unbiased", "titan")
"""Selectors whose errors are told by batch size, as the paper does of IS and C-IS."""

ERROR = (
    "Error: mean squared distance of the batch's gradient from the mean gradient of all samples of "
    "the round, = variance + squared bias, over that of rs, which draws without replacement and is "
    "known in closed form. By draws of the policies themselves; ± is a standard error, over seeds, "
    "or of the draws where there is one seed. fig5.csv has every seed, batch size and kind of "
    "gradients, with bias and variance apart.",
)
LEAST = (
    "Least by Lemma 2: unbiased independent draws, class quotas in fractions. Batches of fewer "
    "samples than classes cannot get there.",
)


def fig5_tables(data: Sequence[MeanVariance]) -> list[Table]:
    """Return three tables of each training, of the last layer's gradients, and one of all."""
    each = [table for mean in data for table in (_by_state(mean), _by_size(mean), _ways(mean))]
    return [*each, *_stability(data)]


def _by_state(mean: MeanVariance) -> Table:
    size = mean.batch_size
    rows = [
        [NAMES.get(name, name), *(_cell(mean, state, size, name) for state in mean.states)]
        for name in mean.selectors
    ]
    closed = {"is, closed form (Lemma 1)": mean.optimum_of_is, "least by Lemma 2": mean.least}
    for name, value in closed.items():
        rows.append([name, *(_number(value(state, size)) for state in mean.states)])
    header = ("selector", *(f"after {state:,} rounds" for state in mean.states))
    title = f"Error of a batch of {size} over that of rs; {mean.title}"
    return Table(title, header, rows, (*ERROR, *LEAST))


def _by_size(mean: MeanVariance) -> Table:
    ends = list(dict.fromkeys((mean.states[0], mean.states[-1])))
    sizes = mean.batch_sizes
    rows = [
        [NAMES[name], f"{state:,}", *(_cell(mean, state, size, name) for size in sizes)]
        for name in BY_SIZE
        for state in ends
    ]
    for state in ends:
        least = (_number(mean.least(state, size)) for size in sizes)
        rows.append(["least by Lemma 2", f"{state:,}", *least])
    for name in ("is", "cis"):
        if paper := batch_variances(mean.model, name):
            cells = (_number(paper.get(size, math.nan)) for size in sizes)
            rows.append([f"{name}, paper", "not told", *cells])
    header = ("selector", "rounds", *(f"batch of {size}" for size in sizes))
    return Table(f"The same by batch size; {mean.title}", header, rows, (*ERROR, *LEAST))


def _ways(mean: MeanVariance) -> Table:
    paper, size = filter_variances(mean.model), mean.batch_size
    rows = []
    for way, (plain, unbiased) in WAYS.items():
        cells = [
            "" if name is None else _cell(mean, state, size, name)
            for name in (plain, unbiased)
            for state in mean.states
        ]
        rows.append([way, *cells, _number(paper.get(way, math.nan))])
    header = (
        "way",
        *(f"after {state:,}" for state in mean.states),
        *(f"unbiased weights, {state:,}" for state in mean.states),
        "paper",
    )
    return Table(f"Filter and C-IS, batches of {size}, likewise; {mean.title}", header, rows, ERROR)


def _stability(data: Sequence[MeanVariance]) -> Iterator[Table]:
    found = [
        (mean.title, state, by_lag)
        for mean in data
        for state in mean.states
        if (by_lag := mean.stability(state))
    ]
    if not found:
        return
    lags = sorted({lag for *_, by_lag in found for lag in by_lag})
    rows = [
        [
            title,
            f"{state:,}",
            *(
                "none" if lag not in by_lag else "{:.2f} ({:.2f})".format(*by_lag[lag])
                for lag in lags
            ),
        ]
        for title, state, by_lag in found
    ]
    note = f"The paper has {IMPORTANCE_CORRELATION} (Pearson) at k = 1, at a state not told."
    yield Table(
        "Importance of the same samples k rounds apart: Pearson's correlation (that of ranks)",
        ("training", "rounds", *(f"k = {lag}" for lag in lags)),
        rows,
        (note,),
    )


def fig5_details(records: Sequence[VarianceRecord]) -> list[Table]:
    """Return one table: a row a measurement, state, kind of gradients, batch size and selector."""
    rows = [row for record in records for row in _of_one(record)]
    header = (
        *("task", "model", "trained_by", "seed", "rounds", "gradients", "batch_size", "selector"),
        *("mean_squared_over_rs", "variance_over_rs", "squared_bias_over_rs"),
        "standard_error_over_rs",
    )
    notes = (
        "gradients: last_layer and full (all parameters) with BatchNorm's running statistics; "
        "as_trained (all parameters) with the batch's own",
        "greedy: picked knowing the mean gradient; greedy_weighted: with the best weights",
    )
    return [Table("Figure 5: errors of batches over that of rs", header, rows, notes)]


def _of_one(record: VarianceRecord) -> Iterator[list[str]]:
    facts = [str(record.facts[name]) for name in ("task", "model", "trained_by", "seed")]
    for row in record.findings.errors:
        where = (row.state, row.batch_size, row.selector, row.gradients)
        parts = (
            record.over_rs(*where, part=part)
            for part in ("mean_squared", "variance", "squared_bias", "standard_error")
        )
        names = (str(row.state), row.gradients, str(row.batch_size), row.selector)
        yield [*facts, *names, *(f"{part:.6g}" for part in parts)]


def _cell(mean: MeanVariance, state: int, size: int, name: str) -> str:
    total, error = mean.over_rs(state, size, name), mean.uncertainty(state, size, name)
    if math.isnan(total):
        return "none"
    return _number(total) if error == 0 else f"{_number(total)} ±{_number(error)}"


def _number(value: float) -> str:
    if math.isnan(value):
        return "none"
    return f"{value:.3g}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"
