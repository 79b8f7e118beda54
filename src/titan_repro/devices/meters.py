"""Meters of what this machine really spends: time, processor time, memory, energy.

A meter measures between `start` and `stop`. What this machine has no sensor for is "not measured":
never zero, never an assumed constant.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Reading:
    """What a meter read.

    quantity: "wall", "processor time", "memory" or "energy". scope: of what.
    value: in `unit` (s, MB or J); None if it could not be measured.
    """

    quantity: str
    scope: str
    value: float | None
    unit: str

    @property
    def record(self) -> float | str:
        """The value as records hold it: a number, or "not measured"."""
        return NOT_MEASURED if self.value is None else self.value

    def __str__(self) -> str:
        amount = NOT_MEASURED if self.value is None else f"{self.value:.4g} {self.unit}"
        return f"{self.quantity} ({self.scope}): {amount}"


class Meter(Protocol):
    """Measures between `start` and `stop`; may be started again afterwards."""

    def start(self) -> None:
        """Begin."""
        ...

    def read(self) -> list[Reading]:
        """Say what was measured so far, and go on."""
        ...

    def stop(self) -> list[Reading]:
        """End, and say what was measured."""
        ...


class WallMeter:
    """Time on the wall's clock."""

    def start(self) -> None:
        """Begin."""
        self._began = time.perf_counter()

    def stop(self) -> list[Reading]:
        """Return the seconds since `start`."""
        return self.read()

    def read(self) -> list[Reading]:
        """Return the seconds since `start`."""
        return [Reading("wall", "process", time.perf_counter() - self._began, "s")]


class ProcessorMeter:
    """Processor time of a process and of all its descendants, ended ones included.

    root: the process; this one by default. A descendant that ended without being waited for by its
    parent is lost.
    """

    def __init__(self, root: int | None = None) -> None:
        self._root = root

    def start(self) -> None:
        """Begin."""
        self._before = self._seconds()

    def stop(self) -> list[Reading]:
        """Return the seconds since `start`."""
        return self.read()

    def read(self) -> list[Reading]:
        """Return the seconds since `start`."""
        return [Reading("processor time", "process tree", self._seconds() - self._before, "s")]

    def _seconds(self) -> float:
        total = 0.0
        for pid in process_tree(self._root):
            with suppress(psutil.NoSuchProcess):
                times = psutil.Process(pid).cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total


def process_tree(root: int | None = None) -> list[int]:
    """Return the ids of a process, this one by default, and of its living descendants."""
    try:
        process = psutil.Process(root)
        return [process.pid, *(child.pid for child in process.children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


class Sampler:
    """Calls `look` at the start, every `interval` seconds in a thread, on demand and at the end.

    lock: held during every look; hold it to use what looks change.
    """

    def __init__(self, look: Callable[[], None], interval: float) -> None:
        self.lock = threading.RLock()
        self._look = look
        self._interval = interval
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._over.clear()
        self.look()
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look a last time and end the thread."""
        if self._thread is None:
            raise RuntimeError("a meter was stopped that had not been started")
        self._over.set()
        self._thread.join()
        self._thread = None
        self.look()

    def look(self) -> None:
        """Look now."""
        with self.lock:
            self._look()

    def _run(self) -> None:
        while not self._over.wait(self._interval):
            self.look()


class SampledMeter(ABC):
    """A meter that looks at what it measures again and again, from `start` on."""

    _sampler: Sampler

    def stop(self) -> list[Reading]:
        """End, and say what was measured."""
        self._sampler.stop()
        return self._readings()

    def read(self) -> list[Reading]:
        """Say what was measured so far, and go on."""
        with self._sampler.lock:
            self._sampler.look()
            return self._readings()

    @abstractmethod
    def _readings(self) -> list[Reading]:
        """Return what the looks so far have found."""


class MemoryMeter(SampledMeter):
    """Peak resident memory of each process of a tree, and of the tree as a whole.

    Of each process: the kernel's own peak since the process began (VmHWM), as last seen alive. Of
    the tree: the largest sum, over `interval` seconds, of proportional set sizes, which divide
    each shared page among those who share it, so that it counts once.

    tree: says which processes there are now. proc: where the kernel tells of them.
    """

    def __init__(
        self,
        tree: Callable[[], Iterable[int]] = process_tree,
        proc: Path = Path("/proc"),
        interval: float = 0.2,
    ) -> None:
        self._tree = tree
        self._proc = proc
        self._sampler = Sampler(self._look, interval)

    def start(self) -> None:
        """Begin."""
        self._peaks: dict[int, int] = {}
        self._tree_peak: int | None = 0
        self._sampler.start()

    def _readings(self) -> list[Reading]:
        """Return the peak of the tree, then those of its processes by id."""
        whole = self._tree_peak / 1e6 if self._tree_peak else None  # 0: no process was seen
        each = [
            Reading("memory", f"process {pid}", peak / 1e6, "MB")
            for pid, peak in sorted(self._peaks.items())
        ]
        return [Reading("memory", "process tree", whole, "MB"), *each]

    def _look(self) -> None:
        total = 0
        for pid in self._tree():
            folder = self._proc / str(pid)
            peak = _kilobytes(folder / "status", "VmHWM")
            if peak is None:
                continue  # it has ended
            self._peaks[pid] = max(peak, self._peaks.get(pid, 0))
            share = _kilobytes(folder / "smaps_rollup", "Pss")
            if share is not None:
                total += share
            elif _kilobytes(folder / "status", "VmHWM") is not None:
                self._tree_peak = None  # it lives, but this kernel does not tell, or not us
        if self._tree_peak is not None:
            self._tree_peak = max(self._tree_peak, total)


def _kilobytes(file: Path, name: str) -> int | None:
    """Return the entry `name` of a file in /proc in bytes, None if it is not to be had."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    return None
