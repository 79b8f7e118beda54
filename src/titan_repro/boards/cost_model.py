"""From work to time, power and energy on a board that is not here.

    time of a stage   = max(FLOP / rate, bytes / bandwidth) + launches x launch time
    round, inline     = filter + score + select + train, all on the training processor
    round, pipelined  = max(train, filter + score + select) + synchronisation
    power             = idle + sum over processors of rail power x share of the round it is busy
    energy            = power x time

Pure functions over plain numbers; where the numbers come from is said in conf/device.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from titan_repro.boards.round_work import RoundWork
from titan_repro.boards.work import NO_WORK, Work


@dataclass(frozen=True)
class Processor:
    """What one processor really achieves on this software, not what its data sheet says.

    forward_rate, backward_rate: floating-point operations a second.
    bandwidth: bytes a second.
    launch_seconds: fixed time of a kernel.
    watts: of its power rail while busy, beyond idle.
    """

    forward_rate: float
    backward_rate: float
    bandwidth: float
    launch_seconds: float
    watts: float

    def seconds(self, work: Work) -> float:
        """Return how long the work takes here."""
        arithmetic = work.flops / self.forward_rate + work.backward_flops / self.backward_rate
        return max(arithmetic, work.bytes / self.bandwidth) + work.launches * self.launch_seconds


@dataclass(frozen=True)
class Board:
    """A device whose clock is modelled.

    processors: by name.
    train, select: the processors of the training process and of the two selection processes.
    idle_watts: of the whole board with nothing running.
    filter_at_once, score_at_once: how many samples one forward pass takes; None for all there are.
    """

    processors: Mapping[str, Processor]
    train: str
    select: str
    idle_watts: float
    filter_at_once: int | None
    score_at_once: int | None


@dataclass(frozen=True)
class RoundCost:
    """What a round, or a sum of rounds, costs.

    seconds: from its beginning to that of the next.
    selection_seconds: of them and beside them, in filter, scoring and policy.
    train_seconds, synchronisation_seconds: likewise.
    joules: of the whole board.
    """

    seconds: float
    selection_seconds: float
    train_seconds: float
    synchronisation_seconds: float
    joules: float

    @property
    def watts(self) -> float:
        """Average power of the whole board."""
        return self.joules / self.seconds


def inline_cost(board: Board, work: RoundWork) -> RoundCost:
    """Return the cost of a round whose stages follow one another on the training processor."""
    processor = board.processors[board.train]
    selection = _selection_seconds(processor, work)
    train = processor.seconds(work.train)
    seconds = selection + train
    return RoundCost(seconds, selection, train, 0.0, joules(board, seconds, {board.train: seconds}))


def pipelined_cost(board: Board, work: RoundWork, synchronisation: Work) -> RoundCost:
    """Return the cost of a round that selects for the next one while it trains.

    synchronisation: copying the new weights to where selection runs; nothing else runs meanwhile.
    Both processes may be on one processor, then they have half of it each: no time is hidden.
    """
    trainer, selector = board.processors[board.train], board.processors[board.select]
    selection = _selection_seconds(selector, work)
    train = trainer.seconds(work.train)
    copying = selector.seconds(synchronisation)
    if board.train == board.select:
        seconds = train + selection + copying
        busy = {board.train: seconds}
    else:
        seconds = max(train, selection) + copying
        busy = {board.train: train, board.select: selection + copying}
    return RoundCost(seconds, selection, train, copying, joules(board, seconds, busy))


def joules(board: Board, seconds: float, busy: Mapping[str, float]) -> float:
    """Return the energy of `seconds` in which each processor was busy for as long as `busy` says.

    A processor's rail counts while it is busy, so the power is averaged over time.
    """
    rails = sum(board.processors[name].watts * share for name, share in busy.items())
    return board.idle_watts * seconds + rails


def synchronisation_work(board: Board, parameter_bytes: float, tensors: int) -> Work:
    """Return the work of bringing new weights to the selection processor.

    They are read and written once, a copy a tensor. Nothing where both processes run on one
    processor and share the weights in place.
    """
    if board.train == board.select:
        return NO_WORK
    return Work(bytes=2 * parameter_bytes, launches=tensors)


def _selection_seconds(processor: Processor, work: RoundWork) -> float:
    return sum(processor.seconds(stage) for stage in (work.filter, work.score, work.select))
