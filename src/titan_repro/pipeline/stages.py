"""What processes 1 and 2 do: the same calls as the reference executor makes, each its part.

Between rounds both stand still. In round t

    process 3 sends `begin t`            -> process 1 filters with w_t, lays out the candidates
    process 1 sends `candidates of t`    -> process 2 scores with w_t and selects
    process 2 sends `chosen in t`        -> process 3 may write the weights: nobody reads w_t now
                                         -> process 1 draws round t + 1 while they are written

With a candidate budget that is measured, process 2 scores on until process 3 has its gradients.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter

from torch import Tensor

from titan_repro.models.base import BlockNetwork
from titan_repro.pipeline.anytime_scoring import score_while
from titan_repro.pipeline.channel import Channel
from titan_repro.pipeline.selector import Admitted, Selector
from titan_repro.pipeline.tray import Layout, Tray
from titan_repro.seeds import generator
from titan_repro.streams.base import Arrivals, Stream


@dataclass(frozen=True)
class Equipment:
    """What processes 1 and 2 are given: `network` reads the weights that process 3 trains.

    candidates: from process 1 to 2. batches: from process 2 to 3.
    filtered: (1,) int64, the last round that process 1 is done with, for the watchdog.
    trained: (1,) int64, the last round whose gradients process 3 has computed.
    until_trained: whether process 2 scores until then, and not a number of candidates.
    """

    network: BlockNetwork
    selector: Selector
    stream: Stream
    candidates: Tray
    batches: Tray
    filtered: Tensor
    trained: Tensor
    until_trained: bool
    batch_size: int
    seed: int
    threads: int


@dataclass(frozen=True)
class Facts:
    """What a round's selection leaves for the record: numbers, sent in messages."""

    streamed: int
    candidates: int
    nonfinite: int
    seconds: Mapping[str, float]


class DrawnRound:
    """One round of a stream, drawn and made into inputs before it is needed."""

    def __init__(self, stream: Stream, t: int, with_inputs: bool) -> None:
        began = perf_counter()
        self.t = t
        self.velocity = stream.velocity
        self.arrivals = stream.round(t)
        drawn = perf_counter()
        self._inputs = stream.inputs(self.arrivals) if with_inputs else None
        self.stream_seconds = drawn - began
        self.inputs_seconds = perf_counter() - drawn
        self._stream = stream

    def round(self, t: int) -> Arrivals:
        """Return a round's samples, as the stream does."""
        return self.arrivals if t == self.t else self._stream.round(t)

    def inputs(self, arrivals: Arrivals) -> Tensor:
        """Return inputs, as the stream does."""
        if arrivals is self.arrivals and self._inputs is not None:
            return self._inputs
        return self._stream.inputs(arrivals)


class FilterStage:
    """Process 1: from the stream to the candidates."""

    remembers = "filter"

    def __init__(self, equipment: Equipment, _trainer: Channel, selection: Channel) -> None:
        self.equipment = equipment
        self.selector = equipment.selector
        self._selection = selection
        self._drawn: DrawnRound | None = None
        self._last = -1

    def handle(self, kind: str, t: int, keep: int | None = None) -> None:
        """Filter the round that begins, or draw the next one once a round's batch is chosen."""
        if kind == "begin":
            self._filter(t, keep)
        elif t >= self._last:  # "chosen"; older news is overtaken by the round that began since
            self._drawn = self._draw(t + 1)

    def _filter(self, t: int, keep: int | None) -> None:
        kit, self._last = self.equipment, t
        drawn = self._drawn if self._drawn is not None and self._drawn.t == t else self._draw(t)
        began = perf_counter()
        admitted = self.selector.admit(
            kit.network, drawn, drawn.arrivals, generator(kit.seed, "filter", t), keep
        )
        layout = kit.candidates.put(**_candidates(admitted))
        seconds = {
            "stream": drawn.stream_seconds,
            "filter": drawn.inputs_seconds + perf_counter() - began,
        }
        kit.filtered.fill_(t)
        self._selection.send("candidates", t, layout, len(drawn.arrivals), seconds)

    def _draw(self, t: int) -> DrawnRound:
        return DrawnRound(self.equipment.stream, t, self.selector.reads_inputs)


class SelectionStage:
    """Process 2: from the candidates to the batch."""

    remembers = "policy"

    def __init__(self, equipment: Equipment, trainer: Channel, filtering: Channel) -> None:
        self.equipment = equipment
        self.selector = equipment.selector
        self._trainer = trainer
        self._filtering = filtering

    def handle(
        self, _kind: str, t: int, layout: Layout, streamed: int, seconds: Mapping[str, float]
    ) -> None:
        """Score the candidates that have come and choose a batch."""
        kit, times = self.equipment, [perf_counter()]
        admitted = _admitted(kit.candidates.look(layout), self.selector.blocks_passed)
        if kit.until_trained:
            admitted, candidates = score_while(
                lambda: kit.trained.item() < t, self.selector, kit.network, admitted, kit.batch_size
            )
        else:
            candidates = self.selector.score(kit.network, admitted)
        times.append(perf_counter())
        chosen, selection = self.selector.select(
            admitted, candidates, kit.batch_size, generator(kit.seed, "selection", t)
        )
        times.append(perf_counter())
        nonfinite = int(admitted.nonfinite + selection.nonfinite)
        mine = {"score": times[1] - times[0], "select": times[2] - times[1]}
        facts = Facts(streamed, len(admitted.arrivals), nonfinite, {**seconds, **mine})
        self._trainer.send("chosen", kit.batches.put(**chosen.tensors()), facts)
        self._filtering.send("chosen", t)


def _candidates(admitted: Admitted) -> dict[str, Tensor]:
    """Return the tensors of a candidate set, those of its samples and those about the round."""
    tensors = {
        **vars(admitted.arrivals),
        "stream_counts": admitted.stream_counts,
        "nonfinite": admitted.nonfinite,
    }
    return tensors if admitted.inputs is None else {**tensors, "inputs": admitted.inputs}


def _admitted(tensors: dict[str, Tensor], passed: int) -> Admitted:
    """Return the candidate set that has these tensors."""
    arrivals = Arrivals(*(tensors.pop(name) for name in ("indices", "labels", "noisy")))
    return Admitted(arrivals, inputs=tensors.pop("inputs", None), passed=passed, **tensors)


Stage = FilterStage | SelectionStage
STAGES: Mapping[str, type[Stage]] = {"filter": FilterStage, "select": SelectionStage}
