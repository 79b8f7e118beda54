"""`titan-report replay`: clock, energy and time to accuracy of finished runs on another device.

A run records how many samples each stage of each round touched. With the work of a sample, counted
once for each network and selector, that is enough to say what the run would have cost elsewhere:
nothing is trained again.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from titan_repro.adaptive_config import is_adaptive
from titan_repro.binding import POLICY_KEYS, bound
from titan_repro.boards.clock import MB, Replayed, local_rounds, modelled
from titan_repro.boards.cost_model import Board
from titan_repro.boards.idle import ALWAYS, IdleTrace, read_idle
from titan_repro.boards.round_work import RoundCounter
from titan_repro.errors import ConfigurationError
from titan_repro.records.recorded import RecordedRun

Config = Mapping[str, Any]
"""A run's config.yaml."""

CountRounds = Callable[[Config], RoundCounter]
"""Builds the counter of the network and selector that a configuration describes."""


@dataclass(frozen=True)
class Device:
    """The profile to replay on.

    tensors, threads: where its runs are computed. board: None if its clock is the wall's.
    """

    name: str
    tensors: str
    threads: int
    board: Board | None


class Replay:
    """Replays runs on one device, counting each network and selector once.

    What it has replayed on a modelled board it keeps, as many figures ask for the same runs.
    """

    def __init__(self, device: Device, count_rounds: CountRounds) -> None:
        self.device = device
        self._count_rounds = count_rounds
        self._counters: dict[str, RoundCounter] = {}
        self._replayed: dict[tuple[RecordedRun, int], Replayed] = {}

    def run(self, run: RecordedRun, summary: Mapping[Any, Any]) -> Replayed:
        """Replay one run until the `rounds_done` of `summary`, its row of `Runs.summaries`.

        Raises ConfigurationError if the device cannot say what it costs.
        """
        board = self.device.board
        if board is None:
            _check_measured_here(self.device, run)
            return _measured(run, summary)
        asked = run, int(summary["rounds_done"])
        if asked not in self._replayed:
            self._replayed[asked] = self._on_board(board, *asked)
        return self._replayed[asked]

    def _on_board(self, board: Board, run: RecordedRun, rounds: int) -> Replayed:
        config = run.config
        counter, sizes = self._counter(config), run.sizes(rounds)
        return modelled(board, counter, sizes, config["delay"], _idle(config), local_rounds(config))

    def counter(self, run: RecordedRun) -> RoundCounter:
        """Return what counts the rounds of a run."""
        return self._counter(run.config)

    def _counter(self, config: Config) -> RoundCounter:
        deciding = {
            "model": config["model"],
            "policy": {key: config.get(key) for key in POLICY_KEYS},
            "task": [config["task"]["input_shape"], config["task"]["num_classes"]],
            "selector": config["selector"],
            "filter": config["filter"],
            "scoring_norm": config["scoring_norm"],
        }
        key = json.dumps(deciding, sort_keys=True)
        if key not in self._counters:
            self._counters[key] = self._count_rounds(config)
        return self._counters[key]


def _measured(run: RecordedRun, summary: Mapping[Any, Any]) -> Replayed:
    """Return what the run itself recorded."""
    done, mean = int(summary["rounds_done"]), float(summary["seconds_per_round"])
    curve = run.curve[run.curve["round"] <= done]
    known = dict(zip(curve["round"], curve["train_seconds"], strict=True))
    known.setdefault(done, done * mean)  # a diverged run ends between evaluations
    inline = summary["executor"] == "inline"
    return Replayed(
        inline_seconds=mean if inline else None,
        pipelined_seconds=None if inline else mean,
        seconds=np.interp(np.arange(done + 1), list(known), list(known.values())),
        joules=None,
        memory_bytes=MB * float(summary["peak_memory_mb"]),
    )


def _check_measured_here(device: Device, run: RecordedRun) -> None:
    profile = run.config["device"]
    found = (profile["tensors"], profile["threads"])
    if found != (device.tensors, device.threads):
        raise ConfigurationError(
            f"device: found {device.name}, whose clock is measured, for {run.where}, which was "
            f"made with device={profile['name']}; allowed: that one, or a modelled device"
        )


def _idle(config: Config) -> IdleTrace:
    """Return the idle trace of a run that adapted to it; others knew of none."""
    node = OmegaConf.create(dict(config))
    return read_idle(bound(node, "idle.trace")) if is_adaptive(node) else ALWAYS
