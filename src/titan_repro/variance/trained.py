"""Batch gradients as the training step computes them: BatchNorm with the batch's own statistics.

Then a batch's gradient is no mean over its samples, so it has to be computed batch by batch.
"""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from titan_repro.models.base import BlockNetwork
from titan_repro.training import Schedule, Trainer
from titan_repro.variance.draws import DrawnBatch, ScoredRound
from titan_repro.variance.errors import ErrorParts


def has_batch_norm(network: BlockNetwork) -> bool:
    """Return whether a batch's gradient is something else than the mean of its samples'."""
    return any(isinstance(module, _BatchNorm) for module in network.modules())


def trained_errors(
    network: BlockNetwork, seen: ScoredRound, batches: Sequence[Sequence[DrawnBatch]]
) -> list[ErrorParts]:
    """Return the error of every selector's batches from the gradient of the whole round.

    The whole round's is computed the same way, as one batch. network: stays as it is.
    """
    trainer = Trainer(deepcopy(network), Schedule(1.0, 1.0, 1))
    everyone = DrawnBatch(torch.arange(len(seen.labels)), torch.ones(len(seen.labels)))
    target = _gradient(trainer, seen, everyone)
    return [_error(trainer, seen, drawn, target) for drawn in batches]


def _error(
    trainer: Trainer, seen: ScoredRound, batches: Sequence[DrawnBatch], target: Tensor
) -> ErrorParts:
    total, squared = torch.zeros_like(target), []
    for batch in batches:
        off = _gradient(trainer, seen, batch) - target
        squared.append(off.square().sum().double())
        total += off
    mean = total / len(batches)
    return ErrorParts.of(torch.stack(squared).numpy(), float(mean.square().sum()))


def _gradient(trainer: Trainer, seen: ScoredRound, batch: DrawnBatch) -> Tensor:
    """Return the gradient over all parameters, one after the other, (P,)."""
    inputs, labels = seen.inputs[batch.positions], seen.labels[batch.positions]
    trainer.gradients(inputs, labels, batch.weights)
    trained = [p for p in trainer.network.parameters() if p.requires_grad]
    grown = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
    return torch.cat([g.detach().flatten() for g in grown])
