"""The candidate budget that a configuration asks for, and what of it decides a run's result."""

from functools import cache
from typing import Any

from omegaconf import DictConfig

from titan_repro.adaptive_config import has_modelled_clock, is_adaptive
from titan_repro.binding import bound, plain
from titan_repro.boards.board import read_board
from titan_repro.boards.clock import pipelined_round
from titan_repro.boards.cost_model import Board
from titan_repro.boards.idle import IdleTrace, read_idle
from titan_repro.boards.round_work import RoundCounter, RoundSize
from titan_repro.models.base import BlockNetwork
from titan_repro.pipeline.budget import FIXED, CandidateBudget, Measured, Modelled
from titan_repro.records.identity import run_id
from titan_repro.selection.selector import Selector


def budget_choices(config: DictConfig) -> dict[str, Any]:
    """Return what decides how many candidates rounds get beyond the filter's keys; {} if nothing.

    On a modelled clock that is the board and the idle trace, of a file its contents and not its
    path. Raises ConfigurationError or DataError if one of them cannot be read.
    """
    if not is_adaptive(config):
        return {}
    if not has_modelled_clock(config):
        return {"clock": "measured"}
    board, node = plain(config.device.modelled), bound(config, "idle.trace")
    read_board(board)
    trace = read_idle(node)
    idle = {"trace": node.pop("_target_").removeprefix("titan_repro.boards."), **node}
    if "path" in idle:
        idle["path"] = run_id({"begins": trace.begins, "shares": trace.shares})
    return {"clock": f"{config.device.name} {run_id(board)}", "idle": idle}


def build_budget(
    config: DictConfig, network: BlockNetwork, selector: Selector, velocity: int
) -> CandidateBudget:
    """Build what says how many of a round's `velocity` samples are candidates."""
    if not is_adaptive(config):
        return FIXED
    if not has_modelled_clock(config):
        return Measured()
    return modelled_budget(
        read_board(plain(config.device.modelled)),
        RoundCounter.of(network, selector, config.task.input_shape, config.model.name),
        read_idle(bound(config, "idle.trace")),
        velocity=velocity,
        batch_size=config.batch_size,
    )


def modelled_budget(
    board: Board, counter: RoundCounter, idle: IdleTrace, *, velocity: int, batch_size: int
) -> Modelled:
    """Return the budget of rounds of `velocity` samples on a board."""

    @cache
    def selection_seconds(candidates: int) -> float:
        size = RoundSize(velocity, candidates, candidates, batch_size)
        return pipelined_round(board, counter, size).selection_seconds

    without_selection = pipelined_round(board, counter, RoundSize(0, 0, 0, batch_size))
    return Modelled(
        selection_seconds,
        without_selection.train_seconds,
        without_selection.synchronisation_seconds,
        least=batch_size,
        most=velocity,
        idle=idle,
    )
