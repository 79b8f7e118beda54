"""Figure 5: how far batch gradients are from the mean gradient (variance.json of experiment=fig5).

C-IS and Titan are those weighted as in appendix A.2, which Theorem 2 is about; gradients are those
of the last layer. Distances of a seed are means over its training states.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from titan_repro.analysis.statistics import mean_interval
from titan_repro.claims.evidence import ClaimEvidence
from titan_repro.claims.finding import ClaimFinding, gap, lean_of, range_of
from titan_repro.claims.rules import Question
from titan_repro.records.measured import VARIANCE, measurements_below
from titan_repro.records.storage import damaged
from titan_repro.records.variance import findings_of

COMMAND = "titan-run experiment=fig5 seed=0,1,2"
OTHERS = ("rs", "is", "ll", "hl", "ce", "ocs", "camel")
"""The selectors that the paper holds C-IS against."""

CIS, TITAN = "cis_unbiased", "titan_unbiased"
BATCH = 10

Content = Mapping[str, Any]
"""Of one variance.json: of one model and seed."""


def figure5(question: Question, evidence: ClaimEvidence) -> list[ClaimFinding]:
    """Return what the measurements say, a finding a model (and batch size)."""
    by_model = defaultdict(list)
    for path, content in _measurements(evidence.source):
        if content["task"] == question.one("task"):
            by_model[str(content["model"])].append((path, content))
    if not by_model:
        return [gap("no measurement of experiment=fig5", COMMAND)]
    number = NUMBERS[question.one("number")]
    return [_finding(question, model, files, number) for model, files in sorted(by_model.items())]


def _margin(content: Content) -> float:
    """Return C-IS less the lowest other over rs, at the batch size where it is worst."""
    sizes = _sizes(content)
    return max(
        _distance(content, CIS, size) - min(_distance(content, name, size) for name in OTHERS)
        for size in sizes
    )


def _gap_slope(content: Content) -> float:
    """Return how much the gap between IS and C-IS, over rs, grows as the batch doubles."""
    sizes = _sizes(content)
    gaps = [_distance(content, "is", size) - _distance(content, CIS, size) for size in sizes]
    return float(np.polyfit(np.log2(sizes), gaps, 1)[0])


def _filter_loss(content: Content) -> float:
    """Return what the coarse filter adds to C-IS, in percent of rs."""
    return 100 * (_distance(content, TITAN, BATCH) - _distance(content, CIS, BATCH))


def _stability(content: Content) -> float:
    """Return the correlation of gradient norms one round apart, mean over states."""
    return float(np.mean([row["pearson"] for row in content["stability"] if row["lag"] == 1]))


NUMBERS: Mapping[str, Callable[[Content], float]] = {
    "margin": _margin,
    "slope": _gap_slope,
    "filter": _filter_loss,
    "stability": _stability,
}


def _distance(content: Content, selector: str, size: int) -> float:
    """Return a selector's mean squared distance over that of rs, mean over states."""
    found = {
        (row["state"], row["selector"]): row["mean_squared"]
        for row in content["errors"]
        if row["gradients"] == "last_layer" and row["batch_size"] == size
    }
    states = sorted({state for state, _ in found})
    return float(np.mean([found[state, selector] / found[state, "rs"] for state in states]))


def _sizes(content: Content) -> list[int]:
    return sorted({row["batch_size"] for row in content["errors"]})


def _finding(
    question: Question,
    model: str,
    files: Sequence[tuple[Path, Content]],
    number: Callable[[Content], float],
) -> ClaimFinding:
    values: dict[int, float] = {}
    for path, content in files:
        try:
            values.setdefault(content["seed"], number(content))
        except KeyError as error:
            raise damaged(path, f"no {error.args[0]}") from None
    interval = mean_interval(list(values.values()))
    sign = {"at_most": -1, "at_least": 1}.get(question.rule.comparison, question.sign)
    return ClaimFinding(
        part=model,
        value=interval.estimate,
        interval=range_of(interval),
        seeds=interval.number,
        lean=lean_of(range_of(interval), question.rule.threshold, sign),
        runs=tuple(str(content["id"]) for _, content in files),
        command=COMMAND,
    )


def _measurements(source: Path) -> Iterable[tuple[Path, Content]]:
    """Yield every variance.json of experiment=fig5 below a folder, others being of fewer selectors.

    Raises RunFolderError naming a damaged one.
    """
    for path, content in measurements_below(source, VARIANCE, findings_of):
        if content["experiment"] == "fig5":
            yield path, content
