"""TensorBoard logging, on request: loss every round, accuracy at every evaluation."""

from pathlib import Path
from typing import Any

from titan_repro.errors import ConfigurationError
from titan_repro.records.rounds import RoundRecord
from titan_repro.training import Evaluation


class TensorBoardLog:
    """A callback that writes event files to the run folder's `tensorboard/`."""

    def __init__(self) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ConfigurationError(
                "tensorboard: found true, but the package is not installed; "
                "allowed: pip install 'titan-repro[tensorboard]', or tensorboard=false"
            ) from None
        self._open = SummaryWriter
        self.writer: Any = None

    def begin(self, folder: Path, start: int, rounds: int) -> None:
        """Open the log; what an earlier, killed process logged from `start` on is superseded."""
        self.writer = self._open(str(folder / "tensorboard"), purge_step=start)

    def round(self, record: RoundRecord) -> None:
        """Log loss and learning rate."""
        self.writer.add_scalar("train/loss", record.loss, record.round)
        self.writer.add_scalar("train/learning_rate", record.learning_rate, record.round)

    def evaluation(self, rounds_done: int, evaluation: Evaluation) -> None:
        """Log accuracy and loss on the fixed test subset."""
        self.writer.add_scalar("test/accuracy", evaluation.accuracy, rounds_done)
        self.writer.add_scalar("test/loss", evaluation.loss, rounds_done)

    def end(self) -> None:
        """Close the log."""
        if self.writer is not None:
            self.writer.close()
