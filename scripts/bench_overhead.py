"""How much the harness costs: a round of titan-run with rs against a bare loop.

Both run in this process, in turn, round by round: after every round of the harness the bare loop
trains its own copy of the model on the same batch. The bare loop is all that training needs:
gather, normalise, forward, backward, step. Usage: scripts/bench_overhead.py [OVERRIDE ...]
"""

import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from titan_repro.conf_path import conf_dir
from titan_repro.config import register_schema
from titan_repro.errors import UserError
from titan_repro.records.rounds import RoundRecord
from titan_repro.runs.build import build_loader, build_network, load_task
from titan_repro.runs.run import run
from titan_repro.tasks.base import locate
from titan_repro.training import Evaluation

WARM_UP = 20
DEFAULTS = ["task=cifar10", "model=mobilenet", "selector=rs", "rounds=300"]


class BareLoop:
    """A callback that trains a second model by hand after every round and times both."""

    def __init__(self, config: DictConfig) -> None:
        loader = build_loader(config)
        self.task = load_task(config, loader, locate(loader, Path(config.paths.data)))
        self.network = build_network(config)
        self.network.train()
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=config.learning_rate)
        self.harness_seconds: list[float] = []
        self.bare_seconds: list[float] = []
        self._began = 0.0

    def begin(self, folder: Path, start: int, rounds: int) -> None:
        """Start the clock."""
        self._began = perf_counter()

    def round(self, record: RoundRecord) -> None:
        """Stop the harness's clock and train the same batch by hand."""
        ended = perf_counter()
        loss = self._step(record.trained_indices)
        self.harness_seconds.append(ended - self._began)
        self._began = perf_counter()
        self.bare_seconds.append(self._began - ended)
        if loss != record.loss:
            raise AssertionError(f"round {record.round}: bare loss {loss}, harness {record.loss}")

    def _step(self, indices: Sequence[int]) -> float:
        rows = torch.tensor(indices)
        inputs = self.task.normalise(self.task.train.inputs[rows])
        losses = F.cross_entropy(
            self.network(inputs), self.task.train.labels[rows], reduction="none"
        )
        loss = losses.mean()  # in the same order as the harness, to end on the same bits
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.item()

    def evaluation(self, rounds_done: int, evaluation: Evaluation) -> None:
        """Start the clock again: evaluations are not part of a round."""
        self._began = perf_counter()

    def end(self) -> None:
        """Do nothing: the times are kept."""


def main() -> None:
    """Print milliseconds of both and their ratio."""
    register_schema()
    torch.set_num_threads(1)
    scratch = tempfile.mkdtemp(prefix="titan-bench-")
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            config = compose(
                "config",
                [
                    *DEFAULTS,
                    f"paths.runs={scratch}",
                    "evaluate_every=1000000",
                    "evaluation_samples=10",
                    "checkpoint_seconds=1000000",
                    "learning_rate_decay=1",
                    *sys.argv[1:],
                ],
            )
        bare = BareLoop(config)
        run(config, callbacks=[bare])
    except UserError as error:
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(2)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    report(config, bare)


def report(config: DictConfig, bare: BareLoop) -> None:
    """Print medians, and the median of the ratios of neighbouring rounds."""
    harness, alone = bare.harness_seconds[WARM_UP:], bare.bare_seconds[WARM_UP:]
    ratios = [a / b for a, b in zip(harness, alone, strict=True)]
    print(f"{config.task.name} {config.model.name} rs, {len(ratios)} rounds, one thread")
    print(f"  titan-run   {1000 * statistics.median(harness):8.3f} ms a round (median)")
    print(f"  bare loop   {1000 * statistics.median(alone):8.3f} ms a round (median)")
    print(f"  ratio       {statistics.median(ratios):8.3f} (median of neighbouring rounds)")
    print(f"              {sum(harness) / sum(alone):8.3f} (of the totals)")


if __name__ == "__main__":
    main()
