"""The executor of a federation: a round is FedAvg over a few devices (McMahan et al. 2017).

    participants -> each: weights, E local iterations -> mean by number of samples -> record

The record of a round holds all batches of all participants, devices in rising order and each one's
iterations after another: lists of participants * E * B. `loss` is the mean over these batches;
`candidates`, `samples_*` and `seconds_*` are sums over them, so with several workers more seconds
than passed. State is kept of devices that have taken part and remember something, no others.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from titan_repro.federated.average import WeightedMean
from titan_repro.federated.client import Memory, statistics
from titan_repro.federated.crew import Crew, Participant
from titan_repro.federated.settings import BatchNorm, draw_participants
from titan_repro.federated.shares import Shares
from titan_repro.federated.spread import class_accuracies, spread
from titan_repro.models.base import BlockNetwork
from titan_repro.records.rounds import RoundRecord
from titan_repro.tasks.base import Task

LISTS = (
    "trained_indices",
    "trained_labels",
    "trained_probabilities",
    "trained_weights",
    "trained_noisy",
)
SUMS = (
    "candidates",
    "nonfinite",
    "samples_streamed",
    "samples_filtered",
    "samples_scored",
    "samples_trained",
    "seconds_stream",
    "seconds_filter",
    "seconds_score",
    "seconds_select",
    "seconds_train",
)


class FederatedExecutor:
    """Runs rounds of a federation, one after the other.

    network: holds the global weights between two rounds.
    crew: trains the participants. shares: what the devices hold.
    participants: how many devices take part in a round. seed: of the run.
    batchnorm: whether running statistics stay on their device; the crew's clients see to that.
    """

    def __init__(
        self,
        network: BlockNetwork,
        crew: Crew,
        shares: Shares,
        *,
        participants: int,
        seed: int,
        batchnorm: BatchNorm = "average",
    ) -> None:
        self.network = network
        self.crew = crew
        self.shares = shares
        self.participants = participants
        self.seed = seed
        self._kept = statistics(network) if batchnorm == "local" else ()
        self._memories: dict[int, Memory] = {}

    def run(self, t: int) -> RoundRecord:
        """Run round t and return its record."""
        devices = draw_participants(self.seed, t, len(self.shares), self.participants)
        weights = self.network.state_dict()
        chosen = [Participant(device, self._memories.get(device, {})) for device in devices]
        mean, records = WeightedMean(), list[RoundRecord]()
        for device, result in zip(devices, self.crew.fit(weights, chosen, t=t), strict=True):
            if result is None:  # lost: the mean is that of the others
                continue
            mean.add(result.weights, result.samples)
            records += result.records
            if result.memory:
                self._memories[device] = result.memory
        mean.write_to(weights)
        return merged(records)

    def facts(self) -> dict[str, Any]:
        """Return what a summary says of the federation beside its rounds.

        Weights go down to the participants of a round and up from them, running statistics too:
        those that stay on their device (batchnorm=local) only up, for the global network's
        evaluation. That a device is sent them when it takes part for the first time is not counted.
        """
        sizes = {name: tensor.nbytes for name, tensor in self.network.state_dict().items()}
        kept = sum(sizes[name] for name in self._kept)
        up = self.participants * sum(sizes.values())
        return {
            "devices": len(self.shares),
            "participants": self.participants,
            "bytes_down": up - self.participants * kept,
            "bytes_up": up,
        }

    def spread(self, task: Task) -> dict[str, float]:
        """Return how the accuracy of the network now, on the test set, differs between devices."""
        accuracies = class_accuracies(self.network, task)
        return spread(accuracies, self.shares.class_counts)

    def state_dict(self) -> dict[str, Any]:
        """Return the global weights and what each device remembers."""
        return {"network": self.network.state_dict(), "devices": dict(self._memories)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.network.load_state_dict(state["network"])
        self._memories = dict(state["devices"])

    def close(self) -> None:
        """End the crew's processes."""
        self.crew.close()


def merged(records: Sequence[RoundRecord]) -> RoundRecord:
    """Return the record of a federation's round, of those of all its local iterations in order."""
    first = records[0]
    whole: dict[str, Any] = {name: list(_every(records, name)) for name in LISTS}
    whole |= {name: sum(getattr(record, name) for record in records) for name in SUMS}
    loss = math.fsum(record.loss for record in records) / len(records)
    return RoundRecord(first.round, loss, first.learning_rate, **whole)


def _every(records: Sequence[RoundRecord], name: str) -> Iterator[Any]:
    """Yield the entries of one list of all records, one after the other."""
    for record in records:
        yield from getattr(record, name)
