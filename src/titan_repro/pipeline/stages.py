"""What processes 1 and 2 do: the same calls as the reference executor makes, each its part.

Between rounds both stand still. In round t

    process 3 sends `begin t`            -> process 1 filters with w_t, lays out the candidates
    process 1 sends `candidates of t`    -> process 2 scores with w_t and selects
    process 2 sends `chosen in t`        -> process 3 may write the weights: nobody reads w_t now
                                         -> process 1 draws round t + 1 while they are written

With a candidate budget that is measured, process 2 scores on until process 3 has its gradients.

Filter and selection may have a device of their own. Each process then copies the weights when its
part of the round begins; whatever passes between processes lies in host memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor

from titan_repro.models.base import BlockNetwork
from titan_repro.pipeline.anytime_scoring import score_while
from titan_repro.pipeline.channel import Channel
from titan_repro.pipeline.network_copy import NetworkCopy
from titan_repro.pipeline.shared import HOST
from titan_repro.pipeline.tray import Layout, Tray
from titan_repro.seeds import generator
from titan_repro.selection.base import Candidates, Scores
from titan_repro.selection.selector import Selector
from titan_repro.streams.base import Samples, Stream


@dataclass(frozen=True)
class Equipment:
    """What processes 1 and 2 are given: `network` reads the weights that process 3 trains.

    device: where both compute.
    candidates: from process 1 to 2. batches: from process 2 to 3.
    filtered: (1,) int64, the last round that process 1 is done with, for the watchdog.
    trained: (1,) int64, the last round whose gradients process 3 has computed.
    until_trained: whether process 2 scores until then, and not a number of candidates.
    """

    network: BlockNetwork
    device: torch.device
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
    """What a round's selection leaves for the record; messages hold the numbers one by one."""

    streamed: int
    candidates: int
    nonfinite: int
    seconds: Mapping[str, float]


class DrawnRound:
    """One round of a stream, drawn and made into inputs before it is needed, then on `device`.

    The data are in memory once for all processes, the host's, so inputs are computed there, noise
    included, to the same bits on whatever device they are looked at. This is done while process 1
    has nothing else to do, and only a round's samples go to the device.
    """

    def __init__(self, stream: Stream, t: int, with_inputs: bool, device: torch.device) -> None:
        began = perf_counter()
        self.t = t
        self.velocity = stream.velocity
        arrivals = stream.round(t)
        drawn = perf_counter()
        self._inputs = stream.inputs(arrivals).to(device) if with_inputs else None
        self.arrivals = arrivals.to(device)
        self.stream_seconds = drawn - began
        self.inputs_seconds = perf_counter() - drawn
        self._stream = stream
        self._device = device

    def round(self, t: int) -> Samples:
        """Return a round's samples, as the stream does."""
        return self.arrivals if t == self.t else self._stream.round(t).to(self._device)

    def inputs(self, arrivals: Samples) -> Tensor:
        """Return inputs, as the stream does."""
        if arrivals is self.arrivals and self._inputs is not None:
            return self._inputs
        return self._stream.inputs(arrivals.to(HOST)).to(self._device)


class FilterStage:
    """Process 1: from the stream to the candidates."""

    remembers = "filter"

    def __init__(self, equipment: Equipment, _trainer: Channel, selection: Channel) -> None:
        self.equipment = equipment
        self.selector = equipment.selector
        self._network = _network(equipment, self.selector.needs_features, self.selector.blocks)
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
            self._network.refresh(), drawn, drawn.arrivals, generator(kit.seed, "filter", t), keep
        )
        layout = kit.candidates.put(**_candidates(admitted))
        seconds = {
            "stream": drawn.stream_seconds,
            "filter": drawn.inputs_seconds + perf_counter() - began,
        }
        kit.filtered.fill_(t)
        self._selection.send("candidates", t, layout, len(drawn.arrivals), seconds)

    def _draw(self, t: int) -> DrawnRound:
        kit = self.equipment
        return DrawnRound(kit.stream, t, self.selector.reads_inputs, kit.device)


class SelectionStage:
    """Process 2: from the candidates to the batch."""

    remembers = "policy"

    def __init__(self, equipment: Equipment, trainer: Channel, filtering: Channel) -> None:
        self.equipment = equipment
        self.selector = equipment.selector
        self._network = _network(equipment, self.selector.scores_candidates)
        self._trainer = trainer
        self._filtering = filtering

    def handle(
        self, _kind: str, t: int, layout: Layout, streamed: int, seconds: Mapping[str, float]
    ) -> None:
        """Score the candidates that have come and choose a batch."""
        kit, times = self.equipment, [perf_counter()]
        arrived = _admitted(kit.candidates.look(layout, kit.device), self.selector.blocks_passed)
        admitted, candidates = self._score(arrived, t)
        times.append(perf_counter())
        chosen, selection = self.selector.select(
            admitted, candidates, kit.batch_size, generator(kit.seed, "selection", t)
        )
        times.append(perf_counter())
        nonfinite = int(admitted.nonfinite + selection.nonfinite)
        mine = {"score": times[1] - times[0], "select": times[2] - times[1]}
        facts = streamed, len(admitted.arrivals), nonfinite, {**seconds, **mine}
        # The fence: nothing reads the shared weights any more. A GPU computes after the call that
        # asks for it has returned, but `refresh` waited for its copy, here and in process 1, and
        # laying out the batch waits for all the rest.
        self._trainer.send("chosen", kit.batches.put(**chosen.tensors()), *facts)
        self._filtering.send("chosen", t)

    def _score(self, admitted: Candidates, t: int) -> tuple[Candidates, Scores]:
        """Score the candidates, or as many of them as there is time for."""
        kit, network = self.equipment, self._network.refresh()
        if not kit.until_trained:
            return admitted, self.selector.score(network, admitted)
        return score_while(
            lambda: self._in_training(t), self.selector, network, admitted, kit.batch_size
        )

    def _in_training(self, t: int) -> bool:
        """Whether round t's gradients are still being computed."""
        if self.equipment.device.type == "cuda":
            torch.cuda.synchronize(self.equipment.device)  # what it was asked to score is scored
        return self.equipment.trained.item() < t


def _network(equipment: Equipment, needed: bool, blocks: int | None = None) -> NetworkCopy:
    """Return the network of a stage, where it is needed, on the stage's device."""
    return NetworkCopy(equipment.network, equipment.device if needed else HOST, blocks)


def _candidates(admitted: Candidates) -> dict[str, Tensor]:
    """Return the tensors of a candidate set, those of its samples and those about the round."""
    tensors = {
        **vars(admitted.arrivals),
        "stream_counts": admitted.stream_counts,
        "nonfinite": torch.tensor(admitted.nonfinite),
    }
    return tensors if admitted.inputs is None else {**tensors, "inputs": admitted.inputs}


def _admitted(tensors: dict[str, Tensor], passed: int) -> Candidates:
    """Return the candidate set that has these tensors."""
    arrivals = Samples(*(tensors.pop(name) for name in ("indices", "labels", "noisy")))
    nonfinite = int(tensors.pop("nonfinite"))
    inputs = tensors.pop("inputs", None)
    return Candidates(arrivals, tensors.pop("stream_counts"), inputs, nonfinite, passed)


Stage = FilterStage | SelectionStage
STAGES: Mapping[str, type[Stage]] = {"filter": FilterStage, "select": SelectionStage}
