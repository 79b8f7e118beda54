"""What selection costs on a board that is not here, and its memory as counted on this machine."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from omegaconf import DictConfig

from titan_repro.binding import parameter, plain
from titan_repro.boards.board import read_board
from titan_repro.boards.clock import MB, board_memory, inline_round, pipelined_round
from titan_repro.boards.cost_model import Board, RoundCost
from titan_repro.boards.layers import META
from titan_repro.boards.memory import DOUBLE, LABEL, Memory, peak_bytes, round_memory
from titan_repro.boards.round_work import RoundCounter, RoundSize
from titan_repro.costs.rounds import RoundTimes
from titan_repro.errors import ConfigurationError
from titan_repro.models.inference.folding import FoldedNetwork
from titan_repro.models.inference.scoring import scoring_mode
from titan_repro.runs.build import build_selector, with_selector
from titan_repro.runs.counter import build_counter
from titan_repro.selection.base import Needs


@dataclass(frozen=True)
class Counted:
    """The work of one (task, model), counted.

    titan, others: counters, the others by the names of `experiment.selectors`.
    size, random: what a round of Titan and one of random selection touch.
    passed: the blocks that Titan's candidates have been through before this machine scores them.
    """

    titan: RoundCounter
    others: Mapping[str, RoundCounter]
    size: RoundSize
    random: RoundSize
    passed: int

    @classmethod
    def of(cls, config: DictConfig) -> "Counted":
        """Count the work of a configuration of Titan."""
        velocity, batch = parameter(config, "stream.source", "velocity"), config.batch_size
        budget = parameter(config, "selector.filter", "budget")
        return cls(
            titan=build_counter(config),
            others={
                str(name): build_counter(with_selector(config, str(name)))
                for name in config.experiment.selectors
            },
            size=RoundSize(velocity, budget, budget, batch),
            random=RoundSize(0, 0, velocity, batch),
            passed=build_selector(config).blocks_passed,
        )


def board_of(config: DictConfig) -> Board:
    """Return the modelled board, `experiment.board`.

    Raises ConfigurationError naming the key for constants that cannot be.
    """
    try:
        return read_board(plain(config.experiment.board.modelled))
    except ConfigurationError as error:
        raise ConfigurationError(str(error).replace("device.", "experiment.board.", 1)) from None


def modelled_rounds(board: Board, work: Counted) -> dict[str, Any]:
    """Return times of a round, in milliseconds, and the share of selection that is hidden."""
    costs = _costs(board, work)
    ways = ("rs", "titan_sequential", "titan_pipelined")
    return RoundTimes(*(1e3 * costs[way].seconds for way in ways)).record()


def modelled_power(board: Board, work: Counted) -> dict[str, Any]:
    """Return the whole board's mean power and its energy in a round."""
    return {
        name: {"watts": cost.watts, "joules_per_round": cost.joules}
        for name, cost in _costs(board, work).items()
    }


def _costs(board: Board, work: Counted) -> dict[str, RoundCost]:
    return {
        "rs": inline_round(board, work.others["rs"], work.random),
        "titan_sequential": inline_round(board, work.titan, work.size),
        "titan_pipelined": pipelined_round(board, work.titan, work.size),
    }


def modelled_latencies(board: Board, work: Counted) -> dict[str, Any]:
    """Return milliseconds a sample on the selection processor, as `latency.Latency` has them."""
    processor, size = board.processors[board.select], work.random
    everything, batch = size.candidates, size.trained
    titan = work.titan.on(board.stand_ins)
    found = {
        "filter": {
            "arriving_ms": 1e3 * processor.seconds(titan.filter(1, 1)),
            "bulk_ms": 1e3 * processor.seconds(titan.filter(everything, None)) / everything,
        }
    }
    for name, other in work.others.items():
        counter = other.on(board.stand_ins)
        if counter.policy.needs is Needs.NOTHING:
            continue
        choice = processor.seconds(counter.select(everything, batch)) / everything
        one = processor.seconds(counter.score(1))
        bulk = processor.seconds(counter.score(everything)) / everything
        found[name] = {"arriving_ms": 1e3 * (one + choice), "bulk_ms": 1e3 * (bulk + choice)}
    return found


def modelled_memory(board: Board, work: Counted) -> dict[str, Any]:
    """Return megabytes of tensors by purpose: random selection, and Titan pipelined."""
    return {
        "rs": _megabytes(board_memory(board, work.others["rs"], work.random, pipelined=False)),
        "titan_pipelined": _megabytes(board_memory(board, work.titan, work.size, pipelined=True)),
    }


def counted_memory(work: Counted) -> dict[str, Any]:
    """Return the same on this machine: whole rounds at once, and weights shared in place.

    The copies are the weights that filter and scoring have BatchNorm folded into. Candidates are
    kept as the filter's features where scoring goes on from them.
    """
    here = {"filter_at_once": None, "score_at_once": None, "separate": False, "sums": DOUBLE}
    random = round_memory(work.others["rs"], work.random, **here)
    titan = round_memory(work.titan, work.size, **here)
    scoring = _scoring_bytes(work) if work.passed else titan.scoring
    titan = replace(titan, copies=_folded_bytes(work.titan), scoring=scoring)
    return {"rs": _megabytes(random), "titan_pipelined": _megabytes(titan)}


def _folded_bytes(counter: RoundCounter) -> int:
    """Return the bytes of folded weights."""
    if counter.scoring_norm != "running":
        return 0
    forward = (Needs.LOGITS, Needs.INPUTS_AND_LOGITS, Needs.EMBEDDINGS)
    scores = counter.policy.needs in forward
    return FoldedNetwork(counter.network).own_bytes(None if scores else counter.blocks)


def _scoring_bytes(work: Counted) -> int:
    """Return the bytes of candidates that are features, and of the rest of their pass."""
    counter, network, number = work.titan, work.titan.network, work.size.candidates
    inputs = torch.empty(number, *counter.input_shape, device=META)
    with torch.no_grad(), scoring_mode(network, "running"):
        features = network.features(inputs, work.passed)
        held = peak_bytes(lambda: network.classifier(network.embed(features, work.passed)))
    return features.nbytes + number * LABEL + held


def _megabytes(memory: Memory) -> dict[str, float]:
    parts = {f"{purpose}_mb": size / MB for purpose, size in vars(memory).items()}
    return {**parts, "total_mb": memory.total / MB}
