"""What the cost model says to the paper's claims about time, power and memory on its device.

The numbers of the paper are in paper_claims.csv; ids of claims are the same everywhere. Those of
figure 9 are about runs, so the cost model has nothing to say to them.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from statistics import fmean

from titan_repro.boards.cost_model import (
    Board,
    RoundCost,
    inline_cost,
    pipelined_cost,
    synchronisation_work,
)
from titan_repro.boards.memory import round_memory
from titan_repro.boards.round_work import RoundCounter, RoundSize, RoundWork, in_batches
from titan_repro.boards.work import NO_WORK, Work, meta_copy, training_work
from titan_repro.models.alexnet import alexnet
from titan_repro.models.base import BlockNetwork
from titan_repro.models.mlp import mlp
from titan_repro.models.mobilenet import mobilenet
from titan_repro.models.resnet import resnet34, resnet50
from titan_repro.models.squeezenet import squeezenet
from titan_repro.selection.base import Policy
from titan_repro.selection.cis import ClassifiedImportanceSampling
from titan_repro.selection.coarse_filter import CoarseFilter
from titan_repro.selection.loss import LossRanking
from titan_repro.selection.ocs import OnlineCoresetSelection
from titan_repro.selection.uniform import UniformSampling

VELOCITY, BUDGET, BATCH = 100, 30, 10
"""Samples a round, candidates and batch size (paper section 4.1)."""

IMAGES = (3, 32, 32)
IMAGE_MODELS = ("alexnet", "mobilenet", "squeezenet", "resnet50")
MODELS: Mapping[str, tuple[Callable[[], BlockNetwork], tuple[int, ...]]] = {
    "alexnet": (partial(alexnet, IMAGES, 10, norm="none"), IMAGES),
    "mobilenet": (partial(mobilenet, IMAGES, 10, norm="batch"), IMAGES),
    "squeezenet": (partial(squeezenet, IMAGES, 10, norm="none"), IMAGES),
    "resnet50": (partial(resnet50, IMAGES, 10, norm="batch"), IMAGES),
    "resnet34": (partial(resnet34, (1, 40, 98), 20, norm="batch"), (1, 40, 98)),
    "mlp": (partial(mlp, (900,), 5, norm="none"), (900,)),
}
"""Builders and shapes of a sample (paper section 4.1). Normalisation as each was published: the
paper says nothing of it, and it is what its authors' device will have run."""

MB = 1e6


@dataclass(frozen=True)
class Claim:
    """A number of the paper, or one end of a range of numbers."""

    id: str
    text: str
    value: float
    unit: str
    source: str


def paper_claims() -> list[Claim]:
    """Read the paper's numbers. A range becomes two claims, `.low` and `.high`."""
    file = resources.files("titan_repro.boards").joinpath("paper_claims.csv")
    claims = []
    for row in csv.DictReader(file.read_text(encoding="utf-8").splitlines()):
        ends = row["value"].split("-")
        names = [row["id"]] if len(ends) == 1 else [row["id"] + end for end in (".low", ".high")]
        claims += [
            Claim(name, row["claim"], float(end), row["unit"], row["source"])
            for name, end in zip(names, ends, strict=True)
        ]
    return claims


@dataclass(frozen=True)
class Setup:
    """One of the paper's models with the work of everything that its claims speak of.

    score: the work of one scoring pass by its number of samples.
    select: the work of each policy's own arithmetic: rs, ll (hl is its mirror image), ocs, titan.
    arrival: the coarse filter's work for one sample.
    parameter_bytes, tensors: of the weights.
    extra_bytes: memory of pipelined Titan beyond that of rs.
    """

    score: Callable[[int], Work]
    select: Mapping[str, Work]
    arrival: Work
    train: Work
    parameter_bytes: float
    tensors: int
    extra_bytes: float

    def round(self, selector: str, score_at_once: int | None) -> RoundWork:
        """Return the work of a round."""
        scored = {"rs": 0, "ll": VELOCITY, "ocs": VELOCITY, "titan": BUDGET}[selector]
        return RoundWork(
            filter=self.arrival * VELOCITY if selector == "titan" else NO_WORK,
            score=in_batches(scored, score_at_once or scored, self.score),
            select=self.select[selector],
            train=self.train,
        )


def paper_setups() -> dict[str, Setup]:
    """Count the work of every model of the paper; takes some seconds."""
    return {model: _setup(*parts) for model, parts in MODELS.items()}


def paper_224_step() -> Work:
    """Return the work of section 2.2's training step, taken to be on 224 x 224 pixels.

    On 32 x 32 its 20 s would be a hundredth of the rate that everything else asks for.
    """
    return training_work(meta_copy(mobilenet((3, 224, 224), 10)), (3, 224, 224), 16)


def _setup(build: Callable[[], BlockNetwork], shape: Sequence[int]) -> Setup:
    network = meta_copy(build())
    classes = network.classifier.out_features
    coarse_filter = CoarseFilter(
        BUDGET, "rep_plus_div", "per_class_proportional", 1.0, num_classes=classes
    )
    titan = RoundCounter(network, coarse_filter, ClassifiedImportanceSampling(), input_shape=shape)
    rs = RoundCounter(network, None, UniformSampling(), input_shape=shape)
    policies: dict[str, Policy] = {
        "rs": UniformSampling(),
        "ll": LossRanking("low"),
        "ocs": OnlineCoresetSelection(),
    }
    select = {
        name: RoundCounter(network, None, policy, input_shape=shape).select(VELOCITY, BATCH)
        for name, policy in policies.items()
    }
    weights = [p.numel() * p.element_size() for p in network.parameters()]
    return Setup(
        score=titan.score,
        select={**select, "titan": titan.select(BUDGET, BATCH)},
        arrival=titan.filter(1, 1),
        train=titan.train(BATCH),
        parameter_bytes=sum(weights),
        tensors=len(weights),
        extra_bytes=_extra_bytes(titan, rs),
    )


def _extra_bytes(titan: RoundCounter, rs: RoundCounter) -> float:
    ours = round_memory(
        titan,
        RoundSize(VELOCITY, BUDGET, BUDGET, BATCH),
        filter_at_once=1,
        score_at_once=1,
        separate=True,
    )
    plain = round_memory(
        rs, RoundSize(0, 0, VELOCITY, BATCH), filter_at_once=1, score_at_once=1, separate=False
    )
    return ours.total - plain.total


def modelled_claims(
    board: Board, setups: Mapping[str, Setup], step_224: Work | None = None
) -> dict[str, float]:
    """Return the model's number for every claim, by id.

    step_224: see `paper_224_step`; None leaves its claim out.
    """
    numbers: dict[str, float] = {}
    latencies, hidden = [], []
    selecting = board.processors[board.select]
    for model, setup in setups.items():
        costs = {name: inline_round(board, setup, name) for name in ("rs", "ll", "ocs", "titan")}
        pipelined = pipelined_round(board, setup)
        latency = selecting.seconds(setup.arrival)
        latencies.append(1000 * latency)
        for claimed, counted in (("ll", "ll"), ("hl", "ll"), ("ocs", "ocs")):
            ratio = costs[counted].seconds / costs["rs"].seconds
            numbers[f"table1.time.{model}.{claimed}"] = ratio
        if model in IMAGE_MODELS:
            alone = costs["rs"].seconds
            added, left = costs["titan"].seconds - alone, pipelined.seconds - alone
            hidden.append(100 * (1 - left / added))
            numbers[f"fig6c.memory.{model}"] = setup.extra_bytes / MB
            numbers[f"fig6d.power.{model}"] = pipelined.watts / costs["rs"].watts
            numbers[f"fig8.delay.{model}"] = selecting.seconds(setup.score(1)) / latency
    numbers["fig6b.latency.low"], numbers["fig6b.latency.high"] = min(latencies), max(latencies)
    if hidden:
        numbers["fig6a.pipeline_masks"] = fmean(hidden)
    if step_224 is not None:
        numbers["section2.batch_time"] = board.processors[board.train].seconds(step_224)
    return numbers


def inline_round(board: Board, setup: Setup, selector: str) -> RoundCost:
    """Return the cost of a selector's round with its stages in sequence."""
    return inline_cost(board, setup.round(selector, board.score_at_once))


def pipelined_round(board: Board, setup: Setup) -> RoundCost:
    """Return the cost of Titan's round with selection beside training."""
    work = setup.round("titan", board.score_at_once)
    copying = synchronisation_work(board, setup.parameter_bytes, setup.tensors)
    return pipelined_cost(board, work, copying)
