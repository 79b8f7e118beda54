"""What a run says of the board that its device profile models: the same as its replay would."""

from collections.abc import Callable
from typing import Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from titan_repro.adaptive_config import is_adaptive
from titan_repro.binding import bound, plain
from titan_repro.boards.board import read_board
from titan_repro.boards.clock import MB, local_rounds, modelled
from titan_repro.boards.cost_model import Board
from titan_repro.boards.idle import ALWAYS, read_idle
from titan_repro.runs.counter import build_counter


def modelled_board(config: DictConfig) -> Board | None:
    """Return the board of the device profile, None if its clock is the wall's.

    Raises ConfigurationError for constants that cannot be.
    """
    profile = plain(OmegaConf.select(config, "device.modelled"))
    return None if profile is None else read_board(profile)


def modelled_record(config: DictConfig, rounds: Callable[[], pd.DataFrame]) -> dict[str, Any]:
    """Return the entries `modelled_*` of a summary; none if the device's clock is the wall's.

    rounds: reads the rows of rounds.parquet so far; the numbers are None while there are none.
    """
    board = modelled_board(config)
    if board is None:
        return {}
    rows = rounds()
    names = ("seconds", "seconds_per_round", "joules", "joules_per_round", "memory_mb")
    facts: dict[str, Any] = {
        "modelled_device": config.device.name,
        "modelled_stages": "pipelined" if config.delay else "in sequence",
        **dict.fromkeys(f"modelled_{name}" for name in names),
    }
    if len(rows) == 0:
        return facts
    idle = read_idle(bound(config, "idle.trace")) if is_adaptive(config) else ALWAYS
    clock = modelled(board, build_counter(config), rows, config.delay, idle, local_rounds(config))
    assert clock.joules is not None
    seconds, joules = float(clock.seconds[-1]), float(clock.joules[-1])
    numbers = (seconds, seconds / len(rows), joules, joules / len(rows), clock.memory_bytes / MB)
    return facts | {f"modelled_{name}": n for name, n in zip(names, numbers, strict=True)}
