"""What a run came to: the points of its curve, its milestones and its summary.

`evaluations.csv` gets one line an evaluation, written at once; on resuming it is cut back to its
length at the checkpoint. `summary.json` has the milestones and the end.
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from titan_repro.records.storage import damaged, writing


@dataclass(frozen=True)
class EvaluationRecord:
    """One point of a run's curves; the fields are the columns of evaluations.csv.

    round: rounds trained before this evaluation.
    accuracy: share of the evaluated samples that were classified correctly, 0 to 1.
    loss: mean cross-entropy over them.
    train_seconds: measured time of all rounds so far, without evaluations and checkpoints.
    samples: number of samples evaluated.
    """

    round: int
    accuracy: float
    loss: float
    train_seconds: float
    samples: int


CURVE_COLUMNS = tuple(field.name for field in fields(EvaluationRecord))
CURVE_DTYPES = {
    field.name: "int64" if field.type is int else "float64" for field in fields(EvaluationRecord)
}
_HEADER = (",".join(CURVE_COLUMNS) + "\n").encode()


class EvaluationLog:
    """The file as its writer sees it: nothing stays in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def cut(self, length: int) -> None:
        """Forget all but the first `length` bytes; 0 begins a new file."""
        with writing(self._path), self._path.open("ab") as file:
            found = file.tell()
            if found < length:
                raise damaged(self._path, f"{found} bytes, {length} at the last checkpoint")
            file.truncate(length)
            if length == 0:
                file.write(_HEADER)
            file.flush()
            os.fsync(file.fileno())

    def append(self, evaluation: EvaluationRecord) -> None:
        """Add one line; `sync` puts it on the disk."""
        values = (str(getattr(evaluation, name)) for name in CURVE_COLUMNS)
        with writing(self._path), self._path.open("ab") as file:
            file.write((",".join(values) + "\n").encode())

    def sync(self) -> int:
        """Put all lines on the disk and return the file's length in bytes."""
        with writing(self._path), self._path.open("ab") as file:
            os.fsync(file.fileno())
            return file.tell()


MILESTONES = (1000, 2000, 4000, 10_000, 20_000)
"""Rounds after which every run is measured on the whole test set, and so is its end."""


@dataclass(frozen=True)
class Milestone:
    """The network after `rounds` rounds; the fields are the keys in summary.json.

    accuracy: share of the whole test set that was classified correctly, 0 to 1.
    loss: mean cross-entropy over it.
    samples: size of the test set.
    train_seconds: measured time of all rounds so far, without evaluations and checkpoints.
    weights_sha256: digest of the weights.
    """

    rounds: int
    accuracy: float
    loss: float
    samples: int
    train_seconds: float
    weights_sha256: str


FORMAT = 2
"""Of run folders. 1: a run of 1,000 rounds and one of 4,000 were different runs."""

FINAL = ("finished", "diverged")
STATUSES = (*FINAL, "interrupted")


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Contents of summary.json; the fields are its keys. None where a run has no such value.

    status: "finished", "diverged", or "interrupted", also of a run under way.
    run_id, setting: digests of all that can change the result, and of what a comparison of
        selectors shares. choices: the selector with all its choices.
    task ... executor: names. data_source, data_fingerprint: as provenance.json has them.
    rounds: how many were asked for. rounds_done: how many were trained. random_rounds: of these,
        rounds without candidates, whose batch was drawn at random.
    milestones: Milestone as dictionaries, in order of their rounds.
    final_*: the last milestone's of a finished run. weights_sha256: digest of the weights now.
    seconds_per_round: measured mean, without evaluations and checkpoints.
    peak_memory_mb: measured, resident, of the training process.
    measured_*: see devices.usage; "not measured" where there was no sensor.
    modelled_*: see runs.modelled_clock; only with a device profile that models a board.
    federation: numbers of devices and of those that take part in a round, bytes that a round sends
        (`bytes_down` to all of these, `bytes_up` from them), and how the accuracy differs between
        devices at each milestone (federated.spread); only of a federation.
    processors: kinds of processor that the run went on, in order.
    finished_at: when this was written, UTC.
    files: SHA-256 of the run folder's other files; only of a run that has ended.
    """

    format: int = FORMAT
    status: str
    run_id: str
    setting: str
    choices: Mapping[str, Any]
    task: str
    data_source: str
    data_fingerprint: str
    model: str
    selector: str
    stream: str
    budget: str
    device: str
    executor: str
    seed: int
    rounds: int
    rounds_done: int
    random_rounds: int
    milestones: Sequence[Mapping[str, Any]]
    final_accuracy: float | None
    final_loss: float | None
    final_samples: int | None
    weights_sha256: str
    seconds_per_round: float
    peak_memory_mb: float
    measured_processor_seconds: float | str
    measured_memory_mb: float | str
    measured_memory_each_mb: Mapping[str, float] | str
    measured_joules: Mapping[str, float | str] | str
    modelled_device: str | None = None
    modelled_stages: str | None = None
    modelled_seconds: float | None = None
    modelled_seconds_per_round: float | None = None
    modelled_joules: float | None = None
    modelled_joules_per_round: float | None = None
    modelled_memory_mb: float | None = None
    federation: Mapping[str, Any] | None = None
    processors: Sequence[str]
    finished_at: str
    files: Mapping[str, str] | None = None

    def record(self) -> dict[str, Any]:
        """Return it as summary.json has it: without keys that this run does not have."""
        content = dict(vars(self))
        for name in ("files", "federation"):
            if content[name] is None:
                del content[name]
        if self.modelled_device is None:
            content = {k: v for k, v in content.items() if not k.startswith("modelled_")}
        return content


_REQUIRED = (field.name for field in fields(Summary) if field.default is MISSING)
KEYS = ("format", *_REQUIRED)
"""Keys that every summary.json has."""


class OlderFormatError(ValueError):
    """A summary of a run folder that this version does not read."""


def check_summary(summary: Mapping[str, Any], statuses: Sequence[str] = STATUSES) -> dict[str, Any]:
    """Return the summary.

    Raises OlderFormatError for another version's, and ValueError for a missing key, another status
    or a number that JSON cannot hold.
    """
    found = summary.get("format", 1)
    if found != FORMAT:
        raise OlderFormatError(f"format {found}; allowed: {FORMAT}")
    missing = [key for key in KEYS if key not in summary]
    if missing:
        raise ValueError(f"no {', '.join(missing)}")
    if summary["status"] not in statuses:
        raise ValueError(f"status {summary['status']!r}, not one of {', '.join(statuses)}")
    for key, value in summary.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{key} is {value}; None stands for a value that does not exist")
    return dict(summary)


def is_final(summary: Mapping[str, Any] | None) -> bool:
    """Return whether the run has ended: at as many rounds as were asked for, or by diverging."""
    return summary is not None and summary["status"] in FINAL


def covers(summary: Mapping[str, Any] | None, rounds: int) -> bool:
    """Return whether nothing is left to run for `rounds` rounds, so that they need only be told."""
    if summary is None:
        return False
    if summary["status"] == "interrupted":  # one that stopped just there has not been measured
        return bool(summary["rounds_done"] > rounds)
    return summary["status"] == "diverged" or bool(summary["rounds_done"] >= rounds)
