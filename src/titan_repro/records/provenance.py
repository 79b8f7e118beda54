"""Where a result comes from: code, versions, machine, data and command, without names."""

import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import titan_repro
from titan_repro.records.checkout import checkout

_PACKAGES = (
    "titan-repro",
    "torchvision",
    "torchaudio",
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "pyarrow",
    "hydra-core",
    "omegaconf",
)


def provenance(command: Sequence[str], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what provenance.json says, ready for JSON.

    command: the command line, `sys.argv`; empty if there was none. data: at least `source` and
    `fingerprint` of the Task; `class_sizes`, training samples of each class, for reports.
    The GPU is named if this process has begun to use it, so call this once tensors are in place.
    """
    return {
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": _without_home([*(Path(name).name for name in command[:1]), *command[1:]]),
        "data": dict(data),
        "code": checkout(Path(titan_repro.__file__).parents[2]),
        "versions": _versions(),
        "machine": _machine(),
    }


def without_commands(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return contents of provenance.json without the command lines, which name folders."""
    kept = {key: value for key, value in told.items() if key != "command"}
    if "resumed" in kept:
        kept["resumed"] = [without_commands(start) for start in kept["resumed"]]
    return kept


def _without_home(command: Sequence[str]) -> list[str]:
    home = re.compile(re.escape(str(Path.home())) + r"(?=/|$)")
    return [home.sub("~", argument) for argument in command]


def _versions() -> dict[str, str | None]:
    installed = {package: _version(package) for package in _PACKAGES}
    return {"python": platform.python_version(), "torch": str(torch.__version__), **installed}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _machine() -> dict[str, Any]:
    return {
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": _cpu_model(),
        "instructions": _instructions(),
        "cores": _cores(),
        "torch_threads": torch.get_num_threads(),
        "gpu": _gpu(),
    }


def _gpu() -> str | None:
    """Return the GPU's name if this process uses one."""
    initialised: Callable[[], bool] = torch.cuda.is_initialized
    return torch.cuda.get_device_name() if initialised() else None


def _cpu_model() -> str:
    """Return the processor's name; on boards whose kernel gives none, the board's."""
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        text = ""
    name = re.search(r"^(?:model name|Model|Hardware)\s*:\s*(.+)$", text, re.MULTILINE)
    return name.group(1).strip() if name else platform.processor() or platform.machine()


_DECIDING = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")
"""Instructions of a processor for which its libraries have kernels of their own."""


def _instructions() -> list[str]:
    """Return which of the deciding instructions the processor has; none where it does not say."""
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return []
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    there = set(flags.group(1).split()) if flags else set()
    return [name for name in _DECIDING if name in there]


def processors(told: Mapping[str, Any] | None) -> list[str]:
    """Return the kinds of processor that a run's starts went on, in order, each once.

    told: contents of provenance.json. Bits depend on the kind: kernels are chosen by it.
    """
    starts = [] if told is None else [told, *told["resumed"]]
    names = [_processor_of(start["machine"]) for start in starts]
    return list(dict.fromkeys(names))


def _processor_of(machine: Mapping[str, Any]) -> str:
    newest = machine["instructions"][-1:]
    return " ".join([machine["cpu"], *(f"({name})" for name in newest)])


def _cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
