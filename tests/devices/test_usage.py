"""Usage over several processes of one run: sums, maxima, and what is not known."""

import os
import subprocess

import pytest

from titan_repro.devices.meters import Reading
from titan_repro.devices.usage import UNKNOWN, Usage, UsageMeters


def test_times_and_energies_add_up_and_peaks_are_the_highest():
    before = Usage(10.0, 500.0, {"training": 300.0, "filter": 200.0}, {"board": 7.0})
    now = Usage(5.0, 400.0, {"training": 350.0, "filter": 100.0}, {"board": 1.0})
    assert now.after(before) == Usage(
        15.0, 500.0, {"training": 350.0, "filter": 200.0}, {"board": 8.0}
    )


def test_a_run_continued_with_another_executor_keeps_all_processes():
    before = Usage(1.0, 1.0, {"the process": 300.0}, {})
    now = Usage(1.0, 1.0, {"training": 350.0}, {})
    assert now.after(before).memory_each_mb == {"the process": 300.0, "training": 350.0}


@pytest.mark.parametrize(
    "before",
    [UNKNOWN, Usage(None, None, {}, {"other": 3.0}), Usage(None, None, {}, {"board": None})],
    ids=["without meters", "another sensor", "a sensor that failed"],
)
def test_half_a_sum_is_no_sum(before):
    record = Usage(5.0, 400.0, {"training": 350.0}, {"board": 1.0}).after(before).record()
    assert record == {
        "measured_processor_seconds": "not measured",
        "measured_memory_mb": "not measured",
        "measured_memory_each_mb": {"training": 350.0},
        "measured_joules": "not measured",
    }


def test_one_sensor_may_be_known_and_another_not():
    usage = Usage(5.0, 400.0, {}, {"board": 1.0, "GPU": None})
    assert usage.record()["measured_joules"] == {"board": 1.0, "GPU": "not measured"}
    assert Usage(**usage.state()) == usage


def test_processes_come_in_their_own_order_whatever_their_ids():
    child = subprocess.Popen(["sleep", "60"])
    try:
        with UsageMeters(
            {"first": max(child.pid, os.getpid()), "second": min(child.pid, os.getpid())}
        ) as m:
            assert list(m.so_far().memory_each_mb) == ["first", "second"]
    finally:
        child.kill()
        child.wait()


class FakeSensor:
    """Counts a joule a reading and knows whether it runs."""

    def __init__(self):
        self.joules = 0.0
        self.running = False

    def start(self):
        self.running = True

    def read(self):
        self.joules += 1
        return [Reading("energy", "fake", self.joules, "J")]

    def stop(self):
        self.running = False
        return self.read()


def measure_and_fail(sensor):
    with UsageMeters({"the process": os.getpid()}) as meters:
        assert sensor.running
        usage = meters.so_far()
        assert usage.joules == {"fake": 1.0}
        assert usage.processor_seconds >= 0
        assert usage.memory_each_mb["the process"] > 10
        raise ZeroDivisionError


def test_meters_run_while_the_run_does_even_if_it_fails(monkeypatch):
    sensor = FakeSensor()
    monkeypatch.setattr("titan_repro.devices.usage.energy_meters", lambda: [sensor])
    with pytest.raises(ZeroDivisionError):
        measure_and_fail(sensor)
    assert not sensor.running


def test_what_was_read_is_good_for_as_long_as_one_says(monkeypatch):
    monkeypatch.setattr("titan_repro.devices.usage.energy_meters", lambda: [FakeSensor()])
    now = 100.0
    monkeypatch.setattr("titan_repro.devices.usage.monotonic", lambda: now)
    meters = UsageMeters({"the process": os.getpid()})
    with meters:
        first = meters.so_far(age=0.2)
        assert first.joules == {"fake": 1.0}
        now += 0.1
        assert meters.so_far(age=0.2) == first
        now += 0.15
        assert meters.so_far(age=0.2).joules == {"fake": 2.0}
        assert [meters.so_far().joules["fake"] for _ in range(2)] == [3.0, 4.0]
        assert meters.so_far(age=0.2).joules == {"fake": 4.0}
    with meters:  # begun anew, nothing is known of before
        assert meters.so_far(age=0.2).joules == {"fake": 6.0}
