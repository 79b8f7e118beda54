"""The training step, its learning-rate schedule and evaluation."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from titan_repro.seeds import generator
from titan_repro.tasks.base import Split, Task

EVALUATION_BATCH = 250


@dataclass(frozen=True)
class Schedule:
    """Learning rate of round t: initial * decay ** (t // every) (paper section 4.1).

    floor: where it stops falling; 0: never, as printed. An initial rate below the floor stays.
    """

    initial: float
    decay: float
    every: int
    floor: float = 0.0

    def __call__(self, t: int) -> float:
        """Return the learning rate of round t."""
        rate: float = self.initial * self.decay ** (t // self.every)
        return max(rate, min(self.initial, self.floor))


class Trainer:
    """Plain SGD on weighted batches."""

    def __init__(self, network: nn.Module, schedule: Schedule) -> None:
        self.network = network
        self.schedule = schedule
        self.optimizer = torch.optim.SGD(network.parameters(), lr=schedule.initial)

    def step(self, inputs: Tensor, labels: Tensor, weights: Tensor, t: int) -> Tensor:
        """Train once on a batch and return its loss before the step, ().

        inputs: (B, *input_shape); labels: (B,) int64; weights: (B,). The loss is the mean of
        weights * cross-entropies: with inclusion weights an unbiased estimate of the mean loss.
        """
        loss = self.gradients(inputs, labels, weights)
        self.update(t)
        return loss

    def gradients(self, inputs: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        """Compute the batch gradient and return the loss; parameters stay as they are."""
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        losses = F.cross_entropy(self.network(inputs), labels, reduction="none")  # (B,)
        loss = (weights * losses).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def update(self, t: int) -> None:
        """Apply the gradient with round t's learning rate."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule(t)
        self.optimizer.step()


@dataclass(frozen=True)
class Evaluation:
    """Accuracy (a fraction) and mean cross-entropy over `samples` test samples."""

    accuracy: float
    loss: float
    samples: int


DENSE_POINTS = 20
"""Points of a curve that are `evaluate_every` rounds apart; the later ones are twice that."""


def is_evaluated(rounds_done: int, every: int) -> bool:
    """Return whether a curve has a point after so many rounds; no run's length changes that."""
    return rounds_done % (every if rounds_done <= DENSE_POINTS * every else 2 * every) == 0


def fixed_subset(task: Task, samples: int) -> Split:
    """Return `samples` random test samples, the same ones for every run on the task."""
    size = len(task.test)
    if samples >= size:
        return task.test
    chosen = torch.randperm(size, generator=generator(0, "evaluation"))[:samples]
    chosen = chosen.sort().values.to(task.test.labels.device)
    return Split(task.test.inputs[chosen], task.test.labels[chosen])


@torch.no_grad()
def evaluate(network: nn.Module, part: Split, normalise: Callable[[Tensor], Tensor]) -> Evaluation:
    """Measure the network on a part of the test set, with running BatchNorm statistics.

    part, normalise: may be on the host while the network is elsewhere.
    """
    was_training = network.training
    network.eval()
    device = next(network.parameters()).device
    correct = torch.zeros((), dtype=torch.int64, device=device)
    total = torch.zeros((), dtype=torch.float64, device=device)
    for start in range(0, len(part), EVALUATION_BATCH):
        labels = part.labels[start : start + EVALUATION_BATCH].to(device)
        logits = network(normalise(part.inputs[start : start + EVALUATION_BATCH]).to(device))
        correct += (logits.argmax(dim=1) == labels).sum()
        total += F.cross_entropy(logits, labels, reduction="sum")
    network.train(was_training)
    return Evaluation(float(correct) / len(part), float(total) / len(part), len(part))
