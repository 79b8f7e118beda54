"""The progress bar: round, loss, accuracy, rounds per second and time left."""

import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from titan_repro.pipeline.round import Round
from titan_repro.training import Evaluation


class ProgressBar:
    """An observer that draws a bar on standard error, or nothing where that is no terminal."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.loss: float | None = None  # exponential average, as single batches of ten jump about
        self.accuracy: float | None = None
        self.bar: Any = None

    def begin(self, folder: Path, start: int, rounds: int) -> None:
        """Draw the bar at `start` of `rounds`."""
        self.bar = tqdm(
            total=rounds,
            initial=start,
            desc=self.title,
            unit="round",
            dynamic_ncols=True,
            leave=False,
            disable=not sys.stderr.isatty(),
        )

    def round(self, result: Round) -> None:
        """Advance by one round."""
        self.loss = result.loss if self.loss is None else 0.95 * self.loss + 0.05 * result.loss
        if self.bar is not None:
            self._describe()
            self.bar.update()

    def evaluation(self, rounds_done: int, evaluation: Evaluation) -> None:
        """Show the new accuracy."""
        self.accuracy = evaluation.accuracy
        self._describe()

    def end(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.close()

    def _describe(self) -> None:
        if self.bar is None or self.bar.disable:
            return
        facts = {}
        if self.loss is not None:
            facts["loss"] = f"{self.loss:.3f}"
        if self.accuracy is not None:
            facts["accuracy"] = f"{100 * self.accuracy:.1f} %"
        self.bar.set_postfix(facts, refresh=False)
