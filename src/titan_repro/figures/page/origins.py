"""Where numbers come from: a row a run, with commit, data, processor, date and command."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pandas.api.types import is_list_like

from titan_repro.figures.page.evidence import Evidence
from titan_repro.figures.table import Table

LOST = "not recorded"


@dataclass(frozen=True)
class Origin:
    """One run; fields as in the export, in words. core_seconds: measured time of its rounds."""

    run_id: str
    task: str
    model: str
    label: str
    seed: int
    rounds: int
    accuracy: str
    commit: str
    fingerprint: str
    processors: str
    date: str
    torch: str
    core_seconds: float
    command: str


def origins(evidence: Evidence) -> list[Origin]:
    """Return every run that counts, in the order of the tables."""
    return [origin(evidence, row) for row in evidence.runs.summaries.to_dict("records")]


def origin(evidence: Evidence, row: Mapping[Any, Any]) -> Origin:
    """Return where a run is from. row: of `Runs.summaries`."""
    run_id = str(row["run_id"])
    recorded = evidence.runs.recorded.get(run_id)
    told: Mapping[str, Any] = {} if recorded is None else recorded.provenance
    code = told.get("code") or {}
    changed = " with uncommitted changes" if code.get("dirty") else ""
    processors: Any = row.get("processors")
    named = list(processors) if is_list_like(processors) else []
    done = row["status"] == "finished"
    return Origin(
        run_id=run_id,
        task=str(row["task"]),
        model=str(row["model"]),
        label=str(row["label"]),
        seed=int(row["seed"]),
        rounds=int(row["rounds"]),
        accuracy=f"{100 * row['final_accuracy']:.2f}" if done else str(row["status"]),
        commit=f"{str(code.get('commit') or LOST)[:12]}{changed}",
        fingerprint=str(row.get("data_fingerprint") or LOST),
        processors=", ".join(map(str, named)) or LOST,
        date=str(told.get("started_at") or LOST)[:10],
        torch=str((told.get("versions") or {}).get("torch") or LOST),
        core_seconds=_core_seconds(evidence, row),
        command=evidence.command([run_id]),
    )


def _core_seconds(evidence: Evidence, row: Mapping[Any, Any]) -> float:
    """Return the measured time of all rounds of a run, as far as it went, N or further."""
    recorded = evidence.runs.recorded.get(str(row["run_id"]))
    facts = row if recorded is None else recorded.summary
    mean = facts.get("seconds_per_round")
    return float(mean or 0.0) * float(facts.get("rounds_done") or row["rounds"])


def origins_table(found: Sequence[Origin]) -> Table:
    """Return the rows as a table."""
    header = (
        *("run", "task", "model", "selector", "seed", "rounds", "accuracy, %"),
        *("commit", "data fingerprint", "processor", "date", "torch", "command"),
    )
    rows = [
        (
            *(run.run_id, run.task, run.model, run.label, str(run.seed), str(run.rounds)),
            *(run.accuracy, run.commit, run.fingerprint, run.processors, run.date, run.torch),
            run.command,
        )
        for run in found
    ]
    return Table("Runs", header, rows)


def one_of_each(values: Sequence[str]) -> str:
    """Return the different ones among words, in order."""
    return ", ".join(sorted(set(values)))
