"""One address a key: a node names a class, and the keys that its signature takes are bound to it.

conf/ says `_target_: ...ClassifiedImportanceSampling` and the class says that it takes `gradient`;
the value is that of the top-level key `gradient`. A parameter that the node itself holds is fixed
there and follows no key. Parameters that are annotated with a Literal take its values only.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pkgutil import resolve_name
from typing import Any, Literal, get_args, get_origin

from omegaconf import DictConfig, OmegaConf

from titan_repro.errors import ConfigurationError, shown
from titan_repro.failures import is_own

GROUPS = {
    "selector.policy": None,
    "selector.filter": "filter",
    "stream.source": "stream",
    "model.network": "model",
    "idle.trace": "idle",
    "federation.settings": "federation",
}
"""Nodes whose parameters are bound, and the group that holds their keys; None: the top level."""

POLICY_KEYS = ("gradient", "class_importance", "class_mass", "weighting", "sampling")
"""Top-level keys that a policy may take."""

NEVER_BOUND = ("name", "task", "seed", "subset", "input_shape", "num_classes")
"""Parameters that the builder gives, whatever a group's keys are called; idle.trace has a seed."""


def plain(config: Any) -> Any:
    """Return a configuration node as plain, resolved dictionaries, lists and scalars."""
    return OmegaConf.to_container(config, resolve=True) if OmegaConf.is_config(config) else config


def bound(config: DictConfig, key: str, node: Any = None) -> dict[str, Any]:
    """Return the node at `key` with every parameter that its target takes and a key gives.

    node: stands in for the one at `key`, such as another selector's policy.
    Raises ConfigurationError if there is no such target.
    """
    held: dict[str, Any] = plain(OmegaConf.select(config, key) if node is None else node)
    taken = parameters(target_of(key, held))
    keys = _keys(config, key)
    return held | {name: plain(keys[name]) for name in taken if name in keys and name not in held}


def bound_selector(config: DictConfig, node: Any = None) -> dict[str, Any]:
    """Return the node of a selector, `config.selector` or another, with filter and policy bound."""
    selector: dict[str, Any] = plain(config.selector if node is None else node)
    for part in ("filter", "policy"):
        if selector[part] is not None:
            selector[part] = bound(config, f"selector.{part}", selector[part])
    return selector


def parameter(config: DictConfig, key: str, name: str) -> Any:
    """Return what a parameter of the node at `key` would be bound to; None if nothing gives it.

    The target is not imported, so this is for parameters that every such target takes.
    """
    held = plain(OmegaConf.select(config, key))
    return held[name] if name in held else plain(_keys(config, key).get(name))


def address(config: DictConfig, key: str, name: str) -> str:
    """Return the key that a user sets to change a parameter of the node at `key`."""
    group = GROUPS.get(key, key)
    held = OmegaConf.select(config, key)
    if (held is not None and name in held) or name not in _keys(config, key):
        return f"{key}.{name}"
    return name if group is None else f"{group}.{name}"


def _keys(config: DictConfig, key: str) -> Mapping[str, Any]:
    """Return the keys that parameters of the node at `key` may be bound to."""
    if key not in GROUPS:
        return {}
    group = GROUPS[key]
    if group is None:
        return {name: config[name] for name in POLICY_KEYS}
    given = ("name",) if group == "idle" else NEVER_BOUND
    own = key.partition(".")[2]
    return {str(k): v for k, v in config[group].items() if k != own and k not in given}


def target_of(key: str, node: Mapping[str, Any]) -> Callable[..., Any]:
    """Return the class or function that a node's `_target_` names.

    Raises ConfigurationError, naming the key, if there is none.
    """
    name = node.get("_target_")
    if not isinstance(name, str) or "." not in name:
        raise ConfigurationError(
            f"{key}._target_: found {shown(name)}; allowed: MODULE.NAME of a class or function"
        )
    try:
        target: Callable[..., Any] = resolve_name(name)
    except ImportError as error:
        raise ConfigurationError(
            f"{key}._target_: found {shown(name)}, but {error}; allowed: modules on Python's "
            "path or in the folder of --config-dir"
        ) from None
    except (AttributeError, ValueError) as error:
        raise ConfigurationError(f"{key}._target_: found {shown(name)}, but {error}") from None
    if not callable(target):
        raise ConfigurationError(
            f"{key}._target_: found {shown(name)}, which cannot be called; allowed: a class or "
            "function"
        )
    return target


def parameters(target: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return what a target can be given by name.

    A class that passes `**keywords` on to its base takes what the base takes, too.
    """
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    chain: list[Callable[..., Any]] = [target]
    if inspect.isclass(target):
        chain = [c for c in target.__mro__ if "__init__" in vars(c) and c is not object]
    taken: dict[str, inspect.Parameter] = {}
    for each in chain:
        signature = _signature(each)
        taken = {n: p for n, p in signature.items() if p.kind in named} | taken
        if all(p.kind is not inspect.Parameter.VAR_KEYWORD for p in signature.values()):
            break
    return taken


def _signature(target: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(target, eval_str=True).parameters
    except Exception:  # annotations that are text, and no longer to be found: names are enough
        return inspect.signature(target).parameters


def construct(
    key: str, node: Any, at: Callable[[str], str] | None = None, /, **arguments: Any
) -> Any:
    """Call the node's `_target_` with its other entries and `arguments`.

    at: gives the key by which a user sets a parameter; by default that is below `key`.
    Raises ConfigurationError naming that key if the parameters do not fit the target's signature
    or its Literals, or the target refuses their values with ValueError or TypeError.
    """
    where = at or (lambda name: f"{key}.{name}")
    values = plain(node)
    target = target_of(key, values)
    held = {name: value for name, value in values.items() if name != "_target_"}
    _check_signature(key, target, held, arguments, where)
    taken = parameters(target)
    try:
        return target(**held, **arguments)
    except ConfigurationError as error:
        name, separator, rest = str(error).partition(": ")
        if separator and name in taken:  # a class knows its parameters, not where they are set
            raise ConfigurationError(f"{where(name)}: {rest}") from error
        raise
    except (ValueError, TypeError) as error:
        if isinstance(error, TypeError) and is_own(error):
            raise  # a mistake rather than a refusal
        said = str(error).removeprefix(f"{key.partition('.')[0]}: ")
        raise ConfigurationError(f"{key.partition('.')[0]}: {said}") from error


def _check_signature(
    key: str,
    target: Callable[..., Any],
    held: Mapping[str, Any],
    arguments: Mapping[str, Any],
    where: Callable[[str], str],
) -> None:
    """Raise ConfigurationError unless the target takes all names, and the values of `held`."""
    given = {**held, **arguments}
    try:
        inspect.signature(target).bind(**given)
    except TypeError as error:
        raise _misfit(key, target, given, where, str(error)) from None
    taken = parameters(target)
    for name, value in held.items():
        allowed = allowed_instead(taken[name].annotation, value) if name in taken else None
        if allowed is not None:
            raise ConfigurationError(f"{where(name)}: found {shown(value)}; allowed: {allowed}")


def allowed_instead(annotation: Any, value: Any) -> str | None:
    """Return what an annotation allows if that is not the value; None if it is, or unknown."""
    if get_origin(annotation) is Literal:
        return None if value in get_args(annotation) else ", ".join(map(str, get_args(annotation)))
    kinds = {int: "whole numbers", float: "numbers", str: "text", bool: "true, false"}
    if annotation not in kinds:
        return None
    fits = isinstance(value, (int, float) if annotation is float else annotation)
    boolean = isinstance(value, bool) and annotation is not bool
    return kinds[annotation] if not fits or boolean else None


def _misfit(
    key: str,
    target: Callable[..., Any],
    given: Mapping[str, Any],
    where: Callable[[str], str],
    text: str,
) -> ConfigurationError:
    """Return what is said of parameters that a target does not take, or does not get."""
    taken, name = parameters(target), getattr(target, "__name__", str(target))
    for unknown in given:
        if f"unexpected keyword argument '{unknown}'" in text:
            return ConfigurationError(
                f"{where(unknown)}: no such key; {name} takes {', '.join(taken) or 'nothing'}"
            )
    for needed, each in taken.items():
        if each.default is each.empty and needed not in given:
            return ConfigurationError(f"{where(needed)}: is missing, and {name} needs it")
    return ConfigurationError(f"{key}: {text} of {name}")


def check_parameters(config: DictConfig, key: str, given: Sequence[str]) -> None:
    """Raise ConfigurationError, naming the key, unless the target at `key` can be called.

    given: the names of what the builder passes beside the node's and the keys' values.
    """
    node = bound(config, key)
    target = target_of(key, node)
    del node["_target_"]
    _check_signature(
        key, target, node, dict.fromkeys(given), lambda name: address(config, key, name)
    )


def construct_bound(config: DictConfig, key: str, **arguments: Any) -> Any:
    """Construct the node at `key` from its own entries and the keys that its target takes."""
    return construct(key, bound(config, key), lambda name: address(config, key, name), **arguments)
