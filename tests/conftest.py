"""What several tests share: one thread, a tiny task, a composed configuration."""

import os
import signal
import sys
import threading

os.environ.setdefault("OMP_NUM_THREADS", "1")
if threading.current_thread() is threading.main_thread():
    # Whoever starts the suite in the background, as CI may, starts it with Ctrl-C ignored, and
    # every process below inherits that; the tests of Ctrl-C need it heard.
    signal.signal(signal.SIGINT, signal.default_int_handler)

from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig

from composing import quickly, whole

# Where Python is told to write no bytecode, every process that a test starts would compile the
# whole package again, and every worker of pytest every test.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def real_fsync():
    """Let nothing in this process wait for the disk; return what does.

    A process that is killed loses nothing of what it wrote: only a power cut would.
    """
    real = os.fsync
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield real


@pytest.fixture
def configure(tmp_path: Path):
    """Return a function that composes the configuration as titan-run does, in scratch folders."""
    paths = (f"paths.runs={tmp_path / 'runs'}", f"paths.cache={tmp_path / 'cache'}")

    def composed(*overrides: str, hydra: bool = False) -> DictConfig:
        return whole(*paths, *overrides, hydra=True) if hydra else quickly(*paths, *overrides)

    return composed


@pytest.fixture(scope="session")
def setups():
    """The paper's networks at 224 x 224 with their work, counted once for all tests."""
    from titan_repro.boards.paper_model import paper_setups

    return paper_setups()
