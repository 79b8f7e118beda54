"""Refuses keys that are missing, and keys that nothing reads, however they were added.

A key is read if the schema has it (`RunConfig`), if the signature of the class that its group
names takes it, or if another value refers to it with an interpolation.
"""

import re
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from titan_repro.binding import GROUPS, check_parameters, parameters, target_of
from titan_repro.errors import ConfigurationError, shown

READ = {
    "task": ("name", "input_shape", "num_classes", "loader"),
    "model": ("name", "learning_rate", "learning_rate_floor", "network"),
    "selector": ("name", "filter", "policy"),
    "stream": ("name", "source"),
    "budget": ("name", "rounds"),
    "device": ("name", "tensors", "threads", "cores", "modelled"),
    "device.cores": ("train", "filter", "select"),
    "executor": ("name", "timeout_seconds"),
    "idle": ("name", "trace"),
    "federation": ("name", "settings"),
}
"""What is read of each group, whichever of its files is chosen."""

OPTIONAL = ("learning_rate_floor", "cores", "modelled", "timeout_seconds")

GIVEN: dict[str, tuple[str, ...]] = {
    "task.loader": (),
    "model.network": ("input_shape", "num_classes"),
    "selector.filter": ("num_classes",),
    "selector.policy": (),
    "stream.source": ("task", "seed"),
    "idle.trace": (),
    "federation.settings": (),
}
"""Nodes with a `_target_`, and what the builder gives it beside the node's and the keys' values."""

_REFERENCE = re.compile(r"\$\{([\w.\[\]/-]+)")


def check_present(config: DictConfig) -> None:
    """Raise ConfigurationError for a key that has to be there and is not."""
    schema = OmegaConf.get_type(config)
    for key in _schema_keys(schema) if is_dataclass(schema) else ():
        parent, _, name = key.rpartition(".")
        node = OmegaConf.select(config, parent) if parent else config
        if node is None or name not in list(node):  # `in` itself would resolve the value
            raise ConfigurationError(
                f"{key}: is missing; leave out what takes it away, such as ~{key}"
            )
    for group, names in READ.items():
        if "." in group:
            continue
        node = OmegaConf.select(config, group, throw_on_missing=False)
        if OmegaConf.is_missing(config, group):
            raise ConfigurationError(
                f"{group}: is missing; allowed: {group}=NAME, titan-run --help lists them"
            )
        if not isinstance(node, DictConfig):
            raise ConfigurationError(
                f"{group}: found {shown(node)}; allowed: {group}=NAME, titan-run --help lists them"
            )
        for name in names:
            if name not in list(node) and name not in OPTIONAL:
                raise ConfigurationError(
                    f"{group}.{name}: is missing; the file that {group}= names has to give it "
                    f"({_example(group, name)})"
                )


def _schema_keys(schema: Any) -> Iterable[str]:
    for each in fields(schema):
        yield each.name
        if is_dataclass(each.type):
            yield from (f"{each.name}.{key}" for key in _schema_keys(each.type))


def _example(group: str, name: str) -> str:
    if name == "name":
        return "name: NAME, as the file is called"
    if f"{group}.{name}" == "selector.filter":
        return "filter: null for none"
    return f"{name}: with a line _target_" if f"{group}.{name}" in GIVEN else f"{name}: VALUE"


def check_known(config: DictConfig) -> None:
    """Raise ConfigurationError for a key that nothing reads, or that a class does not take.

    Imports the classes that the configuration names.
    """
    for key in GIVEN:
        if OmegaConf.select(config, key) is not None:
            check_parameters(config, key, GIVEN[key])
    top = OmegaConf.get_type(config)
    if not is_dataclass(top):
        return  # read from a run's config.yaml, which refers to nothing any more
    referred = _referred(config)
    _refuse_unknown(config, "", [each.name for each in fields(top)], referred)
    for group in ("paths", "filter", *READ):
        node = OmegaConf.select(config, group)
        if isinstance(node, DictConfig):
            read = [*_read(node, group), *_taken(config, group)]
            _refuse_unknown(config, group, read, referred)


def _read(node: DictConfig, group: str) -> Iterable[str]:
    schema = OmegaConf.get_type(node)
    if is_dataclass(schema):
        return [each.name for each in fields(schema)]
    return READ.get(group, ())


def _taken(config: DictConfig, group: str) -> Iterable[str]:
    """Return the keys of a group that the class which it names takes."""
    for key, source in GROUPS.items():
        node = OmegaConf.select(config, key)
        if source == group and node is not None:
            return parameters(target_of(key, node))
    return ()


def _refuse_unknown(
    config: DictConfig, group: str, read: Iterable[str], referred: set[str]
) -> None:
    known = list(dict.fromkeys(read))
    node = OmegaConf.select(config, group) if group else config
    for name in map(str, node):
        key = f"{group}.{name}" if group else name
        used = any(key == each or each.startswith(f"{key}.") for each in referred)
        if name not in known and not used:
            there = ", ".join(each for each in known if each in node) or "none"
            raise ConfigurationError(
                f"{key}: no such key: nothing reads it; {'there are' if group else 'allowed'}: "
                f"{there}"
            )


def _referred(config: DictConfig) -> set[str]:
    """Return the keys that values refer to; of `${a.${b}.c}` those are a and b."""
    found: set[str] = set()

    def look(node: Any, path: tuple[str, ...]) -> None:
        if isinstance(node, dict):
            for name, value in node.items():
                look(value, (*path, str(name)))
        elif isinstance(node, list):
            for value in node:
                look(value, (*path, "-"))
        elif isinstance(node, str):
            for reference in _REFERENCE.findall(node):
                bare = reference.lstrip(".")
                dots = len(reference) - len(bare)
                above = path[: len(path) - dots] if dots else ()
                found.add(".".join((*above, *filter(None, bare.split(".")))))

    look(OmegaConf.to_container(config, resolve=False), ())
    return found
