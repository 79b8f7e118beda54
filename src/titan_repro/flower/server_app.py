"""The ServerApp: FedAvg over Flower's nodes, by the executor that simulates federations.

It writes a JSON file rather than a run folder: a run's name vouches for its numbers, and these
depend on nodes that may fail.
"""

import json
import math
from pathlib import Path
from time import perf_counter
from typing import Any

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from titan_repro.federated.executor import FederatedExecutor
from titan_repro.files import write_atomically
from titan_repro.flower.assembly import Assembly, assembled
from titan_repro.flower.crew import FlowerCrew
from titan_repro.records.checkpoint import weights_sha256
from titan_repro.runs.federation import participants_of
from titan_repro.training import evaluate, fixed_subset, is_evaluated

app = ServerApp()


def main(grid: Grid, context: Context) -> None:
    """Run all rounds and write what came out."""
    parts = assembled(str(context.run_config["overrides"]))
    shares = parts.shares()
    crew = FlowerCrew(grid, len(shares), parts.federation.timeout_seconds)
    crew.wait()
    executor = FederatedExecutor(
        parts.network,
        crew,
        shares,
        participants=participants_of(parts.federation, len(shares)),
        seed=parts.config.seed,
        batchnorm=parts.federation.batchnorm,
    )
    result = rounds_of(executor, parts)
    print(json.dumps({name: result[name] for name in ("final_accuracy", "weights_sha256")}))
    if path := str(context.run_config["result"]):
        with write_atomically(Path(path)) as file:
            file.write((json.dumps(result, indent=1) + "\n").encode())


def rounds_of(executor: FederatedExecutor, parts: Assembly) -> dict[str, Any]:
    """Run the rounds; return what a run's summary, evaluations and rounds would say.

    curve: (rounds done, accuracy on the fixed part of the test set). seconds: of each round.
    """
    config, network, task = parts.config, executor.network, parts.task
    part = fixed_subset(task, config.evaluation_samples)
    losses, seconds, curve = list[float](), list[float](), list[tuple[int, float]]()
    while True:
        done = len(losses)
        diverged = done > 0 and not math.isfinite(losses[-1])
        ended = diverged or done == config.rounds
        if is_evaluated(done, config.evaluate_every) or ended:
            curve.append((done, evaluate(network, part, task.normalise).accuracy))
            print(f"round {done} of {config.rounds}: accuracy {curve[-1][1]:.4f}")
        if ended:
            break
        began = perf_counter()
        losses.append(executor.run(done).loss)
        seconds.append(perf_counter() - began)
    final = evaluate(network, task.test, task.normalise)
    return {
        "status": "diverged" if diverged else "finished",
        "rounds_done": done,
        "losses": losses,
        "seconds": seconds,
        "curve": curve,
        "final_accuracy": final.accuracy,
        "final_loss": final.loss,
        "weights_sha256": weights_sha256(network.state_dict()),
    }


app.main()(main)
