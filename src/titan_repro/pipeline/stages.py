"""What the worker processes do: the reference executor's calls, each process its part.

Between rounds both stand still. In round t

    training sends `begin t`            -> the filter process filters with w_t, writes candidates
    filter sends `candidates of t`      -> the selection process scores with w_t and selects
    selection sends `chosen in t`       -> training may write the weights: no process reads w_t now
                                        -> the filter process draws round t + 1 meanwhile

With a candidate budget that is measured, the selection process scores on until the training process
has its gradients.

Filter and selection may have a device of their own. Each process then copies the weights when its
part of the round begins; whatever passes between processes lies in host memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from titan_repro.models.base import BlockNetwork
from titan_repro.pipeline.anytime import score_while
from titan_repro.pipeline.messages import Channel
from titan_repro.pipeline.round import Stopwatch
from titan_repro.pipeline.shared_memory import HOST, Layout, SharedBuffer
from titan_repro.pipeline.shared_weights import NetworkCopy
from titan_repro.seeds import generator
from titan_repro.selection.base import Candidates, Scores
from titan_repro.selection.selector import Selector
from titan_repro.streams.base import Samples, Stream


@dataclass(frozen=True)
class WorkerSetup:
    """What both workers are given: `network` reads the weights that the training process trains.

    device: where both compute.
    candidates: from the filter process to the selection process. batches: on to training.
    filtered: (1,) int64, the last round that the filter process is done with, for the timeout.
    trained: (1,) int64, the last round whose gradients the training process has computed.
    until_trained: whether selection scores until then, and not a number of candidates.
    """

    network: BlockNetwork
    device: torch.device
    selector: Selector
    stream: Stream
    candidates: SharedBuffer
    batches: SharedBuffer
    filtered: Tensor
    trained: Tensor
    until_trained: bool
    batch_size: int
    seed: int
    threads: int


class DrawnRound:
    """One round of a stream, drawn and made into inputs before it is needed, then on `device`.

    The data are in memory once for all processes, the host's, so inputs are computed there, noise
    included, to the same bits on whatever device they are looked at. This is done while the filter
    process has nothing else to do, and only a round's samples go to the device.

    clock: of the round, for the stages stream and filter.
    """

    def __init__(self, stream: Stream, t: int, with_inputs: bool, device: torch.device) -> None:
        self.t = t
        self.velocity = stream.velocity
        self.clock = Stopwatch("stream", "filter")
        with self.clock("stream"):
            arrivals = stream.round(t)
        with self.clock("filter"):
            self._inputs = stream.inputs(arrivals).to(device) if with_inputs else None
            self.arrivals = arrivals.to(device)
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
    """The filter process: from the stream to the candidates."""

    remembers = "filter"

    def __init__(self, setup: WorkerSetup, _training: Channel, selection: Channel) -> None:
        self.setup = setup
        self.selector = setup.selector
        self._network = _network(setup, self.selector.needs_features, self.selector.blocks)
        self._selection = selection
        self._drawn: DrawnRound | None = None
        self._last = -1

    def handle(self, kind: str, t: int, keep: int | None = None) -> None:
        """Filter the round that begins, or draw the next one once a round's batch is chosen."""
        if kind == "begin":
            self._filter(t, keep)
        elif t >= self._last:  # "chosen"; an older one is overtaken by the round that began since
            self._drawn = self._draw(t + 1)

    def _filter(self, t: int, keep: int | None) -> None:
        setup, self._last = self.setup, t
        drawn = self._drawn if self._drawn is not None and self._drawn.t == t else self._draw(t)
        with drawn.clock("filter"):
            draws = generator(setup.seed, "filter", t)
            network = self._network.refresh()
            admitted = self.selector.admit(network, drawn, drawn.arrivals, draws, keep)
            layout = setup.candidates.write(**_candidates(admitted))
        setup.filtered.fill_(t)
        streamed = len(drawn.arrivals)
        self._selection.send("candidates", t, layout, streamed, drawn.clock.entries())

    def _draw(self, t: int) -> DrawnRound:
        setup = self.setup
        return DrawnRound(setup.stream, t, self.selector.reads_inputs, setup.device)


class SelectionStage:
    """The selection process: from the candidates to the batch."""

    remembers = "policy"

    def __init__(self, setup: WorkerSetup, training: Channel, filtering: Channel) -> None:
        self.setup = setup
        self.selector = setup.selector
        self._network = _network(setup, self.selector.scores_candidates)
        self._training = training
        self._filtering = filtering

    def handle(
        self, _kind: str, t: int, layout: Layout, streamed: int, times: Mapping[str, float]
    ) -> None:
        """Score the candidates that have come and choose a batch.

        times: the filter process's entries of the round's record.
        """
        setup, clock = self.setup, Stopwatch("score", "select")
        with clock("score"):
            arrived = setup.candidates.view(layout, setup.device)
            admitted, scored = self._score(_admitted(arrived, self.selector.blocks_passed), t)
        with clock("select"):
            draws = generator(setup.seed, "selection", t)
            chosen, selection = self.selector.select(admitted, scored, setup.batch_size, draws)
        candidates = len(admitted.arrivals)
        nonfinite = int(admitted.nonfinite + selection.nonfinite)
        # The fence: no process reads the shared weights any more. A GPU computes after the call
        # that asks for it has returned, but `refresh` waited for its copy, here and in the filter
        # process, and writing the batch waits for all the rest.
        batch = setup.batches.write(**chosen.tensors())
        entries = {"candidates": candidates, "nonfinite": nonfinite, **times, **clock.entries()}
        self._training.send("chosen", batch, streamed, entries)
        self._filtering.send("chosen", t)

    def _score(self, admitted: Candidates, t: int) -> tuple[Candidates, Scores]:
        """Score the candidates, or as many of them as there is time for."""
        setup, network = self.setup, self._network.refresh()
        if not setup.until_trained:
            return admitted, self.selector.score(network, admitted)
        return score_while(
            lambda: self._in_training(t), self.selector, network, admitted, setup.batch_size
        )

    def _in_training(self, t: int) -> bool:
        """Whether round t's gradients are still being computed."""
        if self.setup.device.type == "cuda":
            torch.cuda.synchronize(self.setup.device)  # what it was asked to score is scored
        return self.setup.trained.item() < t


def _network(setup: WorkerSetup, needed: bool, blocks: int | None = None) -> NetworkCopy:
    """Return the network of a stage, where it is needed, on the stage's device."""
    return NetworkCopy(setup.network, setup.device if needed else HOST, blocks)


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
WORKERS: Mapping[str, type[Stage]] = {"filter": FilterStage, "select": SelectionStage}
"""The stage that each worker process runs."""
