"""Resident processes that train the participants of a round, with one network each.

A process that is free is given the next device in order (greedy balance: by the time that devices
take), and writes the weights that it trained to one of its two places in shared memory. This
process takes the results in order and adds them; a result that is early waits in its place while
its process goes on with the other one. So no more weights are in memory than there are places, and
what comes out depends neither on the number of processes nor on who was faster.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from titan_repro.federated.client import Client, FitResult
from titan_repro.federated.crew import Participant
from titan_repro.pipeline.messages import send_packed
from titan_repro.pipeline.pool import ProcessPool, Worker
from titan_repro.pipeline.shared_memory import shared_zeros

PLACES = 2
"""PLACES: of a process, for weights that it has trained."""

MODULE = "titan_repro.federated.worker"


@dataclass(frozen=True)
class ClientSetup:
    """What a process is given once.

    weights: the global ones by name, in shared memory, as of the round that runs.
    places: likewise where it writes trained weights. Weights are named by the client's network.
    """

    client: Client
    weights: Mapping[str, Tensor]
    places: Sequence[Mapping[str, Tensor]]
    iterations: int
    threads: int


@dataclass
class _Desk:
    """A process's work: which of its places are free, and whether it is idle."""

    worker: Worker
    places: Sequence[Mapping[str, Tensor]]
    free: list[int]
    idle: bool = True


class ClientPool(ProcessPool):
    """A crew of processes; a context manager that starts them and leaves none behind.

    Every method raises PipelineError, and all processes are gone, if one of them fails.
    """

    def __init__(self, workers: int, timeout_seconds: float, threads: int) -> None:
        key, limit = f"federation.workers={workers}", "federation.timeout_seconds"
        super().__init__(timeout_seconds, threads, key=key, limit=limit)
        self._number = workers
        self._desks: list[_Desk] = []
        self._weights: dict[str, Tensor] = {}

    def start_workers(self) -> Iterator[Worker]:
        """Start all processes."""
        for number in range(self._number):
            name = f"training process {number + 1} of {self._number}"
            yield Worker(name, MODULE, str(number), self.threads)

    def set_up(self, client: Client, iterations: int) -> None:
        """Give every process a client, instead of what it had, and wait until all are ready."""
        self._doing = "while starting"
        self._weights = _room(client, "weights")
        self._desks = []
        for worker in self._workers:
            places = [_room(client, "trained weights") for _ in range(PLACES)]
            setup = ClientSetup(client, self._weights, places, iterations, self.threads)
            self._desks.append(_Desk(worker, places, list(range(PLACES))))
            with self._watching():
                worker.channel.send("set up")
                send_packed(worker.channel, setup)
        self._wait_until_ready()

    @torch.no_grad()
    def fit(
        self, weights: Mapping[str, Tensor], participants: Sequence[Participant], *, t: int
    ) -> Iterator[FitResult]:
        """Train the participants of round t; give their results in order."""
        self._doing = f"in round {t}"
        for name, tensor in self._weights.items():
            tensor.copy_(weights[name])
        waiting = list(reversed(participants))
        done: dict[int, tuple[_Desk, int, FitResult]] = {}
        for device, _ in participants:
            self._hand_out(waiting, t)
            while device not in done:
                ready = self._receive()
                done[ready[0]] = ready[1:]
                self._hand_out(waiting, t)
            desk, place, result = done.pop(device)
            yield result
            desk.free.append(place)

    def _hand_out(self, waiting: list[Participant], t: int) -> None:
        """Give the next devices to the processes that are idle and have a place free."""
        for desk in self._desks:
            if waiting and desk.idle and desk.free:
                device, memory = waiting.pop()
                desk.idle = False
                self._send(desk.worker, "fit", t, device, desk.free.pop(), memory)

    def _receive(self) -> tuple[int, _Desk, int, FitResult]:
        """Wait for a process to be done; return the device, where its weights are, the result."""
        busy = next(desk.worker for desk in self._desks if not desk.idle)
        sender, (device, place, samples, memory, records) = self._next(lambda: busy)
        desk = next(desk for desk in self._desks if desk.worker is sender)
        desk.idle = True
        return device, desk, place, FitResult(desk.places[place], samples, memory, records)


def _room(client: Client, purpose: str) -> dict[str, Tensor]:
    """Return shared memory for the weights of the client's network, by name."""
    state: dict[str, Any] = client.network.state_dict()
    return dict(zip(state, shared_zeros(purpose, list(state.values())), strict=True))
