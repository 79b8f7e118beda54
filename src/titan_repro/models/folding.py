"""Scoring without BatchNorm layers: with running statistics each is part of the layer before it.

    norm(w * x + b) = (s w) * x + (b - m) s + beta    with s = gamma / sqrt(v + eps)

On a CPU a forward pass of SqueezeNet then takes a sixth less, and its stem half the time; a quarter
of that again if pooling comes before the ReLU, and right behind the convolution (`pooling`).
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import fx, nn

from titan_repro.models.base import BlockNetwork
from titan_repro.models.pooling import PooledInPieces, can_pool


@dataclass(frozen=True)
class Fold:
    """A convolution and the BatchNorm after it, and the convolution that stands for both."""

    block: int
    convolution: nn.Conv2d
    norm: nn.BatchNorm2d
    both: nn.Conv2d

    def refresh(self) -> None:
        """Compute the weight and bias of `both` from what the two layers hold now."""
        norm, weight, bias = self.norm, self.both.weight, self.both.bias
        assert norm.running_mean is not None
        assert norm.running_var is not None
        assert bias is not None
        scale = (norm.running_var + norm.eps).rsqrt_() * norm.weight  # (out,)
        torch.mul(self.convolution.weight, scale.view(-1, 1, 1, 1), out=weight)
        centre = norm.running_mean
        if self.convolution.bias is not None:
            centre = centre - self.convolution.bias
        torch.addcmul(norm.bias, centre, scale, value=-1, out=bias)


class FoldedNetwork:
    """A network's forward pass with running statistics, fewer layers and the same parameters.

    Weights of folded layers are this object's own and follow the network's with each `refresh`; all
    others are the network's. Its results are the network's up to rounding.

    source: the network that is trained. network: what computes its forward pass.
    """

    def __init__(self, network: BlockNetwork) -> None:
        self.source = network
        shared = {id(t): t for t in (*network.parameters(), *network.buffers())}
        self.network = copy.deepcopy(network, dict(shared)).eval()
        self._folds = list(_fold(network, self.network))
        for block in self.network.blocks:
            _pool_early(block)

    @torch.no_grad()
    def refresh(self, begin: int = 0, end: int | None = None) -> BlockNetwork:
        """Return the network to call, with the weights of now in blocks [begin, end).

        It is to be called without gradients, and again after another `refresh`, not kept.
        end: by default that of the network.
        """
        for fold in self._folds:
            if begin <= fold.block and (end is None or fold.block < end):
                fold.refresh()
        return self.network

    def own_bytes(self, blocks: int | None = None) -> int:
        """Return the bytes of its own weights in the first blocks, by default in all."""
        shown = [fold for fold in self._folds if blocks is None or fold.block < blocks]
        own = [fold.both.state_dict() for fold in shown]
        return sum(t.numel() * t.element_size() for state in own for t in state.values())


def _fold(network: BlockNetwork, folded: BlockNetwork) -> Iterator[Fold]:
    """Take every BatchNorm that follows a convolution out of `folded`, a copy of `network`."""
    for block, (original, reduced) in enumerate(zip(network.blocks, folded.blocks, strict=True)):
        for first, second in _pairs(original):
            convolution = reduced.get_submodule(first)
            assert isinstance(convolution, nn.Conv2d)
            weight = torch.empty_like(convolution.weight)  # strides and all
            convolution.weight = nn.Parameter(weight, requires_grad=False)
            convolution.bias = nn.Parameter(weight.new_empty(len(weight)), requires_grad=False)
            reduced.set_submodule(second, nn.Identity())
            yield Fold(
                block,
                original.get_submodule(first),  # type: ignore[arg-type]
                original.get_submodule(second),  # type: ignore[arg-type]
                convolution,
            )


def _pool_early(block: nn.Module) -> None:
    """Let max pooling come before the ReLU that it follows: the same, on a quarter of the numbers.

    If it then follows a convolution they go together, a piece of the batch after the other. Looked
    for where layers are called in turn without doubt, in an nn.Sequential.
    """
    for part in [part for part in block.modules() if type(part) is nn.Sequential]:
        for i in range(len(part) - 1):
            if type(part[i]) is nn.ReLU and type(part[i + 1]) is nn.MaxPool2d:
                part[i], part[i + 1] = part[i + 1], part[i]
        layers = [i for i, layer in enumerate(part) if type(layer) is not nn.Identity]
        for i, k in pairwise(layers):
            pool = part[k]
            if type(part[i]) is nn.Conv2d and can_pool(pool):
                part[i], part[k] = PooledInPieces(part[i], pool), nn.Identity()


def _pairs(block: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield the names of each convolution and BatchNorm of which one sees only the other."""
    graph = fx.symbolic_trace(block).graph
    calls = [str(node.target) for node in graph.nodes if node.op == "call_module"]
    for node in graph.nodes:
        if node.op != "call_module" or type(block.get_submodule(node.target)) is not nn.BatchNorm2d:
            continue
        before = node.args[0]
        alone = before.op == "call_module" and len(before.users) == 1
        if not alone or type(block.get_submodule(before.target)) is not nn.Conv2d:
            continue
        if calls.count(before.target) == calls.count(node.target) == 1:
            yield before.target, node.target
