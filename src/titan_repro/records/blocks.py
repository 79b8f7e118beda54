"""What an export keeps of the rounds of a run: their sizes exactly, the rest by blocks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

BLOCK = 100
"""Rounds of a block; the last block of a run may be shorter."""

SIZES = ("candidates", "samples_streamed", "samples_filtered", "samples_scored", "samples_trained")
"""Columns of rounds.parquet that say how much work a round was."""

SECONDS = (
    "seconds_stream",
    "seconds_filter",
    "seconds_score",
    "seconds_select",
    "seconds_train",
    "seconds_wait",
)


@dataclass(frozen=True)
class Kept:
    """What an export keeps of a run's rounds.

    blocks, stretches, picks: as the functions `blocks`, `fold` and `picks.picks` make them. Of an
    older export, the columns `distinct` and `repeats` of blocks are empty, and there are no picks;
    nor are there of a run whose training set's size is not known.
    """

    blocks: pd.DataFrame
    stretches: pd.DataFrame
    picks: pd.DataFrame
    sample_milliseconds: float


def blocks(rounds: pd.DataFrame, classes: int) -> pd.DataFrame:
    """Return one row for every block of BLOCK rounds.

    rounds: rows of rounds.parquet from round 0 on. classes: number of labels.
    Columns: `first_round`; `rounds`, how many the block has; `chosen`, a list of how often each
    class was trained; `noisy`, trained samples that the stream had disturbed; `distinct`, how many
    different samples were trained; `repeats`, trained samples that stood in their batch already;
    `loss`, mean over the rounds; `nonfinite` and SECONDS, sums.
    """
    number = (rounds["round"] // BLOCK).to_numpy()
    grouped = rounds.groupby(number)
    return pd.DataFrame(
        {
            "first_round": grouped["round"].first().to_numpy(),
            "rounds": grouped.size().to_numpy(),
            "chosen": _class_counts(rounds["trained_labels"], number, classes),
            "noisy": _noisy(rounds["trained_noisy"], number),
            "distinct": _distinct(rounds["trained_indices"], number),
            "repeats": _repeats(rounds["trained_indices"], number),
            "loss": rounds["loss"].astype(float).groupby(number).mean().to_numpy(),
            "nonfinite": grouped["nonfinite"].sum().to_numpy(),
            **{name: rounds[name].astype(float).groupby(number).sum() for name in SECONDS},
        }
    )


def fold(rounds: pd.DataFrame) -> pd.DataFrame:
    """Return one row for every stretch of rounds of the same sizes.

    Columns: `first_round`; `rounds`, how many; SIZES. `unfold` gives back every round.
    """
    sizes = rounds[list(SIZES)].to_numpy()
    changes = (sizes[1:] != sizes[:-1]).any(axis=1)
    starts = np.concatenate([[0], 1 + np.flatnonzero(changes)]) if len(sizes) else np.array([], int)
    stretches = rounds.iloc[starts][list(SIZES)].reset_index(drop=True)
    lengths = np.diff([*starts, len(sizes)]) if len(sizes) else starts
    stretches.insert(0, "first_round", starts)
    stretches.insert(1, "rounds", lengths)
    return stretches


def unfold(stretches: pd.DataFrame) -> pd.DataFrame:
    """Return `round` and SIZES of every round, from what `fold` made of them."""
    lengths = stretches["rounds"].to_numpy()
    rounds = pd.DataFrame(
        {name: np.repeat(stretches[name].to_numpy(), lengths) for name in SIZES},
    )
    rounds.insert(0, "round", np.arange(len(rounds)))
    return rounds


def sample_milliseconds(rounds: pd.DataFrame) -> float:
    """Return what looking at a sample of the stream took, the median over rounds; NaN if none was.

    With a coarse filter, what it took; without one, scoring and choosing among all samples.
    """
    filtered = bool((rounds["samples_filtered"] > 0).any())
    columns = ["seconds_filter"] if filtered else ["seconds_score", "seconds_select"]
    samples = rounds["samples_filtered" if filtered else "samples_scored"]
    looked = samples > 0
    if not looked.any():
        return float("nan")
    seconds = rounds.loc[looked, columns].astype(float).sum(axis=1)
    return float(np.median(1e3 * seconds / samples[looked]))


def _class_counts(
    labels: "pd.Series[Any]", block: np.ndarray, classes: int
) -> Sequence[np.ndarray]:
    """Count the labels of each block, (blocks, classes)."""
    if len(labels) == 0:
        return []
    lengths = labels.map(len).to_numpy()
    flat = np.concatenate(labels.to_list()).astype(int)
    counts = np.zeros((int(block[-1]) + 1, classes), int)
    np.add.at(counts, (np.repeat(block, lengths), flat), 1)
    return list(counts)


def _noisy(flags: "pd.Series[Any]", block: np.ndarray) -> np.ndarray:
    noisy = np.array([sum(row) for row in flags], dtype=int)
    return np.bincount(block, weights=noisy).astype(int)


def _distinct(indices: "pd.Series[Any]", block: np.ndarray) -> list[int]:
    return [len(np.unique(np.concatenate(rows.to_list()))) for _, rows in indices.groupby(block)]


def _repeats(indices: "pd.Series[Any]", block: np.ndarray) -> np.ndarray:
    repeats = np.array([len(row) - len(set(row)) for row in indices], dtype=int)
    return np.bincount(block, weights=repeats).astype(int)
