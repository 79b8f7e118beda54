"""Moments of per-sample gradients over all parameters: what importance sampling costs in full.

One forward and backward pass a sample, so this is the slow reading of "gradient" that the paper
sets out to avoid (section 2.3: up to 7 times the round time).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from titan_repro.selection.base import GradientMoments


def full_gradient_moments(
    model: nn.Module, inputs: Tensor, labels: Tensor, num_classes: int
) -> GradientMoments:
    """Return norms and class mean norms of the cross-entropy gradients over all parameters.

    model: maps inputs (n, *input_shape) to logits (n, C); already in scoring mode, that is with
        BatchNorm on running statistics. Neither its state nor any .grad is touched.
    inputs: (N, *input_shape). labels: (N,) int64.

    Memory: one gradient and C + 1 sums of gradients; nothing waits for the device.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    sums = [p.new_zeros(num_classes + 1, *p.shape) for p in parameters]  # row C: not finite
    norms = []
    for i in range(len(labels)):
        gradients = sample_gradient(model, parameters, inputs[i : i + 1], labels[i : i + 1])
        norm = _joint_norm(gradients)
        row = labels[i : i + 1].masked_fill(~norm.isfinite(), num_classes)
        for total, gradient in zip(sums, gradients, strict=True):
            total.index_add_(0, row, gradient.unsqueeze(0))
        norms.append(norm)
    all_norms = torch.stack(norms) if norms else inputs.new_zeros(0, dtype=torch.float64)
    return GradientMoments(all_norms, _class_mean_norms(sums, all_norms, labels, num_classes))


def sample_gradient(
    model: nn.Module, parameters: list[nn.Parameter], sample: Tensor, label: Tensor
) -> list[Tensor]:
    """Return the gradient for a batch of one, zero for parameters without influence."""
    with torch.enable_grad():
        loss = F.cross_entropy(model(sample), label)
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    return [
        torch.zeros_like(p) if g is None else g for p, g in zip(parameters, gradients, strict=True)
    ]


def _joint_norm(gradients: list[Tensor]) -> Tensor:
    """Return the norm of all gradients taken as one vector, () float64."""
    norms = [torch.linalg.vector_norm(g).double() for g in gradients]
    joint: Tensor = torch.linalg.vector_norm(torch.stack(norms))
    return joint


def _class_mean_norms(
    sums: list[Tensor], norms: Tensor, labels: Tensor, num_classes: int
) -> Tensor:
    """Return |sum of the class| / number of its finite gradients, (C,) float64."""
    rows = labels.masked_fill(~norms.isfinite(), num_classes)
    counts = norms.new_zeros(num_classes + 1).scatter_add(0, rows, torch.ones_like(norms))
    parts = [torch.linalg.vector_norm(s.flatten(1), dim=1).double() for s in sums]
    total_norms: Tensor = torch.linalg.vector_norm(torch.stack(parts), dim=0)
    return (total_norms / counts.clamp_min(1.0))[:num_classes]
