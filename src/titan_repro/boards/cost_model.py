"""From work to time, power and energy on a board that is not here.

    an operation      max(FLOP / rate of its kind, bytes / bandwidth) + launches x launch time
                      + channels of a depthwise convolution x channel time
    a stage           its operations, one after the other
    round, inline     filter + score + select + train, all on the training processor
    round, pipelined  max(train, filter + score + select) + handing over the new weights
    energy            idle x time + sum over processors of rail x time that it is busy
                      + bytes x energy of a byte + awake x time, if another processor selects
    power             energy / time

Pure functions over plain numbers; where the numbers come from is said in conf/device.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from titan_repro.boards.layers import Kind
from titan_repro.boards.round_work import RoundWork, StandIns
from titan_repro.boards.work import Operation, Work


@dataclass(frozen=True)
class Processor:
    """What one processor really achieves on this software, not what its data sheet says.

    forward_rates, backward_rates: floating-point operations a second, by kind of layer.
    bandwidth, linear_bandwidth: bytes a second; linear layers stream their weights, all else goes
        over images in small pieces.
    launch_seconds: fixed time of a kernel.
    channel_seconds, channel_backward_seconds: time for a channel of a sample in a depthwise
        convolution, where the software has no kernel for it and takes the channels one by one.
    watts: of its power rail while busy, beyond idle.
    """

    forward_rates: Mapping[Kind, float]
    backward_rates: Mapping[Kind, float]
    bandwidth: float
    linear_bandwidth: float
    launch_seconds: float
    channel_seconds: float
    channel_backward_seconds: float
    watts: float

    def seconds(self, work: Work) -> float:
        """Return how long the work takes here."""
        return sum(one.times * self._once(one) for one in work.operations)

    def _once(self, one: Operation) -> float:
        arithmetic = 0.0
        if one.flops:
            rates = self.backward_rates if one.backward else self.forward_rates
            arithmetic = one.flops / rates[one.kind]
        channel = self.channel_backward_seconds if one.backward else self.channel_seconds
        fixed = one.launches * self.launch_seconds + one.channels * channel
        linear = one.kind is Kind.LINEAR
        traffic = one.bytes / (self.linear_bandwidth if linear else self.bandwidth)
        return max(arithmetic, traffic) + fixed

    def in_half_precision(self) -> "Processor":
        """Return this processor on numbers of two bytes, if it does two such for one of four."""
        return replace(
            self,
            forward_rates={kind: 2 * rate for kind, rate in self.forward_rates.items()},
            backward_rates={kind: 2 * rate for kind, rate in self.backward_rates.items()},
            bandwidth=2 * self.bandwidth,
            linear_bandwidth=2 * self.linear_bandwidth,
        )


@dataclass(frozen=True)
class Handover:
    """How new weights come from the training process to those that select.

    bytes_per_second: they are written, passed on and read. tensor_seconds: fixed, of each tensor.
    """

    bytes_per_second: float
    tensor_seconds: float


@dataclass(frozen=True)
class Board:
    """A device whose clock is modelled.

    processors: by name.
    train, select: the processors of the training process and of the two selection processes.
    idle_watts: of the whole board with nothing running.
    awake_watts: beyond it while a second processor is in use, whatever it does.
    byte_joules: of moving a byte to or from memory.
    handover: None where one processor both trains and selects, on weights shared in place.
    filter_at_once, score_at_once: how many samples one forward pass takes; None for all there are.
    stand_ins: the networks that its figures are of; None: the run's own, on the task's own inputs.
    """

    processors: Mapping[str, Processor]
    train: str
    select: str
    idle_watts: float
    awake_watts: float
    byte_joules: float
    handover: Handover | None
    filter_at_once: int | None
    score_at_once: int | None
    stand_ins: StandIns | None


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
    energy = joules(board, seconds, {board.train: seconds}, _bytes(work))
    return RoundCost(seconds, selection, train, 0.0, energy)


def pipelined_cost(board: Board, work: RoundWork, handover_bytes: int, tensors: int) -> RoundCost:
    """Return the cost of a round that selects for the next one while it trains.

    handover_bytes, tensors: of the new weights, which are handed over while nothing else runs.
    Both processes may be on one processor, then they have half of it each: no time is hidden.
    """
    trainer, selector = board.processors[board.train], board.processors[board.select]
    selection = _selection_seconds(selector, work)
    train = trainer.seconds(work.train)
    if board.handover is None:
        seconds = train + selection
        energy = joules(board, seconds, {board.train: seconds}, _bytes(work))
        return RoundCost(seconds, selection, train, 0.0, energy)
    copying = handover_bytes / board.handover.bytes_per_second
    copying += tensors * board.handover.tensor_seconds
    seconds = max(train, selection) + copying
    busy = {board.train: train + copying, board.select: selection}
    energy = joules(board, seconds, busy, _bytes(work) + 2 * handover_bytes)
    return RoundCost(seconds, selection, train, copying, energy)


def joules(board: Board, seconds: float, busy: Mapping[str, float], moved: float) -> float:
    """Return the energy of `seconds` in which each processor was busy for as long as `busy` says.

    moved: bytes to and from memory meanwhile. Rails count while busy, so power is an average.
    """
    rails = sum(board.processors[name].watts * share for name, share in busy.items())
    awake = board.awake_watts if any(busy[name] for name in busy if name != board.train) else 0.0
    return (board.idle_watts + awake) * seconds + rails + board.byte_joules * moved


def _bytes(work: RoundWork) -> float:
    return sum(stage.bytes for stage in (work.filter, work.score, work.select, work.train))


def _selection_seconds(processor: Processor, work: RoundWork) -> float:
    return sum(processor.seconds(stage) for stage in (work.filter, work.score, work.select))
