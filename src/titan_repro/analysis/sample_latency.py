"""What one sample of the stream costs on a modelled board."""

from titan_repro.boards.clock import arrival_latency, scoring_latency
from titan_repro.boards.cost_model import Board
from titan_repro.boards.round_work import RoundCounter
from titan_repro.selection.base import Needs


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
