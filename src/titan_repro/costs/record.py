"""What costs.json says of rounds, latency, memory and power: measured here, and modelled."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from statistics import fmean, median, quantiles
from typing import Any

from omegaconf import DictConfig

from titan_repro.costs.latency import Latency, filter_latencies, latencies
from titan_repro.costs.memory import measure_in_fresh_process
from titan_repro.costs.modelled import (
    Counted,
    board_of,
    counted_memory,
    modelled_latencies,
    modelled_memory,
    modelled_power,
    modelled_rounds,
)
from titan_repro.costs.rounds import SideBySide
from titan_repro.devices.meters import NOT_MEASURED
from titan_repro.runs.build import with_selector
from titan_repro.tasks.base import Task


def costs_record(
    config: DictConfig, task: Task, rounds: SideBySide, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Measure and count the rest, and return all of it; units are in the names.

    rounds: as they were timed. tell: is called with the name of every step that begins.
    """
    tell("latency of a sample")
    seconds = config.experiment.latency_seconds
    latency = latencies(config, task, seconds)
    tell("latency of the coarse filter, block by block")
    by_blocks = filter_latencies(config, task, seconds)
    tell("peak memory in fresh processes")
    memory = _measured_memory(config)
    tell("the modelled board")
    board, work = board_of(config), Counted.of(config)
    return {
        "rounds": {
            "measured": _measured_rounds(rounds),
            "quiet": rounds.quiet().record(),
            "modelled": modelled_rounds(board, work),
        },
        "latency": {
            "measured": {way: _latency(timed) for way, timed in latency.items()},
            "filter_by_blocks": {str(n): _latency(timed) for n, timed in by_blocks.items()},
            "modelled": modelled_latencies(board, work),
        },
        "memory": {
            "measured": memory,
            "counted": counted_memory(work),
            "modelled": modelled_memory(board, work),
        },
        "power": {"modelled": modelled_power(board, work)},
    }


def _latency(timed: Latency) -> dict[str, float]:
    return {
        "arriving_ms": timed.arriving,
        "bulk_ms": timed.bulk,
        "repetitions": timed.repetitions,
    }


def _measured_rounds(rounds: SideBySide) -> dict[str, Any]:
    return {
        "rs_ms": _spread(rounds.alone),
        "titan_sequential_ms": _spread(rounds.sequential),
        "titan_pipelined_ms": _spread(rounds.pipelined),
        "waiting_ms": _spread(rounds.waits),
        "selection_ms": _spread(rounds.selection),
        "messages_ms": _spread(rounds.messages),
        "hidden_percent": rounds.typical().record()["hidden_percent"],
    }


def _spread(times: Sequence[float]) -> dict[str, float]:
    lower, _, upper = quantiles(times, n=4)
    return {
        "median": median(times),
        "mean": fmean(times),
        "lower_quartile": lower,
        "upper_quartile": upper,
        "rounds": len(times),
    }


def _measured_memory(config: DictConfig) -> dict[str, Any]:
    """Measure random selection and Titan in sequence in one process, and Titan in three."""
    inline = deepcopy(config)
    inline.executor = {"name": "inline"}
    ways = {
        "rs": with_selector(inline, "rs"),
        "titan_sequential": inline,
        "titan_pipelined": config,
    }
    found = {}
    for name, way in ways.items():
        peak = measure_in_fresh_process(way, config.experiment.memory_rounds)
        together = NOT_MEASURED if peak.together is None else peak.together
        found[name] = {"together_mb": together, "each_mb": peak.each}
    return found
