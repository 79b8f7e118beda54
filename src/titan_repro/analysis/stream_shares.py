"""What arrives on a stream, from a run's configuration alone: class shares and noisy share."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def stream_shares(config: Mapping[str, Any], class_sizes: Sequence[int]) -> np.ndarray | None:
    """Return the share of each class (C,) among arriving samples, labels as the stream shows them.

    config: a run's, with the stream's keys in its source or beside it.
    class_sizes: (C,) samples of each class in the training split.
    None for streams whose class mix is their own (imbalanced, drift, or a user's). Of label noise
    it is the expectation over which samples are struck.
    """
    shares: np.ndarray = np.asarray(class_sizes, dtype=float) / sum(class_sizes)
    match _source_name(config):
        case "CleanStream" | "FeatureNoise":
            return shares
        case "LabelNoise":
            fraction = stream_noise(config)
            shown: np.ndarray = (1 - fraction) * shares + fraction * (1 - shares) / (
                len(shares) - 1
            )
            return shown
    return None


def stream_noise(config: Mapping[str, Any]) -> float:
    """Return the share of the training split that a run's stream disturbs.

    0 without noise; NaN where it is not on record, as of a user's own stream.
    """
    stream, name = config["stream"], _source_name(config)
    if name in ("FeatureNoise", "LabelNoise"):
        return float(stream["source"].get("fraction", stream.get("fraction", "nan")))
    return float("nan") if name == stream["source"]["_target_"] else 0.0


def _source_name(config: Mapping[str, Any]) -> str:
    """Name the stream's class; one that is not this package's with its module."""
    target: str = config["stream"]["source"]["_target_"]
    return target.rpartition(".")[2] if target.startswith("titan_repro.") else target
