"""Which runs a claim is about: one model under one selector, all seeds.

Claims are of the paper's own settings: 10 of 100 samples a round, the clean stream, Titan with 30
candidates by features of the first block, all open choices at their defaults.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from titan_repro.analysis.load import velocity
from titan_repro.claims.evidence import MeasuredAfter

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

NORM: Mapping[str, str] = {
    **dict.fromkeys(("alexnet", "mlp"), "none"),
    **dict.fromkeys(("mobilenet", "squeezenet", "resnet50", "resnet34"), "batch"),
}
"""Normalisation of each model, likewise."""


@dataclass(frozen=True)
class RunGroup:
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
        self, task: str, rounds: int, *others: "RunGroup", seeds: Sequence[int] = (0, 1, 2)
    ) -> str:
        """Return the titan-run command that makes these runs, and those of other groups."""
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


def rows_of_group(measured: MeasuredAfter, group: RunGroup, task: str) -> pd.DataFrame:
    """Return the rows of a group, sorted by label."""
    kind = (task, group.model, group.selector)
    if kind not in measured.by_kind:
        return NO_ROWS
    kept = [_belongs(row, group) for row in measured.records[kind]]
    return measured.by_kind[kind][kept].sort_values(["label", "run_id"])


def _belongs(row: Mapping[Any, Any], group: RunGroup) -> bool:
    """Return whether a run of a selector is one of its group; what it does not say is default."""
    if group.stream == FEDERATED:
        if not _federated(row):
            return False
    elif row["stream"] != group.stream or isinstance(row.get("federation"), Mapping):
        return False
    wanted = dict(STANDARD.get(group.selector, {}))
    if group.selector == "titan":
        wanted |= {"filter.budget": group.budget}
        wanted |= {} if group.blocks is None else {"blocks": group.blocks}
    return (
        _default(row.get("config.batch_size"), 10) == group.batch
        and _default(velocity(row), 100) == 100
        and _default(row.get("config.model.norm"), NORM[group.model]) == NORM[group.model]
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
