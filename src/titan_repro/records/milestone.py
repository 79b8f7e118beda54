"""Accuracy on the whole test set at fixed rounds, which runs of any length have in common."""

from dataclasses import dataclass

MILESTONES = (1000, 2000, 4000, 10_000, 20_000)
"""Rounds after which every run is measured on the whole test set, and so is its end."""


@dataclass(frozen=True)
class Milestone:
    """The network after `rounds` rounds; the fields are the keys in summary.json.

    accuracy: share of the whole test set that was classified correctly, 0 to 1.
    loss: mean cross-entropy over it.
    samples: size of the test set.
    train_seconds: measured time of all rounds so far, without evaluations and checkpoints.
    weights_sha256: digest of the weights.
    """

    rounds: int
    accuracy: float
    loss: float
    samples: int
    train_seconds: float
    weights_sha256: str
