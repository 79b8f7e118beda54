"""Importing torchvision and torchaudio beside a CPU build of torch.

Their wheels carry compiled operators for CUDA builds. Without those libraries the import fails,
although everything used here is pure Python: data sets, model blocks and spectrograms.
"""

import importlib
import sys
import types
from types import ModuleType
from typing import Any

import torch

_libraries: list[torch.library.Library] = []
"""Definitions end when their Library object is collected, so it is kept here."""


def import_torchvision(module: str = "torchvision") -> ModuleType:
    """Import torchvision or a submodule of it, defining the operators that its wheel lacks."""
    try:
        return importlib.import_module(module)
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    _forget("torchvision")
    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _libraries.append(library)
    return importlib.import_module(module)


def import_torchaudio(module: str = "torchaudio") -> ModuleType:
    """Import torchaudio or a submodule of it, without its compiled extension where that fails."""
    try:
        return importlib.import_module(module)
    except OSError:
        _forget("torchaudio")
    extension = types.ModuleType("torchaudio._extension")
    extension.__dict__.update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        _IS_ALIGN_AVAILABLE=False,
        fail_if_no_align=lambda function: function,
    )
    sys.modules["torchaudio._extension"] = extension
    return importlib.import_module(module)


def _forget(package: str) -> None:
    """Remove a package whose import failed half-way, so that it can be imported again."""
    for name in [n for n in sys.modules if n == package or n.startswith(f"{package}.")]:
        del sys.modules[name]
