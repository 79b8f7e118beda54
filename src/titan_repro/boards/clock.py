"""Rounds of recorded sizes on a board that is not here: their clock, energy and memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from titan_repro.boards.cost_model import Board, RoundCost, inline_cost, pipelined_cost
from titan_repro.boards.idle import ALWAYS, IdleTrace
from titan_repro.boards.memory import Memory, round_memory
from titan_repro.boards.round_work import RoundCounter, RoundSize, RoundWork

MB = 1e6

SIZES = ["samples_filtered", "samples_scored", "candidates", "samples_trained"]
"""Columns of rounds.parquet that RoundSize is made of."""


@dataclass(frozen=True)
class LocalRounds:
    """What a round of a federation is made of on each participant's board.

    iterations: E, batches that it trains. batch_size: B.
    """

    iterations: int
    batch_size: int


def local_rounds(config: Mapping[Any, Any]) -> LocalRounds | None:
    """Return what rounds are made of by a run's configuration, None without a federation.

    config: config.yaml, of old runs too, which know of no federations.
    """
    group = config.get("federation") or {}
    if group.get("settings") is None:
        return None
    iterations = group["settings"].get("local_iterations", group.get("local_iterations"))
    return LocalRounds(int(iterations), int(config["batch_size"]))


@dataclass(frozen=True)
class Replayed:
    """One run on another clock.

    inline_seconds, pipelined_seconds: mean time of a round; None where the run or the device has
        no such way of running.
    seconds: (rounds + 1,) time after each number of rounds, the way this run is meant to run:
        pipelined with a delay of one round, else inline.
    joules: (rounds + 1,) energy likewise, None where it was not measured.
    memory_bytes: of tensors where it is modelled, resident of the process where measured.
    """

    inline_seconds: float | None
    pipelined_seconds: float | None
    seconds: np.ndarray
    joules: np.ndarray | None
    memory_bytes: float


def modelled(
    board: Board,
    counter: RoundCounter,
    rounds: pd.DataFrame,
    delay: int,
    idle: IdleTrace = ALWAYS,
    local: LocalRounds | None = None,
) -> Replayed:
    """Return what recorded rounds cost on a board.

    rounds: at least one row of rounds.parquet, in order.
    local: of a federation, each of whose devices is such a board; see `_modelled_federation`.
    delay: of the run; with 0 there is no pipeline.
    idle: of the run; others leave so much of a processor that selects beside training.
    """
    if local is not None:
        return _modelled_federation(board, counter, rounds, delay, local)
    sizes, kind = np.unique(rounds[SIZES].to_numpy(), axis=0, return_inverse=True)  # (k, 4), (T,)
    shapes = [RoundSize(*(int(number) for number in row)) for row in sizes]
    inline = [inline_round(board, counter, size) for size in shapes]
    pipelined = [pipelined_round(board, counter, size) for size in shapes]
    kind = kind.reshape(-1)
    chosen = pipelined if delay else inline
    seconds = _seconds(chosen)[kind]
    joules = np.array([cost.joules for cost in chosen])[kind]
    if delay and board.train != board.select:
        waits = _waits([chosen[k] for k in kind], idle)
        seconds, joules = seconds + waits, joules + board.idle_watts * waits
    return Replayed(
        inline_seconds=float(_seconds(inline)[kind].mean()),
        pipelined_seconds=float(seconds.mean()) if delay else None,
        seconds=_running(seconds),
        joules=_running(joules),
        memory_bytes=max(
            board_memory(board, counter, size, pipelined=bool(delay)).total for size in shapes
        ),
    )


def _modelled_federation(
    board: Board, counter: RoundCounter, rounds: pd.DataFrame, delay: int, local: LocalRounds
) -> Replayed:
    """Return what rounds of a federation cost: time until its slowest device is done, all energy.

    Participants work beside one another, all on equal boards and as many samples, so each is the
    slowest. With a delay a device chooses its first batch before it trains and none while it trains
    the last one: against E pipelined rounds that hides nothing of one selection or one training,
    whichever is shorter. Sending weights takes no time and no energy here: boards model no radio.
    """
    size = RoundSize(*(int(number) for number in _one_iteration(rounds, local)))
    inline, pipelined = inline_round(board, counter, size), pipelined_round(board, counter, size)
    apart = bool(delay) and board.train != board.select
    once = pipelined if delay else inline
    unhidden = min(once.selection_seconds, once.train_seconds) if apart else 0.0
    seconds = local.iterations * once.seconds + unhidden
    watts = board.idle_watts + board.awake_watts
    participants = rounds["samples_trained"].to_numpy() / (local.iterations * local.batch_size)
    energy = participants * (local.iterations * once.joules + watts * unhidden)
    return Replayed(
        inline_seconds=local.iterations * inline.seconds,
        pipelined_seconds=seconds if delay else None,
        seconds=_running(np.full(len(rounds), seconds)),
        joules=_running(energy),
        memory_bytes=board_memory(board, counter, size, pipelined=bool(delay)).total,
    )


def _one_iteration(rounds: pd.DataFrame, local: LocalRounds) -> np.ndarray:
    """Return the sizes of one device's iteration, of rounds that record the sums over all, (4,).

    Raises ValueError unless all iterations of all rounds are of the same sizes.
    """
    sums = rounds[SIZES].to_numpy()
    batches = rounds[["samples_trained"]].to_numpy() / local.batch_size
    sizes = np.unique(sums / batches, axis=0)
    if len(sizes) > 1 or (sizes % 1).any():
        raise ValueError("local iterations of a federation are expected to be of the same sizes")
    found: np.ndarray = sizes[0]
    return found


def inline_round(board: Board, counter: RoundCounter, size: RoundSize) -> RoundCost:
    """Return the cost of a round with its stages in sequence."""
    return inline_cost(board, _work(board, counter, size))


def pipelined_round(board: Board, counter: RoundCounter, size: RoundSize) -> RoundCost:
    """Return the cost of a round that selects beside training."""
    return pipelined_cost(board, _work(board, counter, size), *counter.on(board.stand_ins).state)


def board_memory(
    board: Board, counter: RoundCounter, size: RoundSize, *, pipelined: bool
) -> Memory:
    """Return the memory of a round, by purpose."""
    return round_memory(
        counter.on(board.stand_ins),
        size,
        filter_at_once=board.filter_at_once,
        score_at_once=board.score_at_once,
        separate=pipelined and board.train != board.select,
    )


def arrival_latency(board: Board, counter: RoundCounter) -> float:
    """Return the seconds that the coarse filter takes of one sample as it arrives."""
    return board.processors[board.select].seconds(counter.on(board.stand_ins).filter(1, 1))


def scoring_latency(board: Board, counter: RoundCounter, samples: int, batch_size: int) -> float:
    """Return the seconds that a selector without a filter takes of one sample.

    Looking at it, and a choice among a round's `samples` divided by their number.
    """
    counted, processor = counter.on(board.stand_ins), board.processors[board.select]
    choice = processor.seconds(counted.select(samples, batch_size)) / samples
    return processor.seconds(counted.score(1)) + choice


def _work(board: Board, counter: RoundCounter, size: RoundSize) -> RoundWork:
    return counter.on(board.stand_ins).round(
        size, filter_at_once=board.filter_at_once, score_at_once=board.score_at_once
    )


def _waits(rounds: list[RoundCost], idle: IdleTrace) -> np.ndarray:
    """Return how much longer each round is because the selection processor is not all idle, (T,).

    No processor does more work for it, so the energy that it adds is that of the idle board.
    """
    now, waits = 0.0, np.zeros(len(rounds))
    for t, cost in enumerate(rounds):
        selection = idle.duration(now, cost.selection_seconds)
        alone = max(cost.train_seconds, cost.selection_seconds)
        waits[t] = max(cost.train_seconds, selection) - alone
        now += cost.seconds + waits[t]
    return waits


def _seconds(costs: list[RoundCost]) -> np.ndarray:
    return np.array([cost.seconds for cost in costs])


def _running(steps: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(steps)])
