"""Data selection in a training loop of your own: no configuration, no stream, no run folder.

    selector = titan_repro.selector("titan", model, num_classes=10)
    batch = selector.choose(inputs, labels, 10)
    loss = (batch.weights * F.cross_entropy(model(batch.inputs), batch.labels, reduction="none"))

docs/library.md has the whole loop.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pkgutil import resolve_name
from typing import Any, get_args

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from titan_repro.choices import Pooling
from titan_repro.conf_path import conf_dir
from titan_repro.errors import ConfigurationError
from titan_repro.models.base import BlockNetwork
from titan_repro.models.hooked import HookedNetwork
from titan_repro.models.inference.scoring import SCORING_NORMS, take_rows
from titan_repro.seeds import generator
from titan_repro.selection.base import check_choice
from titan_repro.selection.selector import Selector
from titan_repro.streams.base import Samples

POOLINGS = get_args(Pooling)


@dataclass(frozen=True)
class Chosen:
    """The samples to train on, and how. The batch loss is mean(weights * losses).

    positions: (B,) int64, which of the given samples; one may come twice.
    inputs: (B, *input_shape). labels: (B,) int64.
    weights: (B,) float32.
    probabilities: (B,) float32, how often each was expected to be chosen.
    """

    positions: Tensor
    inputs: Tensor
    labels: Tensor
    weights: Tensor
    probabilities: Tensor


class LoopSelector:
    """Chooses training batches for one model, round after round.

    Made by `titan_repro.selector`. Calls of `choose` are counted: call t draws the random numbers
    that round t of a run with this seed draws.
    """

    def __init__(self, network: BlockNetwork, selector: Selector, seed: int) -> None:
        self._network = network
        self._selector = selector
        self._seed = seed
        self._rounds = 0

    def choose(
        self, inputs: Tensor, labels: Tensor, batch_size: int, ids: Tensor | None = None
    ) -> Chosen:
        """Choose `batch_size` of the samples that have arrived, with the model's weights of now.

        inputs: (n, *input_shape) as the model takes them. labels: (n,) int64, where the inputs are.
        ids: (n,) int64, at least 0, which sample each is, the same whenever it comes; for the
            selectors that know samples again (rs2, rho_loss), which cannot do without.
        The model is the same afterwards, gradients and BatchNorm statistics included.
        Raises ValueError for labels that cannot be, or fewer samples than the filter keeps, and
        ConfigurationError for more picks than candidates.
        """
        self._check(inputs, labels, ids)
        selector, network, t = self._selector, self._network, self._rounds
        arrived = Samples(
            torch.arange(len(labels), device=labels.device),
            labels,
            torch.zeros_like(labels, dtype=torch.bool),
        )
        draws = generator(self._seed, "filter", t)
        admitted = selector.admit(network, _Given(inputs), arrived, draws)
        scores = selector.score(network, admitted)
        known = None if ids is None else ids.cpu()[admitted.arrivals.indices.cpu()]
        scores = replace(scores, positions=known)  # the arrivals' own are places among the given
        draws = generator(self._seed, "selection", t)
        batch, _ = selector.select(admitted, scores, batch_size, draws)
        self._rounds += 1
        chosen = batch.arrivals
        rows = take_rows(inputs, chosen.indices)
        return Chosen(chosen.indices, rows, chosen.labels, batch.weights, batch.probabilities)

    def _check(self, inputs: Tensor, labels: Tensor, ids: Tensor | None) -> None:
        classes = self._selector.classes
        if labels.ndim != 1 or len(inputs) != len(labels) or labels.dtype != torch.int64:
            raise ValueError(
                f"labels: found {labels.dtype} of shape {tuple(labels.shape)} for {len(inputs)} "
                "inputs; allowed: torch.int64, one a sample"
            )
        if len(labels) == 0 or labels.min() < 0 or labels.max() >= classes:
            found = sorted(set(labels.tolist()))
            raise ValueError(f"labels: found {found}; allowed: one or more of 0 to {classes - 1}")
        if ids is not None and (ids.shape != labels.shape or ids.dtype != torch.int64):
            raise ValueError(
                f"ids: found {ids.dtype} of shape {tuple(ids.shape)} for {len(labels)} labels; "
                "allowed: torch.int64, one a sample"
            )
        if ids is not None and ids.min() < 0:
            raise ValueError(f"ids: found {ids.min().item()}; allowed: at least 0")

    def state_dict(self) -> dict[str, Any]:
        """Return what later choices depend on, besides the model."""
        return {"rounds": self._rounds, "selector": self._selector.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._rounds = state["rounds"]
        self._selector.load_state_dict(state["selector"])


class _Given:
    """A stream of one round, the inputs that are at hand."""

    def __init__(self, inputs: Tensor) -> None:
        self.velocity = len(inputs)
        self._inputs = inputs

    def round(self, t: int) -> Samples:
        raise NotImplementedError("samples come from the caller")

    def inputs(self, arrivals: Samples) -> Tensor:
        return self._inputs


def selector(
    name: str,
    model: nn.Module,
    num_classes: int,
    *,
    last_layer: str | None = None,
    features: str | None = None,
    blocks: int = 1,
    pooling: str = "none",
    scoring_norm: str = "running",
    seed: int = 0,
    **options: Any,
) -> LoopSelector:
    """Return what chooses batches for a model.

    name: a selector of conf/selector: rs, stratified, is, ll, hl, ce, ocs, camel, cis, titan,
        titan_literal, or another policy of the field (docs/design.md lists them). Batches are for
        training at once; for the paper's delay of one round, train the batch of the call before.
    model: maps inputs to logits (n, num_classes). Of a model of this package the parts are known.
        Of any other, embeddings are the input of its last nn.Linear, and the coarse filter's
        features are the output of its first child.
    last_layer, features: names of modules, to use others than these.
    blocks: how many blocks make the filter's features, for models of this package.
    pooling: none | average, over positions, of the filter's features.
    scoring_norm: running | batch, BatchNorm's statistics while samples are looked at.
    seed: of the random draws.
    options: of the selector's policy (gradient, class_importance, class_mass, weighting, sampling,
        memory, prefer, regulariser, alpha, held_out, rate) and of its filter (budget, score,
        quota, decay), where it has them.

    Raises ConfigurationError, naming the argument, for values that are not allowed.
    """
    check_choice("pooling", pooling, POOLINGS)
    check_choice("scoring_norm", scoring_norm, SCORING_NORMS)
    if not isinstance(model, BlockNetwork):
        network: BlockNetwork = HookedNetwork(model, num_classes, last_layer, features)
        blocks = 0
    elif not 1 <= blocks <= len(model.blocks):
        raise ConfigurationError(f"blocks: found {blocks}; allowed: 1 to {len(model.blocks)}")
    else:
        network = model
    coarse_filter, policy = _parts(name, num_classes, options)
    composed = Selector(
        coarse_filter,
        policy,
        classes=num_classes,
        blocks=blocks,
        pooling=pooling,
        scoring_norm=scoring_norm,
    )
    return LoopSelector(network, composed, seed)


def _parts(name: str, num_classes: int, options: Mapping[str, Any]) -> tuple[Any, Any]:
    """Build filter and policy from what conf/selector/NAME.yaml says and the options."""
    folder = conf_dir() / "selector"
    check_choice("selector", name, tuple(sorted(path.stem for path in folder.glob("*.yaml"))))
    node: Any = OmegaConf.to_container(OmegaConf.load(folder / f"{name}.yaml"), resolve=False)
    nodes = {"policy": node["selector"]["policy"], "filter": node["selector"]["filter"]}
    calls = {part: _call(given) for part, given in nodes.items() if given is not None}
    if "filter" in calls:
        calls["filter"][1].update(_literals(node.get("filter", {})))
    allowed = {part: _parameters(call) for part, (call, _) in calls.items()}
    unknown = sorted(set(options) - {key for keys in allowed.values() for key in keys})
    if unknown:
        known = ", ".join(key for keys in allowed.values() for key in keys) or "none"
        raise ConfigurationError(f"{unknown[0]}: no option of selector {name}; allowed: {known}")
    if options.get("budget") == "adaptive":
        raise ConfigurationError("budget: found 'adaptive'; allowed: whole numbers of at least 1")
    for part, (_, arguments) in calls.items():
        arguments.update({key: options[key] for key in allowed[part] if key in options})
    if "filter" in calls:
        calls["filter"][1]["num_classes"] = num_classes
    built = {part: call(**arguments) for part, (call, arguments) in calls.items()}
    return built.get("filter"), built["policy"]


def _call(node: Mapping[str, Any]) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Return a node's class and the arguments that it fixes."""
    target: Callable[..., Any] = resolve_name(node["_target_"])
    return target, _literals({k: v for k, v in node.items() if k != "_target_"})


def _literals(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries with a value of their own, not that of a key: those are the options'."""
    return {k: v for k, v in node.items() if not (isinstance(v, str) and v.startswith("${"))}


def _parameters(call: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(call).parameters if name != "num_classes"]
