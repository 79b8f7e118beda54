"""The paper's models at 224 x 224 on a board: the model's number for each of the paper's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch

from titan_repro.boards import networks
from titan_repro.boards.cost_model import Board, Processor, RoundCost, inline_cost, pipelined_cost
from titan_repro.boards.layers import META
from titan_repro.boards.memory import FLOAT, LABEL, Memory, round_memory
from titan_repro.boards.paper import IMAGE_MODELS
from titan_repro.boards.round_work import RoundCounter, RoundSize, RoundWork
from titan_repro.boards.work import NO_WORK, Work
from titan_repro.models.base import BlockNetwork
from titan_repro.selection.base import Policy
from titan_repro.selection.camel import Camel
from titan_repro.selection.cis import ClassifiedImportanceSampling
from titan_repro.selection.coarse_filter import CoarseFilter
from titan_repro.selection.entropy import EntropyRanking
from titan_repro.selection.importance import ImportanceSampling
from titan_repro.selection.loss import LossRanking
from titan_repro.selection.ocs import OnlineCoresetSelection
from titan_repro.selection.uniform import UniformSampling

VELOCITY, BUDGET, BATCH, CLASSES = 100, 30, 10, 10
"""Samples a round, candidates, batch size (paper section 4.1), and classes of CIFAR-10."""

SIDE = 224
RANDOM, TITAN = RoundSize(0, 0, VELOCITY, BATCH), RoundSize(VELOCITY, BUDGET, BUDGET, BATCH)

BASELINES: Mapping[str, Policy] = {
    "rs": UniformSampling(),
    "is": ImportanceSampling("full", "unbiased", "multinomial"),
    "ll": LossRanking("low"),
    "hl": LossRanking("high"),
    "ce": EntropyRanking(),
    "ocs": OnlineCoresetSelection(),
    "camel": Camel(),
}
"""As Figure 2(a) and Table 1 have them; IS on gradients of all parameters, as in section 2.3."""

MB = 1e6


@dataclass(frozen=True)
class Setup:
    """One of the paper's models at 224 x 224, with the work of all that its figures speak of."""

    build: Callable[[Sequence[int], int], BlockNetwork]
    _counters: dict[tuple[str, int], RoundCounter] = field(default_factory=dict, compare=False)

    def counter(self, selector: str, blocks: int = 1) -> RoundCounter:
        """Return what counts rounds of a selector: titan, cis, or a baseline."""
        key = (selector, blocks)
        if key not in self._counters:
            coarse = CoarseFilter(
                BUDGET, "rep_plus_div", "per_class_proportional", 1.0, num_classes=CLASSES
            )
            self._counters[key] = RoundCounter(
                self.network,
                coarse if selector == "titan" else None,
                BASELINES.get(selector, ClassifiedImportanceSampling()),
                input_shape=(3, SIDE, SIDE),
                blocks=blocks,
            )
        return self._counters[key]

    @cached_property
    def network(self) -> BlockNetwork:
        """The network, without data."""
        with torch.device(META):
            return self.build((3, SIDE, SIDE), CLASSES)

    @cached_property
    def rs(self) -> RoundWork:
        """A round of random selection."""
        return self.counter("rs").round(RANDOM, filter_at_once=1, score_at_once=1)

    @cached_property
    def titan(self) -> RoundWork:
        """A round of Titan, samples taken one by one."""
        return self.counter("titan").round(TITAN, filter_at_once=1, score_at_once=1)

    @cached_property
    def state(self) -> tuple[int, int]:
        """Bytes and tensors that are handed over."""
        return self.counter("titan").state

    @cached_property
    def one(self) -> Work:
        """Scoring one sample."""
        return self.counter("cis").score(1)

    @cached_property
    def choice(self) -> Work:
        """C-IS's choice among a round's samples, a sample's part of it."""
        return self.counter("cis").select(VELOCITY, BATCH) * (1 / VELOCITY)

    @cached_property
    def memory(self) -> Memory:
        """Bytes by purpose, of pipelined Titan."""
        return round_memory(
            self.counter("titan"), TITAN, filter_at_once=1, score_at_once=1, separate=True
        )


def paper_setups() -> dict[str, Setup]:
    """Return the models of the paper's figures and those of the independent benchmarks."""
    names = (*IMAGE_MODELS, "resnet34", "squeezenet1_1")
    return {name: Setup(getattr(networks, name)) for name in names}


def fitted_numbers(board: Board, setups: Mapping[str, Setup]) -> dict[str, float]:
    """Return the model's number for every figure that constants are fitted to.

    The delay of C-IS is that of the training processor, as in Figure 6(a), where 30 of it are what
    a sequence adds; the filter's is that of the other one.
    """
    numbers: dict[str, float] = {}
    for model in IMAGE_MODELS:
        setup, training = setups[model], board.processors[board.train]
        rs, piped = rs_round(board, setup), titan_round(board, setup)
        whole = training.seconds(setup.one) + training.seconds(setup.choice)
        numbers |= {
            f"fig6a.alone.{model}": rs.seconds,
            f"fig6a.sequence.{model}": sequence_seconds(board, setup),
            f"fig6a.pipelined.{model}": piped.seconds,
            f"fig8.cis.{model}": 1e3 * whole,
            f"fig8.titan1.{model}": arrival_ms(board, setup, 1),
            f"fig6d.rs.{model}": rs.watts,
            f"fig6d.titan.{model}": piped.watts,
        }
    return numbers


def modelled_numbers(board: Board, setups: Mapping[str, Setup]) -> dict[str, float]:
    """Return the model's number for every figure."""
    numbers = fitted_numbers(board, setups)
    for model in IMAGE_MODELS:
        setup = setups[model]
        numbers |= {f"fig8.titan{n}.{model}": arrival_ms(board, setup, n) for n in (3, 5)}
        numbers |= {f"fig6c.{part}.{model}": size for part, size in memory_mb(setup).items()}
        if model != "alexnet":
            for name in ("ll", "hl"):
                ratio = baseline_seconds(board, setup, name) / numbers[f"fig6a.alone.{model}"]
                numbers[f"table1.{name}.{model}"] = ratio
    for name in BASELINES:
        if name != "hl":
            seconds = baseline_seconds(board, setups["mobilenet"], name)
            numbers[f"fig2a.{name}.mobilenet"] = seconds
    return numbers | _independent(board, setups)


def _independent(board: Board, setups: Mapping[str, Setup]) -> dict[str, float]:
    cpu, half = board.processors["cpu"], board.processors["gpu"].in_half_precision()
    places: list[tuple[str, Processor, tuple[str, ...]]] = [
        ("torch2trt.gpu", half, ("alexnet", "squeezenet", "resnet34", "resnet50")),
        ("ncnn.cpu", cpu, ("squeezenet1_1", "mobilenet", "alexnet", "resnet50")),
        ("ncnn.gpu", half, ("mobilenet", "resnet50")),
    ]
    return {
        f"{place}.{model}": 1e3 * processor.seconds(setups[model].one)
        for place, processor, models in places
        for model in models
    }


def rs_round(board: Board, setup: Setup) -> RoundCost:
    """Return the cost of a round of random selection."""
    return inline_cost(board, setup.rs)


def titan_round(board: Board, setup: Setup) -> RoundCost:
    """Return the cost of a pipelined round of Titan."""
    return pipelined_cost(board, setup.titan, *setup.state)


def sequence_seconds(board: Board, setup: Setup, *, with_filter: bool = False) -> float:
    """Return the time of a round of Titan in sequence.

    with_filter: false for Figure 6(a), whose rounds in sequence are training and 30 times the
    delay of C-IS and hold no filter (contradictions.csv).
    """
    work = setup.titan
    work = work if with_filter else RoundWork(NO_WORK, work.score, work.select, work.train)
    return inline_cost(board, work).seconds


def baseline_seconds(board: Board, setup: Setup, selector: str) -> float:
    """Return the time of a round of a baseline, which looks at samples one by one."""
    counter = setup.counter(selector)
    scored = 0 if selector in ("rs", "camel") else VELOCITY
    size = RoundSize(0, scored, VELOCITY, BATCH)
    return inline_cost(board, counter.round(size, filter_at_once=1, score_at_once=1)).seconds


def arrival_ms(board: Board, setup: Setup, blocks: int) -> float:
    """Return what the filter takes of a sample, in milliseconds, on features of so many blocks."""
    work = setup.counter("titan", blocks).filter(1, 1)
    return 1e3 * board.processors[board.select].seconds(work)


def memory_mb(setup: Setup) -> dict[str, float]:
    """Return megabytes as Figure 6(c) divides them: update, fine, coarse, and all of Titan."""
    memory, sample = setup.memory, FLOAT * 3 * SIDE**2
    batch = BATCH * (sample + LABEL)
    parts = {
        "update": memory.parameters + memory.gradients + memory.activations,
        "fine": memory.scoring + memory.copies - batch,
        "coarse": memory.filter + sample,
    }
    return {name: size / MB for name, size in parts.items()} | {"titan": memory.total / MB}
