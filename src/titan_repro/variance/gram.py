"""Inner products of per-sample gradients: all that the error of any batch depends on.

With G_ij = <g_i, g_j> and a batch's gradient sum_i a_i g_i, its squared distance from the mean
gradient sum_i u_i g_i is (a - u)^T G (a - u). So a round's samples are differentiated once,
whatever is drawn from them, and however large the network is.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from titan_repro.models.inference.scoring import scoring_mode
from titan_repro.selection.full_gradients import sample_gradient


def full_products(
    network: nn.Module, inputs: Tensor, labels: Tensor, megabytes: float
) -> np.ndarray:
    """Return <g_i, g_j> of the cross-entropy gradients over all parameters, (N, N) float64.

    BatchNorm is on running statistics. inputs: (N, *input_shape). labels: (N,) int64.
    megabytes: about what gradients may take at a time; with less they are computed more often.
    Linear layers cost nothing: their gradient is an outer product, so that
    <g_i, g_j> = <d_i, d_j> (1 + <h_i, h_j>) as for the last layer (`selection.gradients`).
    """
    with scoring_mode(network, "running"):
        products, covered = _linear_products(network, inputs, labels)
        others = [p for p in network.parameters() if p.requires_grad and id(p) not in covered]
        if others:
            products += _explicit_products(network, others, inputs, labels, megabytes)
    found: np.ndarray = products.cpu().numpy()
    return found


def _linear_products(network: nn.Module, inputs: Tensor, labels: Tensor) -> tuple[Tensor, set[int]]:
    """Return the products of the linear layers that take one row a sample, and their parameters."""
    calls: dict[nn.Linear, list[tuple[Tensor, Tensor]]] = {}

    def note(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(layer, nn.Linear)
        calls.setdefault(layer, []).append((given[0].detach(), output))

    layers = [m for m in network.modules() if type(m) is nn.Linear]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    try:
        with torch.enable_grad():
            loss = F.cross_entropy(network(inputs), labels, reduction="sum")
    finally:
        for hook in hooks:
            hook.remove()
    once = {layer: made[0] for layer, made in calls.items() if _row_a_sample(layer, made)}
    products = torch.zeros(len(labels), len(labels), dtype=torch.float64, device=inputs.device)
    outputs = [output for _, output in once.values()]
    signals = torch.autograd.grad(loss, outputs) if outputs else ()
    for (layer, (h, _)), d in zip(once.items(), signals, strict=True):
        heights = (h @ h.T).double() + (0.0 if layer.bias is None else 1.0)
        products += (d @ d.T).double() * heights
    return products, {id(p) for layer in once for p in layer.parameters()}


def _row_a_sample(layer: nn.Linear, made: list[tuple[Tensor, Tensor]]) -> bool:
    trained = all(p.requires_grad for p in layer.parameters())
    return trained and len(made) == 1 and made[0][0].ndim == 2


def _explicit_products(
    network: nn.Module,
    parameters: list[nn.Parameter],
    inputs: Tensor,
    labels: Tensor,
    megabytes: float,
) -> Tensor:
    """Return the products of gradients that are formed one by one, two blocks of them at a time."""
    size = sum(p.numel() * p.element_size() for p in parameters)
    count = len(labels)
    block = min(count, max(1, int(megabytes * 1e6 / size / 2)))
    products = torch.empty(count, count, dtype=torch.float64, device=inputs.device)

    def gradients(begin: int) -> Tensor:
        rows = range(begin, min(begin + block, count))
        return torch.stack([_flat(network, parameters, inputs, labels, i) for i in rows])

    _fill(products, gradients, range(0, count, block))
    return products


def _fill(products: Tensor, gradients: Callable[[int], Tensor], begins: range) -> None:
    for place, begin in enumerate(begins):
        own = gradients(begin)
        for other in begins[place:]:
            theirs = own if other == begin else gradients(other)
            part = (own @ theirs.T).double()
            products[begin : begin + len(own), other : other + len(theirs)] = part
            products[other : other + len(theirs), begin : begin + len(own)] = part.T


def _flat(
    network: nn.Module, parameters: list[nn.Parameter], inputs: Tensor, labels: Tensor, i: int
) -> Tensor:
    parts = sample_gradient(network, parameters, inputs[i : i + 1], labels[i : i + 1])
    return torch.cat([part.flatten() for part in parts])


def rows_of(products: np.ndarray) -> np.ndarray:
    """Return vectors, (N, N), that have these inner products, for formulas that take gradients."""
    values, vectors = np.linalg.eigh(products)
    rows: np.ndarray = vectors * np.sqrt(np.maximum(values, 0.0))
    return rows
