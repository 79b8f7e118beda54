"""Streams with a class mix of their own: drifting over rounds, or long-tailed."""

from collections.abc import Sequence

import torch
from torch import Tensor

from titan_repro.errors import ConfigurationError
from titan_repro.seeds import generator
from titan_repro.streams.base import Samples
from titan_repro.streams.checks import check_velocity, move, positions_on_device, require
from titan_repro.streams.schedules import MixSchedule, long_tail, piecewise_linear, rotating_window
from titan_repro.tasks.base import Task


class MixtureStream:
    """Every arrival's class is drawn from the round's mix, its sample from that class.

    Inside a round no sample of a class comes again before all of them came; between rounds
    nothing is remembered, so a sample may return sooner than in the clean stream. (How often a
    class was drawn before round t follows from all earlier rounds; not needing it is what lets
    round t follow from the seed and t alone.)

    task, seed, velocity, subset: as in `CleanStream`. With a subset, a mix is understood among
        the classes that the subset holds.
    schedule: the class mix of each round.

    Raises ConfigurationError naming `stream.velocity`, or where a mix of the schedule has only
    classes of which there are no samples.
    """

    def __init__(
        self,
        task: Task,
        seed: int,
        velocity: int,
        schedule: MixSchedule,
        subset: Tensor | None = None,
    ) -> None:
        check_velocity(velocity)
        self.task = task
        self.seed = seed
        self.velocity = velocity
        self.schedule = schedule
        positions = positions_on_device(task, subset)
        labels = task.train.labels.cpu()[positions]
        self._members = [positions[labels == c] for c in range(len(task.classes))]
        self._present = torch.tensor([len(members) > 0 for members in self._members]).double()
        if ((schedule.mixes @ self._present) <= 0).any():
            raise ConfigurationError(
                f"task {task.name}: a class mix of the stream has only classes without samples"
            )

    def round(self, t: int) -> Samples:
        """Return round t's `velocity` samples."""
        draws = generator(self.seed, "order", t)
        mix = self.schedule.at(t) * self._present  # (C,)
        classes = torch.multinomial(mix, self.velocity, replacement=True, generator=draws)  # (v,)
        indices = torch.empty_like(classes)
        for label in sorted(set(classes.tolist())):
            slots = (classes == label).nonzero().squeeze(1)
            indices[slots] = _reshuffled(self._members[label], len(slots), draws)
        indices = move(indices, self.task.train.labels.device)
        labels = self.task.train.labels.index_select(0, indices)
        return Samples(indices, labels, torch.zeros_like(labels, dtype=torch.bool))

    def inputs(self, arrivals: Samples) -> Tensor:
        """Return the normalised inputs (n, *input_shape), float32."""
        return self.task.normalise(self.task.train.inputs.index_select(0, arrivals.indices))


def drift(
    task: Task,
    seed: int,
    velocity: int,
    schedule: str = "rotating",
    period: int | None = 1000,
    window: float = 0.5,
    mixes: Sequence[tuple[int, Sequence[float]]] | None = None,
    subset: Tensor | None = None,
) -> MixtureStream:
    """Return a stream whose class mix changes over rounds.

    schedule: "rotating", a window of classes going round (`rotating_window` with `period` and
        `window`), or "piecewise", lines between mixes written by hand (`piecewise_linear` with
        `mixes` and `period`).

    Raises ConfigurationError naming the key.
    """
    known = schedule in ("rotating", "piecewise")
    require(known, "stream.schedule", schedule, "rotating, piecewise")
    if schedule == "rotating":
        require(mixes is None, "stream.mixes", mixes, "null unless stream.schedule=piecewise")
        changing = rotating_window(len(task.classes), period, window)
    else:
        changing = piecewise_linear(len(task.classes), mixes, period)
    return MixtureStream(task, seed, velocity, changing, subset)


def imbalanced(
    task: Task,
    seed: int,
    velocity: int,
    ratio: float = 100.0,
    order: str = "natural",
    subset: Tensor | None = None,
) -> MixtureStream:
    """Return a stream with a fixed long-tailed class mix; see `long_tail`.

    Raises ConfigurationError naming the key.
    """
    constant = long_tail(len(task.classes), ratio, order, seed)
    return MixtureStream(task, seed, velocity, constant, subset)


def _reshuffled(members: Tensor, count: int, draws: torch.Generator) -> Tensor:
    """Return `count` members (count,), each epoch of them in a new order."""
    epochs = -(-count // len(members))
    orders = [torch.randperm(len(members), generator=draws) for _ in range(epochs)]
    return members[torch.cat(orders)[:count]]
