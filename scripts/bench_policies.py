"""Time of every policy's selection alone: 100 candidates, embeddings 1,024 wide, 10 classes.

    python scripts/bench_policies.py

Takes about ten seconds. One thread; the candidates' scores are ready, so what is measured is what
a policy adds to a round after the forward pass. Expected: every policy under 5 ms on one core.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter, thread_time

import torch

from titan_repro.selection.base import Policy, Scores
from titan_repro.selection.camel import Camel
from titan_repro.selection.cis import ClassifiedImportanceSampling
from titan_repro.selection.craig import Craig
from titan_repro.selection.defensive import DefensiveImportanceSampling
from titan_repro.selection.divbs import DiversifiedBatchSelection
from titan_repro.selection.entropy import EntropyRanking
from titan_repro.selection.gradient_norm import GradientNormRanking
from titan_repro.selection.gradmatch import GradientMatching
from titan_repro.selection.importance import ImportanceSampling
from titan_repro.selection.k_center import KCenter
from titan_repro.selection.loss import LossRanking
from titan_repro.selection.ocs import OnlineCoresetSelection
from titan_repro.selection.rho_loss import ReducibleLossRanking
from titan_repro.selection.rs2 import RepeatedRandomSubsets
from titan_repro.selection.stratified import StratifiedSampling
from titan_repro.selection.uds import UtilityDiversitySampling
from titan_repro.selection.uniform import UniformSampling

CANDIDATES, WIDTH, CLASSES, BATCH = 100, 1024, 10, 10
INPUT_SHAPE = (3, 32, 32)
WARM_UP, REPEATS = 30, 300

POLICIES: dict[str, Policy] = {
    "rs": UniformSampling(),
    "stratified": StratifiedSampling(),
    "is": ImportanceSampling(),
    "ll": LossRanking("low"),
    "hl": LossRanking("high"),
    "ce": EntropyRanking(),
    "ocs": OnlineCoresetSelection(),
    "camel": Camel(),
    "cis": ClassifiedImportanceSampling(),
    "cis, unbiased": ClassifiedImportanceSampling(weighting="unbiased"),
    "cis, without replacement": ClassifiedImportanceSampling(sampling="without_replacement"),
    "cis, gradient of logits": ClassifiedImportanceSampling("logits"),
    "grad_topk": GradientNormRanking(),
    "el2n": GradientNormRanking("logits"),
    "rho_loss": ReducibleLossRanking(),
    "uds": UtilityDiversitySampling(),
    "divbs": DiversifiedBatchSelection(),
    "craig": Craig(),
    "gradmatch": GradientMatching(),
    "kcenter": KCenter(),
    "rs2": RepeatedRandomSubsets(),
    "ours": DefensiveImportanceSampling(),
}


@dataclass(frozen=True)
class Row:
    """Selection time of one policy in milliseconds.

    median_ms, p95_ms: wall clock, which other work on the machine disturbs.
    cpu_ms: median of this thread's processor time, which it hardly does.
    """

    policy: str
    candidates: int
    median_ms: float
    p95_ms: float
    cpu_ms: float


def policy_times() -> list[Row]:
    """Measure every policy on the same candidates, with one thread.

    `cis` on 30 candidates is what Titan runs after its filter. The number of threads is put back.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = [_row(name, policy, CANDIDATES) for name, policy in POLICIES.items()]
        return [*rows, _row("cis, as in titan", POLICIES["cis"], 30)]
    finally:
        torch.set_num_threads(threads)


def _row(name: str, policy: Policy, size: int) -> Row:
    candidates, draws = _candidates(size), torch.Generator().manual_seed(0)
    wall, cpu = _milliseconds(lambda: policy.select(candidates, BATCH, draws))
    return Row(name, size, median(wall), quantiles(wall, n=20)[-1], median(cpu))


def _candidates(size: int) -> Scores:
    draws = torch.Generator().manual_seed(0)
    labels = torch.randint(CLASSES, (size,), generator=draws)
    embeddings = torch.rand(size, WIDTH, generator=draws)
    return Scores(
        labels,
        stream_counts=torch.bincount(labels, minlength=CLASSES),
        inputs=torch.randn(size, *INPUT_SHAPE, generator=draws),
        logits=torch.randn(size, CLASSES, generator=draws),
        embeddings=embeddings,
        positions=torch.randperm(size, generator=draws),
    )


@torch.no_grad()
def _milliseconds(call: Callable[[], object]) -> tuple[list[float], list[float]]:
    """Return wall and processor times of many calls."""
    for _ in range(WARM_UP):
        call()
    wall, cpu = [], []
    for _ in range(REPEATS):
        start, start_cpu = perf_counter(), thread_time()
        call()
        wall.append((perf_counter() - start) * 1e3)
        cpu.append((thread_time() - start_cpu) * 1e3)
    return wall, cpu


def main() -> None:
    """Print the table."""
    titles = ("candidates", "median ms", "95th pct ms", "median CPU ms")
    print(f"{'policy':<26}" + "".join(f"{title:>15}" for title in titles))
    for row in policy_times():
        times = (row.median_ms, row.p95_ms, row.cpu_ms)
        print(f"{row.policy:<26}{row.candidates:>15}" + "".join(f"{t:>15.3f}" for t in times))


if __name__ == "__main__":
    main()
