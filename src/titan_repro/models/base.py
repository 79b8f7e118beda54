"""The shape that all models share: a chain of blocks, a neck and one last linear layer."""

from itertools import islice

from torch import Tensor, nn


class BlockNetwork(nn.Module):
    """A network cut where data selection needs it.

    blocks: the trunk, in order; the first few give shallow features (paper section 3.3,
        footnote 3: "several blocks with similar structures"). An image model's first block is its
        stem: the whole forward pass of AlexNet, MobileNet, SqueezeNet and ResNet-50 has 142, 52,
        13 and 184 times the operations of the stem, in the order of figure 8's speed-ups
        (32, 40, 6.5 and 94); of the first two blocks it has 8, 14, 5 and 16 times.
    neck: from the last block's output to the embedding (n, d): pooling, flattening and any
        hidden fully connected layers.
    classifier: the last layer. With embedding h and d = softmax - onehot, its weight-and-bias
        gradient of one sample is the outer product of d and [h, 1].
    """

    def __init__(self, blocks: nn.Sequential, neck: nn.Module, classifier: nn.Linear) -> None:
        super().__init__()
        self.blocks = blocks
        self.neck = neck
        self.classifier = classifier

    def features(self, inputs: Tensor, blocks: int) -> Tensor:
        """Return the output of the first `blocks` blocks, (n, *feature_shape)."""
        for block in islice(self.blocks, blocks):
            inputs = block(inputs)
        return inputs

    def embed(self, inputs: Tensor, passed: int = 0) -> Tensor:
        """Return the input of the last layer, (n, d).

        passed: the blocks that `inputs` have been through, as `features` returns them.
        """
        for block in islice(self.blocks, passed, None):
            inputs = block(inputs)
        embedding: Tensor = self.neck(inputs)
        return embedding

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits, (n, classes)."""
        logits: Tensor = self.classifier(self.embed(inputs))
        return logits
