"""A run of a few numbers that goes through everything an executor does with its run folder.

Measured times are constants, so that two complete folders can be compared byte for byte. The
functions that `Process` starts live here because a child imports its target by module name.
"""

import itertools
import json
import os
import shutil
import sys
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from titan_repro.records.checkpoint import weights_sha256
from titan_repro.records.folder import RunFolder
from titan_repro.records.results import EvaluationRecord
from titan_repro.records.rounds import RoundRecord

COMPLETE = {
    "checkpoint.pt",
    "config.yaml",
    "evaluations.csv",
    "provenance.json",
    "rounds.parquet",
    "summary.json",
}

processes = get_context("forkserver")
processes.set_forkserver_preload(["__main__", "titan_repro.records.folder"])


def provenance(fingerprint: str = "d1") -> dict[str, Any]:
    return {"data": {"source": "simulated", "fingerprint": fingerprint}}


def summary(status: str = "finished", **changes: object) -> dict[str, Any]:
    return {
        "format": 2,
        "status": status,
        "run_id": "0123456789ab",
        "setting": "0123456789ac",
        "choices": {"name": "rs"},
        "task": "digits",
        "data_source": "simulated",
        "data_fingerprint": "d1",
        "model": "mlp",
        "selector": "rs",
        "stream": "clean",
        "budget": "smoke",
        "device": "host",
        "executor": "inline",
        "seed": 0,
        "rounds": 0,
        "rounds_done": changes.get("rounds", 0),
        "random_rounds": 0,
        "milestones": [],
        "final_accuracy": 0.5,
        "final_loss": 1.5,
        "final_samples": 100,
        "weights_sha256": "00",
        "seconds_per_round": 0.25,
        "peak_memory_mb": 1.0,
        "measured_processor_seconds": 1.0,
        "measured_memory_mb": "not measured",
        "measured_memory_each_mb": {"the process": 1.0},
        "measured_joules": "not measured",
        "processors": ["a processor"],
        "finished_at": "2026-01-01T00:00:00+00:00",
        **changes,
    }


def record(t: int, loss: float = 1.0) -> RoundRecord:
    return RoundRecord(
        round=t,
        loss=loss,
        learning_rate=0.1 * 0.95 ** (t // 100),
        trained_indices=[t, t + 1],
        trained_labels=[t % 10, 3],
        trained_probabilities=[0.1, 1.5],
        trained_weights=[1.25, 0.75],
        trained_noisy=[t % 2 == 0, False],
        candidates=30,
        nonfinite=0,
        samples_streamed=100,
        samples_filtered=100,
        samples_scored=30,
        samples_trained=2,
        seconds_stream=0.25,
        seconds_filter=0.25,
        seconds_score=0.25,
        seconds_select=0.25,
        seconds_train=0.25,
    )


def simulate(
    path: Path,
    rounds: int = 7,
    checkpoint_every: int = 3,
    stop_at: int | None = None,
    tell: Callable[[str], None] = lambda event: None,
    end_point: bool = False,
) -> dict[str, Any]:
    """Start or go on with the run, as the docstring of folder.py has it.

    stop_at: interrupt before this round. tell: is called with what just happened. end_point: the
    curve has a point at the end, too, which a longer run has not.
    """
    folder = RunFolder(path)
    if done := folder.completed(rounds):
        return done
    with folder.claim() as run:
        tell("claimed")
        weights = torch.zeros(4, dtype=torch.float64)
        checkpoint = run.start("stream:\n  velocity: 100\n", provenance())
        if checkpoint is not None:
            weights = checkpoint.state["weights"]
        while run.next_round < rounds:
            t = run.next_round
            if t == stop_at:
                return run.interrupt({"weights": weights}, summary("interrupted", rounds=t))
            weights = (weights + torch.tensor([t, 1.0, 2.0, 3.0])) * 0.99
            run.append(record(t, loss=float(weights.sum())))
            if run.next_round % 2 == 0:
                run.evaluation(
                    EvaluationRecord(run.next_round, 1 / (t + 1), float(weights[0]), 0.25, 50)
                )
            if run.next_round % checkpoint_every == 0:
                run.save_checkpoint({"weights": weights})
                tell("checkpoint")
        run.save_checkpoint({"weights": weights})
        if end_point and rounds % 2:
            run.evaluation(EvaluationRecord(rounds, 0.75, float(weights[0]), 0.25, 50))
        digest = weights_sha256({"weights": weights})
        return run.finish(summary(rounds=rounds, weights_sha256=digest))


def contents(path: Path) -> dict[str, bytes]:
    """Return all files of a complete folder but provenance.json, which tells of resumptions."""
    assert {file.name for file in path.iterdir()} == COMPLETE
    RunFolder(path).verify()
    found = {name: (path / name).read_bytes() for name in COMPLETE - {"provenance.json"}}
    told = json.loads(found["summary.json"])
    told["files"].pop("provenance.json")
    return {**found, "summary.json": json.dumps(told).encode()}


def skip_fsync() -> None:
    """Save seconds: a killed process loses nothing of what it wrote, only a power cut would."""
    os.fsync = lambda descriptor: None


def run_until_killed(path: Path, checkpoint_every: int, parent: Connection) -> None:
    skip_fsync()
    waiting = ["checkpoint", "claimed"]

    def tell(event: str) -> None:
        if waiting[-1:] == [event]:
            parent.send(waiting.pop())

    simulate(path, 10**9, checkpoint_every, tell=tell)


def vanish_before_every_step(folder: Path, count: Connection) -> None:
    """Make runs `folder`/0, /1, ... of which the n-th vanishes just before its n-th change to disk.

    Sends the number of changes of an undisturbed run, which is `folder`/reference.
    """
    skip_fsync()
    simulate(folder / "reference")  # also loads what the forks would each load again
    for step in itertools.count():
        if not (child := os.fork()):
            _run_until_step(folder / str(step), step)
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            count.send(step)
            return


def vanish_while_extending(folder: Path, count: Connection) -> None:
    """Do the same to a run of 5 rounds that is extended to 9; `folder`/reference has 9 at once."""
    skip_fsync()
    simulate(folder / "reference", 9, end_point=True)
    simulate(folder / "short", 5, end_point=True)
    for step in itertools.count():
        shutil.copytree(folder / "short", folder / str(step))
        if not (child := os.fork()):
            _run_until_step(folder / str(step), step, rounds=9, end_point=True)
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            count.send(step)
            return


def _run_until_step(path: Path, step: int, **options: Any) -> None:
    steps = itertools.count()

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            changes = bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
        else:
            changes = event in {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}
        if changes and next(steps) == step:
            os._exit(9)

    sys.addaudithook(watch)
    simulate(path, **options)


def hold(path: Path, claimed: Connection) -> None:
    """Claim the folder and keep it until killed."""
    with RunFolder(path).claim():
        claimed.send(os.getpid())
        claimed.poll(60)
