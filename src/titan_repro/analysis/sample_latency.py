"""What one sample of the stream cost a finished run: measured, and on a modelled board."""

import numpy as np

from titan_repro.boards.clock import arrival_latency, scoring_latency
from titan_repro.boards.cost_model import Board
from titan_repro.boards.round_work import RoundCounter
from titan_repro.records.run_folder import RunFolder
from titan_repro.selection.base import Needs


def measured_latency(folder: RunFolder) -> float:
    """Return milliseconds a sample, the median over rounds; NaN if nothing was looked at.

    With a coarse filter, what it took; without one, scoring and choosing among all samples.
    """
    rounds = folder.rounds()
    filtered = bool((rounds["samples_filtered"] > 0).any())
    columns = ["seconds_filter"] if filtered else ["seconds_score", "seconds_select"]
    samples = rounds["samples_filtered" if filtered else "samples_scored"]
    looked = samples > 0
    if not looked.any():
        return float("nan")
    seconds = rounds.loc[looked, columns].astype(float).sum(axis=1)
    return float(np.median(1e3 * seconds / samples[looked]))


def modelled_latency(board: Board, counter: RoundCounter, samples: int, batch_size: int) -> float:
    """Return milliseconds a sample on the board's selection processor, as samples arrive.

    With a coarse filter, what it takes of one sample; without one, scoring one sample, and choosing
    a batch among a round's `samples`, divided by them. NaN for a policy that looks at none.
    """
    if counter.coarse_filter is not None:
        return 1e3 * arrival_latency(board, counter)
    if counter.policy.needs is Needs.NOTHING:
        return float("nan")
    return 1e3 * scoring_latency(board, counter, samples, batch_size)
