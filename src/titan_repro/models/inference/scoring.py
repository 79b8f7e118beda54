"""The network as selection sees it: features and outputs of samples, never a gradient.

`flat_rows` and `take_rows` handle them in the order in which memory holds them, so that none is
copied twice.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import get_args

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from titan_repro.choices import ScoringNorm
from titan_repro.models.base import BlockNetwork
from titan_repro.models.inference.folding import FoldedNetwork

SCORING_NORMS = get_args(ScoringNorm)


class ScoringNetwork:
    """Computes the forward passes of selection with the weights of the last `refresh`.

    On a CPU, with running statistics, passes go through a copy with fewer layers (`folding`);
    elsewhere through the network itself, as a GPU loses more by the copy than it wins. Weights and
    running statistics of the network are never changed. To be called without gradients.

    network: the one that is trained.
    norm: running | batch, the statistics that BatchNorm uses (`scoring_mode`).
    """

    def __init__(self, network: BlockNetwork, norm: str = "running") -> None:
        self.network = network
        self.norm = norm
        self._folded: FoldedNetwork | None = None
        self._fresh: set[int] = set()  # blocks whose folded weights are those of now

    def refresh(self) -> None:
        """Take over the network's weights of now, each block's when it is first needed."""
        self._fresh.clear()

    def features(self, inputs: Tensor, blocks: int) -> Tensor:
        """Return the output of the first `blocks` blocks, (n, *feature_shape)."""
        with self._forward(inputs, range(blocks)) as network:
            return network.features(inputs, blocks)

    def outputs(self, inputs: Tensor, start_block: int = 0) -> tuple[Tensor, Tensor]:
        """Return logits (n, C) and embeddings (n, d).

        start_block: the blocks that `inputs` have been through, as `features` returns them.
        """
        blocks = range(start_block, len(self.network.blocks))
        with self._forward(inputs, blocks) as network:
            embeddings = network.embed(inputs, start_block)
        return self.network.classifier(embeddings), embeddings

    @contextmanager
    def _forward(self, inputs: Tensor, blocks: Sequence[int]) -> Iterator[BlockNetwork]:
        """Give the network to call for a pass through `blocks`."""
        foldable = self.norm == "running" and len(self.network.blocks) > 0
        if not foldable or inputs.device.type != "cpu":
            with scoring_mode(self.network, self.norm):
                yield self.network
            return
        if self._folded is None:
            self._folded = FoldedNetwork(self.network)
        stale = [block for block in blocks if block not in self._fresh]
        self._fresh.update(stale)
        yield self._folded.refresh(stale)


@contextmanager
def scoring_mode(model: nn.Module, norm: str) -> Iterator[None]:
    """Inside the block the BatchNorm layers of `model` normalise as `norm` says.

    running: with their running statistics. batch: with those of the batch at hand (then samples
    scored together influence one another). Either way, running statistics and batch counts are
    not changed, and afterwards, also after an error, each layer is as it was. Other layers keep
    their mode. Raises ValueError for any other `norm`.
    """
    if norm not in SCORING_NORMS:
        raise ValueError(f"no scoring norm {norm!r}; allowed: {', '.join(SCORING_NORMS)}")
    wanted = (
        {"training": True, "track_running_stats": False} if norm == "batch" else {"training": False}
    )
    layers = [layer for layer in model.modules() if isinstance(layer, _BatchNorm)]
    before = [
        (layer, name, getattr(layer, name))
        for layer in layers
        for name, value in wanted.items()
        if getattr(layer, name) != value
    ]
    try:
        for layer, name, _ in before:
            setattr(layer, name, wanted[name])
        yield
    finally:
        for layer, name, value in before:
            setattr(layer, name, value)


def pooled(maps: Tensor, pooling: str) -> Tensor:
    """Return the features that the filter looks at, of the output (n, channels, ...) of a block.

    pooling: average, over all positions of a channel: (n, channels); none: the output as it is.
    """
    average = pooling == "average" and maps.ndim > 2
    return maps.flatten(start_dim=2).mean(dim=2) if average else maps


def flat_rows(features: Tensor) -> Tensor:
    """Return features (n, channels, ...) as rows (n, f), channels last.

    Convolutional features lie so in memory (channels_last) and are not copied; the order inside a
    row is the same for every memory format.
    """
    return features.movedim(1, -1).flatten(1)


def take_rows(samples: Tensor, positions: Tensor) -> Tensor:
    """Return samples[positions] in the same memory format.

    Each sample is moved as a whole; indexing would move channels_last memory number by number.
    """
    channels_last = samples.movedim(1, -1)
    if not channels_last.is_contiguous():
        return samples.index_select(0, positions)
    rows = flat_rows(samples).index_select(0, positions)
    return rows.view(-1, *channels_last.shape[1:]).movedim(-1, 1)
