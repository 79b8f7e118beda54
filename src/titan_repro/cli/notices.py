"""What titan-run says on standard error without being asked: that something will take long."""

import os
import sys
import threading
from pathlib import Path
from time import monotonic

from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from titan_repro.config import plain
from titan_repro.devices.process import AUTO
from titan_repro.records.rounds import RoundRecord
from titan_repro.training import Evaluation

LONG = 10.0
"""Seconds of a round that a person is told of."""


def notice(text: str) -> None:
    """Write a line to standard error, past a progress bar; nothing where it was closed (2>&-)."""
    if sys.stderr is not None:
        tqdm.write(f"titan-run: {text}", file=sys.stderr)


def warn_of_one_core(config: DictConfig) -> None:
    """Say that three processes share one core, unless their cores were chosen by number."""
    cores = plain(OmegaConf.select(config, "device.cores")) or {}
    if config.executor.name != "processes" or AUTO not in cores.values():
        return
    here = os.sched_getaffinity(0)
    if len(here) == 1:
        notice(
            f"warning: executor=processes has one processor core here ({min(here)}); filter, "
            "selection and training share it, so nothing runs beside training"
        )


class SlowRounds:
    """A callback that warns of rounds that take over `LONG` seconds: during the first, and after.

    velocity: samples of a round, which decide how long it takes.
    """

    def __init__(self, velocity: int) -> None:
        self._cause = f"stream.velocity={velocity} samples"
        self._rounds = 0
        self._began = 0.0
        self._timer: threading.Timer | None = None  # of the first round, while it runs

    def begin(self, folder: Path, start: int, rounds: int) -> None:
        """Wait for the first round."""
        self._rounds = rounds - start
        self._start_timer()

    def round(self, record: RoundRecord) -> None:
        """Say how long all rounds will take, if the first one took long."""
        if self._timer is None:
            return
        self._stop_timer()
        seconds = monotonic() - self._began
        if seconds > LONG:
            hours = seconds * self._rounds / 3600
            notice(
                f"warning: a round takes {seconds:.0f} s ({self._cause}): "
                f"{self._rounds} rounds about {hours:.1f} h"
            )

    def evaluation(self, rounds_done: int, evaluation: Evaluation) -> None:
        """Begin again: the evaluation before the first round is no part of it."""
        if self._timer is not None:
            self._stop_timer()
            self._start_timer()

    def end(self) -> None:
        """Wait no longer."""
        self._stop_timer()

    def _start_timer(self) -> None:
        self._began = monotonic()
        self._timer = threading.Timer(LONG, notice, [self._still_running()])
        self._timer.daemon = True
        self._timer.start()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _still_running(self) -> str:
        return f"warning: the first round takes over {LONG:g} s ({self._cause}); it goes on"
