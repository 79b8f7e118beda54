"""Who trains the participants of a round: this process, or a few others (`pool`)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from titan_repro.federated.client import Client, FitResult, Memory


class Participant(NamedTuple):
    """A device that takes part in a round, and what it remembers."""

    device: int
    memory: Memory


class Crew(Protocol):
    """Trains participants and gives their results in the order in which they were named."""

    def fit(
        self, weights: Mapping[str, Tensor], participants: Sequence[Participant], *, t: int
    ) -> Iterator[FitResult | None]:
        """Train the participants of round t, all from the global `weights`.

        A result's tensors are there until the next one is asked for. None stands for a participant
        that was lost; at least one is not, or the crew raises.
        """
        ...

    def close(self) -> None:
        """End whatever runs beside this process."""
        ...


class OwnCrew:
    """Trains one participant after the other in this process, on the network that is evaluated."""

    def __init__(self, client: Client, iterations: int) -> None:
        self._client = client
        self._iterations = iterations
        self._before: dict[str, Tensor] = {}

    def fit(
        self, weights: Mapping[str, Tensor], participants: Sequence[Participant], *, t: int
    ) -> Iterator[FitResult]:
        """Train the participants of round t; `weights` may be the tensors of the client itself."""
        with torch.no_grad():
            for name, tensor in weights.items():
                kept = self._before.setdefault(name, torch.empty_like(tensor))
                kept.copy_(tensor)
        for device, memory in participants:
            yield self._client.fit(
                self._before, memory, t=t, device=device, iterations=self._iterations
            )

    def close(self) -> None:
        """Do nothing: no other process runs."""
