"""What a run has really used up so far, over all the processes that it went on in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Any

from titan_repro.devices.energy import energy_meters
from titan_repro.devices.meters import NOT_MEASURED, MemoryMeter, Meter, ProcessorMeter, Reading

INTERVAL = 10.0
"""Seconds between two looks at memory: one costs the kernel some 15 ms a process, and memory is
where it stays after a few rounds."""


@dataclass(frozen=True)
class Usage:
    """None stands for what was not measured.

    processor_seconds: of all processes together.
    memory_mb: peak of all processes together, shared pages once.
    memory_each_mb: peak of each process since it began, by its name.
    joules: by sensor.
    """

    processor_seconds: float | None
    memory_mb: float | None
    memory_each_mb: Mapping[str, float]
    joules: Mapping[str, float | None]

    def after(self, before: "Usage") -> "Usage":
        """Return the usage of a run that used `before` until it was stopped, and this since."""
        here, there = self.memory_each_mb, before.memory_each_mb
        return Usage(
            _sum(before.processor_seconds, self.processor_seconds),
            _most(before.memory_mb, self.memory_mb),
            {name: max(here.get(name, 0.0), there.get(name, 0.0)) for name in {**there, **here}},
            {
                sensor: _sum(before.joules.get(sensor), self.joules.get(sensor))
                for sensor in {**before.joules, **self.joules}
            },
        )

    def record(self) -> dict[str, Any]:
        """Return it as summary.json has it, with "not measured" in words."""
        known = any(joules is not None for joules in self.joules.values())
        energy = {sensor: _word(joules) for sensor, joules in self.joules.items()}
        return {
            "measured_processor_seconds": _word(self.processor_seconds),
            "measured_memory_mb": _word(self.memory_mb),
            "measured_memory_each_mb": dict(self.memory_each_mb) or NOT_MEASURED,
            "measured_joules": energy if known else NOT_MEASURED,
        }

    def state(self) -> dict[str, Any]:
        """Return it as checkpoints hold it."""
        return {
            **vars(self),
            "memory_each_mb": dict(self.memory_each_mb),
            "joules": dict(self.joules),
        }


UNKNOWN = Usage(None, None, {}, {})
"""Of a run that was begun without these meters."""


def _sum(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a + b


def _most(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else max(a, b)


def _word(value: float | None) -> float | str:
    return NOT_MEASURED if value is None else value


class UsageMeters:
    """The meters of a run: a context manager around its rounds.

    processes: ids of the run's processes by name; the first is this one, the others its children.
    """

    def __init__(self, processes: Mapping[str, int]) -> None:
        self._names = {f"process {pid}": name for name, pid in processes.items()}
        self._processor = ProcessorMeter()
        self._memory = MemoryMeter(processes.values, interval=INTERVAL)
        self._energy = energy_meters()
        self._running: list[Meter] = []
        self._known: tuple[float, Usage] | None = None  # when it was read, and what

    def __enter__(self) -> "UsageMeters":
        """Begin."""
        self._known = None
        meters: list[Meter] = [self._processor, self._memory, *self._energy]
        for meter in meters:
            meter.start()
            self._running.append(meter)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every meter that was begun."""
        while self._running:
            self._running.pop().stop()

    def so_far(self, age: float = 0.0) -> Usage:
        """Return what was used since the beginning, as of now or of at most `age` seconds ago."""
        now = monotonic()
        if self._known is None or now - self._known[0] >= age:
            self._known = (now, self._read())
        return self._known[1]

    def _read(self) -> Usage:
        whole, *each = self._memory.read()
        known = {reading.scope: reading.value for reading in each if reading.value is not None}
        return Usage(
            processor_seconds=self._processor.read()[0].value,
            memory_mb=whole.value,
            memory_each_mb={
                name: known[scope] for scope, name in self._names.items() if scope in known
            },
            joules=_joules(reading for meter in self._energy for reading in meter.read()),
        )


def _joules(readings: Iterable[Reading]) -> dict[str, float | None]:
    return {reading.scope: reading.value for reading in readings}
