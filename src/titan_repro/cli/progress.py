"""The progress bar: round, loss, accuracy, rounds per second and time left."""

import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from titan_repro.records.rounds import RoundRecord
from titan_repro.training import Evaluation

FORMAT = "{n}/{total}{postfix}, {rate_noinv_fmt}, {remaining} left  {desc} |{bar}|"
"""What changes comes first: 80 columns hold it, while the bar takes what is left over."""


class ProgressBar:
    """A callback that draws a bar on standard error, or nothing where that is no terminal."""

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
            unit=" rounds",
            bar_format=FORMAT,
            dynamic_ncols=True,
            leave=False,
            disable=sys.stderr is None or not sys.stderr.isatty(),  # None: it was closed, 2>&-
        )

    def round(self, record: RoundRecord) -> None:
        """Advance by one round."""
        self.loss = record.loss if self.loss is None else 0.95 * self.loss + 0.05 * record.loss
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
        facts = []
        if self.loss is not None:
            facts.append(f"loss {self.loss:.3f}")
        if self.accuracy is not None:
            facts.append(f"accuracy {100 * self.accuracy:.1f} %")
        self.bar.set_postfix_str(", ".join(facts), refresh=False)
