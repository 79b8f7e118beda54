"""What an export keeps of which samples a run trained: how often all of them, and a few by name.

Two things are asked of it later: how evenly a selector went through the training set, which the
exact distribution over all samples answers; and whether two selectors trained the same samples,
which takes the same samples of every run, but not all: SKETCH of them.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd

SKETCH = 1000
"""Training samples whose counts are kept one by one; all of a smaller training set."""


def picks(rounds: pd.DataFrame, until: Sequence[int], samples: int) -> pd.DataFrame:
    """Return one row for each number of rounds in `until`, ascending.

    rounds: rows of rounds.parquet from round 0 on. samples: N, size of the training split.
    Columns: `rounds`; `times`, a list: how many of the N samples were trained 0, 1, 2, ... times
    in the first so many rounds; `sketch`, a list: how often each of `sketch_positions(N)` was.
    """
    positions = sketch_positions(samples)
    counts = np.zeros(samples, np.int64)
    rows: dict[str, list[object]] = {"rounds": [], "times": [], "sketch": []}
    done = 0
    for end in until:
        trained = rounds["trained_indices"].iloc[done:end]
        if len(trained):
            counts += np.bincount(np.concatenate(trained.to_list()), minlength=samples)
        done = end
        rows["rounds"].append(end)
        rows["times"].append(np.bincount(counts))
        rows["sketch"].append(counts[positions])
    return pd.DataFrame(rows)


@lru_cache(maxsize=8)
def sketch_positions(samples: int) -> np.ndarray:
    """Return min(SKETCH, samples) positions of a training split of so many samples, ascending.

    They are drawn at random without replacement, the same on every machine and for every run: those
    whose hashes are the lowest.
    """
    hashes = [
        hashlib.sha256(f"{samples}/{position}".encode()).digest() for position in range(samples)
    ]
    drawn = sorted(range(samples), key=hashes.__getitem__)[:SKETCH]
    return np.array(sorted(drawn))
