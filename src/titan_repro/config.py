"""The typed configuration of a run and everything that is checked before data are loaded.

Hydra composes `RunConfig` from conf/ and the command line. `validate` checks every value's range
and every combination that needs nothing but the configuration to be seen impossible; what depends
on the network (its input, its blocks) is checked by `titan_repro.runs.build`.
"""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from hydra.core.config_store import ConfigStore
from omegaconf import II, MISSING, DictConfig, OmegaConf

from titan_repro import choices
from titan_repro.adaptive_config import ADAPTIVE, check_adaptive, is_adaptive
from titan_repro.binding import bound, bound_selector, construct_bound, parameter
from titan_repro.binding import plain as plain
from titan_repro.errors import ConfigurationError, shown
from titan_repro.keys import check_present


def _default_data() -> str:
    return os.environ.get("TITAN_DATA") or "data"


def _default_cache() -> str | None:
    """Return the folder of prepared data; None for a user without a home, as in some containers."""
    if named := os.environ.get("TITAN_CACHE"):
        return named
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:
        return None
    return str(Path(base) / "titan-repro")


@dataclass
class PathsConfig:
    """Folders. None of them can change a result."""

    data: str = field(default_factory=_default_data)
    runs: str = "runs"
    export: str | None = None
    cache: str | None = field(default_factory=_default_cache)


@dataclass
class FilterConfig:
    """The coarse filter (paper section 3.3), used by the selectors that have one."""

    budget: Any = 30
    blocks: int = 1
    score: str = "rep_plus_div"
    quota: str = "per_class_proportional"
    decay: float = 1.0
    pooling: str = "none"


@dataclass
class RunConfig:
    """One run. Defaults are the paper's (section 4.1) where it states them."""

    task: Any = MISSING
    model: Any = MISSING
    selector: Any = MISSING
    stream: Any = MISSING
    budget: Any = MISSING
    device: Any = MISSING
    executor: Any = MISSING
    idle: Any = MISSING
    federation: Any = MISSING
    experiment: Any = None

    seed: int = 0
    rounds: int = II("budget.rounds")
    batch_size: int = 10
    learning_rate: float = II("model.learning_rate")
    learning_rate_decay: float = 0.95
    learning_rate_every: int = 100
    learning_rate_floor: float = II("model.learning_rate_floor")
    filter: FilterConfig = field(default_factory=FilterConfig)

    delay: int = 0
    gradient: str = "last_layer"
    class_importance: str = "bessel"
    class_mass: str = "candidates"
    weighting: str = "none"
    sampling: str = "systematic"
    scoring_norm: str = "running"

    evaluate_every: int = 100
    evaluation_samples: int = 1000
    checkpoint_seconds: float = 30.0
    tensorboard: bool = False
    paths: PathsConfig = field(default_factory=PathsConfig)


def register_schema() -> None:
    """Make `RunConfig` known to Hydra under the name that conf/config.yaml asks for."""
    ConfigStore.instance().store(name="run_schema", node=RunConfig)


_ABSENT = object()


@dataclass(frozen=True)
class Rule:
    """What one key may hold."""

    key: str
    allowed: str
    holds: Callable[[Any], bool]

    def check(self, config: DictConfig) -> None:
        """Raise ConfigurationError if the key is there and its value is not allowed."""
        value = OmegaConf.select(config, self.key, default=_ABSENT)
        if value is not _ABSENT and not self.holds(value):
            raise ConfigurationError(
                f"{self.key}: found {shown(plain(value))}; allowed: {self.allowed}"
            )


def whole(key: str, least: int, most: int | None = None) -> Rule:
    """A whole number from `least` to `most`."""
    allowed = f"whole numbers of at least {least}" + ("" if most is None else f", at most {most}")
    return Rule(
        key,
        allowed,
        lambda v: type(v) is int and v >= least and (most is None or v <= most),
    )


def real(key: str, above: float, most: float = math.inf) -> Rule:
    """A finite number greater than `above`, at most `most`."""
    allowed = f"finite numbers above {above:g}" + (
        "" if math.isinf(most) else f", at most {most:g}"
    )
    return Rule(key, allowed, lambda v: _number(v) and above < v <= most)


def _number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def share(key: str) -> Rule:
    """A part of a whole."""
    return Rule(key, "numbers from 0 to 1", lambda v: _number(v) and 0 <= v <= 1)


def one_of(key: str, *names: str) -> Rule:
    """One of a few words."""
    return Rule(key, ", ".join(names), lambda v: v in names)


def _is_folder_name(value: Any) -> bool:
    return isinstance(value, str) and "/" not in value and value.strip() not in ("", ".", "..")


MOST = 2**31 - 1
"""Of seeds and rounds: what a column of an export holds."""

RULES = (
    whole("seed", 0, MOST),
    whole("rounds", 1, MOST),
    whole("batch_size", 1),
    real("learning_rate", 0, 1e9),
    real("learning_rate_decay", 0, 1),
    whole("learning_rate_every", 1),
    Rule("learning_rate_floor", "finite numbers of at least 0", lambda v: _number(v) and v >= 0),
    whole("delay", 0, 1),
    whole("stream.velocity", 1),
    share("stream.fraction"),
    Rule("stream.sigma", "finite numbers of at least 0", lambda v: _number(v) and v >= 0),
    Rule(
        "filter.budget",
        f"whole numbers of at least 1, or {ADAPTIVE}",
        lambda v: v == ADAPTIVE or (type(v) is int and v >= 1),
    ),
    whole("filter.blocks", 1),
    real("filter.decay", 0, 1),
    one_of("filter.score", *get_args(choices.Score)),
    one_of("filter.quota", *get_args(choices.Quota)),
    one_of("filter.pooling", *get_args(choices.Pooling)),
    one_of("gradient", *get_args(choices.Gradient)),
    one_of("class_importance", *get_args(choices.ClassImportance)),
    one_of("class_mass", *get_args(choices.ClassMass)),
    one_of("weighting", *get_args(choices.Weighting)),
    one_of("sampling", *get_args(choices.Sampling)),
    one_of("scoring_norm", *get_args(choices.ScoringNorm)),
    one_of("model.norm", *get_args(choices.Norm)),
    whole("evaluate_every", 1),
    whole("evaluation_samples", 1),
    Rule("checkpoint_seconds", "finite numbers of at least 0", lambda v: _number(v) and v >= 0),
    whole("device.threads", 1, 1024),
    Rule("paths.runs", "a folder", lambda v: isinstance(v, str) and v.strip() != ""),
    *(
        Rule(f"{group}.name", "a name without /, not empty, . or ..", _is_folder_name)
        for group in ("task", "model", "selector")
    ),
    one_of("executor.name", "inline", "processes"),
    real("executor.timeout_seconds", 0),
    *(share(f"idle.{key}") for key in ("share", "high", "low", "start")),
    *(real(f"idle.{key}", 0) for key in ("period_seconds", "every_seconds")),
    Rule("idle.duty", "numbers between 0 and 1", lambda v: _number(v) and 0 < v < 1),
    real("idle.step", 0, 1),
    whole("idle.seed", 0, 2**62),
    Rule("idle.path", "the path of a CSV file", lambda v: isinstance(v, str) and v.strip() != ""),
    Rule(
        "idle.repeat_seconds",
        "null, or finite numbers above 0",
        lambda v: v is None or (_number(v) and v > 0),
    ),
)


def validate(config: DictConfig) -> None:
    """Check every range, then the combinations. Raises ConfigurationError with one line."""
    check_present(config)
    for rule in RULES:
        rule.check(config)
    _check_front_end(config)
    _check_sizes(config)
    check_adaptive(config)
    _check_executor(config)


def _check_front_end(config: DictConfig) -> None:
    """Where a task has front ends, the one asked for is among them: shape and loader follow it."""
    front_ends = OmegaConf.select(config, "task.front_ends")
    if isinstance(front_ends, DictConfig):
        one_of("task.front_end", *front_ends).check(config)


def _check_sizes(config: DictConfig) -> None:
    """Candidates come out of the stream, and the batch out of the candidates."""
    velocity, batch = parameter(config, "stream.source", "velocity"), config.batch_size
    candidates, source = velocity, "stream.velocity"
    if config.selector.filter is not None and not is_adaptive(config):
        candidates, source = parameter(config, "selector.filter", "budget"), "filter.budget"
        if candidates > velocity:
            raise ConfigurationError(
                f"filter.budget: found {candidates} candidates; allowed: at most the {velocity} "
                f"samples of a round (stream.velocity={velocity})"
            )
    if batch > candidates:
        raise ConfigurationError(
            f"batch_size: found {batch}; allowed: at most the {candidates} candidates of a round "
            f"({source}={candidates})"
        )


def _check_executor(config: DictConfig) -> None:
    """Two processes select beside training only if there is something to train meanwhile."""
    if config.executor.name != "processes":
        return
    if config.delay == 0:
        raise ConfigurationError(
            "delay: found 0 with executor=processes; allowed: 1, as a batch that is trained in the "
            "round that chose it leaves nothing to train while it is chosen (executor=inline takes "
            "0, too)"
        )
    if not hasattr(os, "memfd_create"):
        raise ConfigurationError(
            "executor: found processes; allowed on this system: inline, as only Linux has shared "
            "memory without names (memfd_create)"
        )


def identity(
    config: DictConfig,
    source_form: str,
    *,
    scoring: bool,
    budget: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return all that can change a run's result: what its folder's name is a hash of.

    In three parts: `seed`; `setting`, what runs must share to be compared; and `choices`, what
    the selector does. Left out: the number of rounds, so that a run can be extended; paths,
    logging, checkpoint intervals and the executor; where in this package a class lives; and keys
    that the chosen selector does not use, so that `rs filter.budget=50` is the same run as `rs`.
    `scoring` says whether the selector runs the network on samples at all, and `budget` what
    decides how many candidates a round gets, if that is more than the filter's keys.
    """
    task, model, selector = plain(config.task), plain(config.model), bound_selector(config)
    setting = {
        "task": {"name": task["name"], "loader": _named(task["loader"]), "form": source_form},
        "model": {"name": model["name"], "network": _named(bound(config, "model.network"))},
        "stream": _named(bound(config, "stream.source")),
        "device": {key: config.device[key] for key in ("tensors", "threads")},
        **{key: config[key] for key in SETTING_KEYS},
    }
    parts = {part: _named(selector[part]) for part in ("filter", "policy")}
    if config.federation.settings is not None:
        setting["federation"] = construct_bound(config, "federation.settings").facts()
    choices = {**selector, **parts, "delay": config.delay, **(budget or {})}
    if selector["filter"] is not None:
        choices |= {key: config.filter[key] for key in ("blocks", "pooling")}
    if scoring:
        choices["scoring_norm"] = config.scoring_norm
    return {"format": 2, "seed": config.seed, "setting": setting, "choices": choices}


def _named(node: Any) -> Any:
    """Return a node whose class, if it is this package's, is named without its module."""
    if node is None or not node["_target_"].startswith("titan_repro."):
        return node
    return {**node, "_target_": node["_target_"].rpartition(".")[2]}


SETTING_KEYS = (
    "batch_size",
    "learning_rate",
    "learning_rate_decay",
    "learning_rate_every",
    "learning_rate_floor",
    "evaluate_every",
    "evaluation_samples",
)
