"""Any module whose last layer is linear, looked at from outside with forward hooks."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from titan_repro.errors import ConfigurationError
from titan_repro.models.base import BlockNetwork


class HookedNetwork(BlockNetwork):
    """Gives selection the features and embeddings of a module that was not written for it.

    Forward passes end where the wanted tensor is known. Layers that behave otherwise in training,
    dropout above all, are as in evaluation meanwhile; BatchNorm is left to `scoring_mode`. It has
    no blocks to go on from: embeddings are always computed from inputs.

    model: maps inputs (n, *input_shape) to logits (n, C); shared, not copied.
    last_layer: the name of its last nn.Linear; None: the one that was registered last.
    features: the name of the module whose output the coarse filter looks at; None: the first child.
    classes: C.
    Raises ConfigurationError for a name that the model does not have, or a layer that cannot be.
    """

    def __init__(
        self, model: nn.Module, classes: int, last_layer: str | None, features: str | None
    ) -> None:
        last = _last_layer(model, classes, last_layer)
        super().__init__(nn.Sequential(), nn.Identity(), last)
        self.model = model
        self._first = _feature_module(model, features)

    def features(self, inputs: Tensor, blocks: int = 0) -> Tensor:
        """Return the output of the first child, or the named module, (n, *feature_shape)."""

        def stop(_module: nn.Module, _given: object, output: Tensor) -> None:
            raise _Reached(output)

        with self._first.register_forward_hook(stop):
            return self._run(inputs, "features")

    def embed(self, inputs: Tensor, passed: int = 0) -> Tensor:
        """Return the input of the last layer, (n, d)."""

        def stop(_module: nn.Module, given: tuple[Tensor, ...]) -> None:
            raise _Reached(given[0])

        with self.classifier.register_forward_pre_hook(stop):
            embeddings = self._run(inputs, "last_layer")
        if embeddings.ndim != 2:
            raise ConfigurationError(
                f"last_layer: found inputs of shape {tuple(embeddings.shape)}; allowed: (n, d), "
                "one row a sample"
            )
        return embeddings

    def _run(self, inputs: Tensor, key: str) -> Tensor:
        """Run the model until a hook has what is wanted."""
        try:
            with _evaluating(self.model):
                self.model(inputs)
        except _Reached as reached:
            return reached.tensor
        raise ConfigurationError(f"{key}: the model's forward pass does not call this layer")


class _Reached(Exception):  # noqa: N818  not an error
    """Ends a forward pass at the tensor that is wanted."""

    def __init__(self, tensor: Tensor) -> None:
        super().__init__()
        self.tensor = tensor


def _last_layer(model: nn.Module, classes: int, name: str | None) -> nn.Linear:
    linear = {n: layer for n, layer in model.named_modules() if isinstance(layer, nn.Linear)}
    allowed = f"an nn.Linear with {classes} outputs; the model has {', '.join(linear) or 'none'}"
    if name is None:
        name = list(linear)[-1] if linear else "no layer"
    layer = linear.get(name)
    if layer is None or layer.out_features != classes:
        outputs = "" if layer is None else f" with {layer.out_features} outputs"
        raise ConfigurationError(f"last_layer: found {name}{outputs}; allowed: {allowed}")
    return layer


def _feature_module(model: nn.Module, name: str | None) -> nn.Module:
    children = dict(model.named_children())
    if name is None:
        if not children:
            raise ConfigurationError("features: found a model without children; allowed: a name")
        return next(iter(children.values()))
    try:
        return model.get_submodule(name)
    except AttributeError:
        raise ConfigurationError(
            f"features: found {name!r}; allowed: a module of the model, such as "
            f"{', '.join(children)}"
        ) from None


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Let all layers but BatchNorm be in evaluation mode inside the block."""
    layers = [m for m in model.modules() if m.training and not isinstance(m, _BatchNorm)]
    try:
        for layer in layers:
            layer.training = False
        yield
    finally:
        for layer in layers:
            layer.training = True
