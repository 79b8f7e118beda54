"""Whether a run that is made again still ends where the recorded one did.

On the kind of processor and the version of PyTorch that made the recorded run, the weights must be
the same to the last bit. Elsewhere rounding differs, and within some hundred rounds so do the
weights; accuracy may then move as much as it does between seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from titan_repro.analysis.load import at_rounds
from titan_repro.errors import RunFolderError
from titan_repro.records.recorded import RecordedRun


@dataclass(frozen=True)
class Repeat:
    """How a run compares with the recorded one of the same id, at the same round.

    accuracy, recorded: on the whole test set, 0 to 1. spread: from the lowest to the highest
    recorded seed, of `seeds`. weights_moved: None where bits are not comparable; why says so.
    """

    title: str
    accuracy: float
    recorded: float
    spread: float
    seeds: int
    weights_moved: bool | None
    why: str = ""

    @property
    def moved(self) -> bool:
        """Whether weights that are comparable moved, or accuracy by more than seeds differ."""
        return bool(self.weights_moved) or abs(self.accuracy - self.recorded) > self.spread

    def words(self) -> str:
        """Say in a line what moved and what did not."""
        weights = {None: f"weights not compared ({self.why})", False: "same weights"}
        return (
            f"{self.title}: {100 * self.accuracy:.2f} %, recorded {100 * self.recorded:.2f} %, "
            f"spread of {self.seeds} seeds {100 * self.spread:.2f} points; "
            f"{weights.get(self.weights_moved, 'other weights')}"
        )


def repeat_of(run: RecordedRun, recorded: Sequence[RecordedRun]) -> Repeat:
    """Compare a finished run with the recorded one of its id, where the run ended.

    recorded: all runs among which it is looked for; those of its setting and choices are the seeds
    whose spread is allowed. Raises RunFolderError if it is not among them, as when names of runs
    have changed, or was not measured after so many rounds, or has no two seeds.
    """
    own = run.summary
    rounds = int(own["rounds_done"])
    title = f"{own['task']}, {own['model']}, {own['selector']}, seed {own['seed']}, {rounds} rounds"
    alike = [
        other
        for other in recorded
        if (other.summary["setting"], other.summary["choices"]) == (own["setting"], own["choices"])
    ]
    ends = {other.summary["run_id"]: at_rounds(other.summary, rounds) for other in alike}
    same = ends.get(own["run_id"])
    if same is None:
        raise RunFolderError(
            f"{title}: run {own['run_id']} is not recorded after {rounds} rounds; either runs have "
            "other names now, or the record lacks it"
        )
    known = [end["final_accuracy"] for end in ends.values() if end and end["final_accuracy"]]
    if len(known) < 2:
        raise RunFolderError(f"{title}: found {len(known)} recorded seed; allowed: at least 2")
    [before] = [other for other in alike if other.summary["run_id"] == own["run_id"]]
    why = _not_comparable(run, before)
    moved = own["weights_sha256"] != same["weights_sha256"]
    return Repeat(
        title,
        float(own["final_accuracy"]),
        float(same["final_accuracy"]),
        max(known) - min(known),
        len(known),
        None if why else moved,
        why,
    )


def _not_comparable(run: RecordedRun, before: RecordedRun) -> str:
    """Say why the bits of two runs cannot be compared; "" where they can."""
    for name, now, then in (
        ("made on", _processors(run.summary), _processors(before.summary)),
        ("made with PyTorch", _torch(run.provenance), _torch(before.provenance)),
    ):
        if now != then:
            return f"recorded one {name} {then}, this one {now}"
    return ""


def _processors(summary: Mapping[str, Any]) -> str:
    return ", ".join(map(str, summary["processors"]))


def _torch(provenance: Mapping[str, Any]) -> str:
    return str((provenance.get("versions") or {}).get("torch", "not told"))
