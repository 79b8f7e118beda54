"""Energy, where a machine can tell: jtop on a Jetson, NVML on NVIDIA GPUs, powercap on x86.

Each counts something else, so they are never added up; every reading says of what it is.
"""

import importlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from titan_repro.devices.meters import Meter, Reading, SampledMeter, Sampler

INTERVAL = 0.5
"""Seconds between two looks at a sensor."""

Read = Callable[[], float | None]
"""Reads a sensor; None if it cannot be read now."""


def energy_meters(powercap: Path = Path("/sys/class/powercap")) -> list[Meter]:
    """Return the meters of this machine's sensors, or the one that says "not measured"."""
    return [*jtop_meters(), *nvml_meters(), *powercap_meters(powercap)] or [NoEnergyMeter()]


class NoEnergyMeter:
    """For machines without a sensor."""

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> list[Reading]:
        """Return that nothing was measured."""
        return self.read()

    def read(self) -> list[Reading]:
        """Return that nothing was measured."""
        return [Reading("energy", "no sensor", None, "J")]


class SensorMeter(SampledMeter):
    """Energy from one sensor, looked at every `interval` seconds.

    begin: starts the looking; the iterator gives the joules since the look before, None where it
        failed. One failure, and the whole is not measured.
    """

    def __init__(
        self,
        scope: str,
        begin: Callable[[], Iterator[float | None]],
        interval: float = INTERVAL,
    ) -> None:
        self._scope = scope
        self._begin = begin
        self._sampler = Sampler(self._look, interval)

    def start(self) -> None:
        """Begin."""
        self._steps = self._begin()
        self._joules: float | None = 0.0
        self._sampler.start()

    def _readings(self) -> list[Reading]:
        """Return the joules since `start`."""
        return [Reading("energy", self._scope, self._joules, "J")]

    def _look(self) -> None:
        step = next(self._steps)
        self._joules = None if step is None or self._joules is None else self._joules + step


def counted(read: Read, limit: float | None = None) -> Iterator[float | None]:
    """Yield the growth of a counter of joules, which starts over at `limit` if there is one."""
    last = None
    while True:
        now = read()
        if now is None or last is None:
            step = None if now is None else 0.0
        elif now >= last:
            step = now - last
        else:
            step = None if limit is None else now - last + limit
        yield step
        last = now


def integrated(
    read: Read, clock: Callable[[], float] = time.perf_counter
) -> Iterator[float | None]:
    """Yield the integral of a sensor of watts, by the trapezoidal rule."""
    then, before = clock(), read()
    yield None if before is None else 0.0
    while True:
        now, watts = clock(), read()
        yield None if watts is None or before is None else (now - then) * (watts + before) / 2
        then, before = now, watts


def powercap_meters(root: Path) -> list[Meter]:
    """Return a meter of every processor package that the kernel counts (RAPL).

    Only packages: their parts (cores, memory controller) are already in them. None where only the
    administrator may read them.
    """
    meters: list[Meter] = []
    for zone in sorted(root.glob("intel-rapl:*")):
        name = _text(zone / "name") or ""
        read = partial(_joules, zone / "energy_uj")
        if zone.name.count(":") == 1 and name.startswith("package") and read() is not None:
            limit = _joules(zone / "max_energy_range_uj")
            meters.append(SensorMeter(f"powercap {name}", partial(counted, read, limit)))
    return meters


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        return None


def _joules(file: Path) -> float | None:
    text = _text(file)
    return None if text is None else int(text) / 1e6


def nvml_meters() -> list[Meter]:
    """Return a meter of every NVIDIA GPU; none without the package nvidia-ml-py (pynvml)."""
    nvml = _module("pynvml")
    if nvml is None:
        return []
    try:
        nvml.nvmlInit()
        handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError:  # no driver
        return []
    meters = [_gpu_meter(nvml, f"NVML GPU {i}", handle) for i, handle in enumerate(handles)]
    return [meter for meter in meters if meter is not None]


def _gpu_meter(nvml: Any, scope: str, handle: Any) -> Meter | None:
    """Return a meter of the GPU's own counter, before Volta of its power, if it tells either."""

    def read(name: str) -> float | None:
        try:
            return float(getattr(nvml, name)(handle)) / 1e3  # mJ or mW
        except nvml.NVMLError:
            return None

    energy = partial(read, "nvmlDeviceGetTotalEnergyConsumption")
    power = partial(read, "nvmlDeviceGetPowerUsage")
    if energy() is not None:
        return SensorMeter(scope, partial(counted, energy))
    return None if power() is None else SensorMeter(scope, partial(integrated, power))


def jtop_meters() -> list[Meter]:
    """Return a meter of a Jetson's input power; none without jtop and its service."""
    jtop = _module("jtop")
    if jtop is None:
        return []
    try:
        board = _open(jtop)
    except (jtop.JtopException, OSError):
        return []
    board.close()
    return [JtopMeter(jtop)]


class JtopMeter:
    """Energy of a whole Jetson board, from the power that jtop says it takes in."""

    def __init__(self, jtop: Any, interval: float = INTERVAL) -> None:
        self._jtop = jtop
        self._interval = interval

    def start(self) -> None:
        """Begin."""
        self._board = _open(self._jtop)
        read = partial(_board_watts, self._board)
        self._meter = SensorMeter("jtop board input", partial(integrated, read), self._interval)
        self._meter.start()

    def stop(self) -> list[Reading]:
        """Return the joules since `start`."""
        readings = self._meter.stop()
        self._board.close()
        return readings

    def read(self) -> list[Reading]:
        """Return the joules since `start`, and go on."""
        return self._meter.read()


def _open(jtop: Any) -> Any:
    board = jtop.jtop()
    board.start()
    board.ok()  # waits for the first numbers
    return board


def _board_watts(board: Any) -> float | None:
    try:
        return float(board.power["tot"]["power"]) / 1e3  # mW
    except (KeyError, TypeError):
        return None


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
