"""Energy meters against sensors whose every value is known."""

import sys
from types import SimpleNamespace

import pytest

from titan_repro.devices.energy import (
    SensorMeter,
    counted,
    energy_meters,
    integrated,
    jtop_meters,
    nvml_meters,
    powercap_meters,
)


def steps(iterator, number):
    return [next(iterator) for _ in range(number)]


def sensor(*values):
    remaining = iter(values)
    return lambda: next(remaining)


def test_a_counter_of_joules():
    assert steps(counted(sensor(100.0, 103.0, 103.0, 110.0)), 4) == [0.0, 3.0, 0.0, 7.0]


def test_a_counter_that_starts_over_at_its_limit():
    assert steps(counted(sensor(90.0, 98.0, 5.0, 6.0), limit=100.0), 4) == [0.0, 8.0, 7.0, 1.0]


def test_a_counter_that_falls_without_a_limit_is_not_trusted():
    assert steps(counted(sensor(90.0, 5.0)), 2) == [0.0, None]


def test_a_power_sensor_is_integrated_over_time():
    """2 W for 3 s, then rising to 6 W over 2 s: 6 + 8 joules."""
    looks = integrated(sensor(2.0, 2.0, 6.0), clock=sensor(10.0, 13.0, 15.0))
    assert steps(looks, 3) == [0.0, 6.0, 8.0]


def test_one_failed_look_makes_the_whole_unmeasured():
    looks = integrated(sensor(2.0, None, 2.0, 2.0), clock=sensor(0.0, 1.0, 2.0, 3.0))
    assert steps(looks, 4) == [0.0, None, None, 2.0]
    meter = SensorMeter("board", lambda: counted(sensor(1.0, None)), interval=60)
    meter.start()
    assert meter.stop()[0].record == "not measured"


def test_a_meter_may_be_read_on_the_way():
    values = iter([10.0, 14.0, 20.0])
    meter = SensorMeter("board", lambda: counted(lambda: next(values)), interval=60)
    meter.start()
    assert [meter.read()[0].value, meter.stop()[0].value] == [4.0, 10.0]


def test_a_meter_adds_up_and_may_be_used_again():
    values = iter([10.0, 14.0, 20.0, 25.0])
    meter = SensorMeter("board", lambda: counted(lambda: next(values)), interval=60)
    for joules in (4.0, 5.0):
        meter.start()
        (reading,) = meter.stop()
        assert (reading.quantity, reading.scope, reading.record) == ("energy", "board", joules)


@pytest.fixture
def powercap(tmp_path):
    """Two packages with a part each, and a zone of another kind."""

    def zone(name, label, microjoules, limit=262_143_000_000):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "name").write_text(f"{label}\n")
        (folder / "energy_uj").write_text(f"{microjoules}\n")
        (folder / "max_energy_range_uj").write_text(f"{limit}\n")
        return folder

    zone("intel-rapl:0", "package-0", 5_000_000)
    zone("intel-rapl:0:0", "core", 4_000_000)
    zone("intel-rapl:1", "package-1", 9_000_000, limit=10_000_000)
    zone("intel-rapl:2", "psys", 1_000_000)
    return tmp_path


def test_powercap_counts_packages_and_not_their_parts(powercap):
    meters = powercap_meters(powercap)
    for meter in meters:
        meter.start()
    (powercap / "intel-rapl:0" / "energy_uj").write_text("7500000\n")
    (powercap / "intel-rapl:1" / "energy_uj").write_text("2000000\n")  # over its limit once
    readings = [reading for meter in meters for reading in meter.stop()]
    assert [r.scope for r in readings] == ["powercap package-0", "powercap package-1"]
    assert [r.value for r in readings] == [pytest.approx(2.5), pytest.approx(3.0)]


def test_powercap_for_the_administrator_only_is_no_sensor(powercap, monkeypatch):
    for zone in powercap.iterdir():
        (zone / "energy_uj").unlink()  # as unreadable as with mode 400, also to root
    assert powercap_meters(powercap) == []


def test_powercap_that_is_not_there(tmp_path):
    assert powercap_meters(tmp_path / "powercap") == []


class NVMLError(Exception):
    pass


def refuse(*arguments):
    raise NVMLError


def fake_nvml(init=lambda: None):
    """pynvml with two GPUs: one has a counter of energy, the other, older, only its power."""
    millijoules = iter([1000, 1000, 4500])
    return SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=init,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetTotalEnergyConsumption=lambda gpu: refuse() if gpu else next(millijoules),
        nvmlDeviceGetPowerUsage=lambda gpu: 0 if gpu else 70_000,
    )


def test_nvml_reads_the_counter_or_else_the_power(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml())
    readings = []
    for meter in nvml_meters():
        meter.start()
        readings += meter.stop()
    assert [reading.scope for reading in readings] == ["NVML GPU 0", "NVML GPU 1"]
    assert [reading.value for reading in readings] == [3.5, 0.0]


def test_nvml_without_a_driver_or_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(refuse))
    assert nvml_meters() == []
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert nvml_meters() == []


class FakeBoard:
    def __init__(self, log):
        self.log = log
        self.power = {"tot": {"power": 8700}, "rail": {}}

    def start(self):
        self.log.append("start")

    def ok(self):
        return True

    def close(self):
        self.log.append("close")


def fake_jtop(log, start=FakeBoard.start):
    exception = type("JtopException", (Exception,), {})
    board = type("Board", (FakeBoard,), {"start": start})
    return SimpleNamespace(jtop=lambda: board(log), JtopException=exception)


def test_jtop_reads_the_boards_input_and_lets_go_of_it(monkeypatch):
    log = []
    monkeypatch.setitem(sys.modules, "jtop", fake_jtop(log))
    (meter,) = jtop_meters()
    assert log == ["start", "close"]
    meter.start()
    (reading,) = meter.stop()
    assert log == ["start", "close"] * 2
    assert reading.scope == "jtop board input"
    assert 0 < reading.value < 8.7  # 8.7 W for far less than a second


def test_jtop_without_its_service_or_with_another_answer(monkeypatch):
    def refused(board):
        raise jtop.JtopException

    jtop = fake_jtop([], refused)
    monkeypatch.setitem(sys.modules, "jtop", jtop)
    assert jtop_meters() == []

    def silent(board):
        board.power = {}

    monkeypatch.setitem(sys.modules, "jtop", fake_jtop([], silent))
    (meter,) = jtop_meters()
    meter.start()
    assert meter.stop()[0].record == "not measured"


def test_a_machine_without_sensors_says_so(monkeypatch, tmp_path):
    for name in ("jtop", "pynvml"):
        monkeypatch.setitem(sys.modules, name, None)
    (meter,) = energy_meters(tmp_path)
    meter.start()
    (reading,) = meter.stop()
    assert reading.value is None
    assert reading.record == "not measured"


def test_all_sensors_are_read_side_by_side(monkeypatch, powercap):
    monkeypatch.setitem(sys.modules, "jtop", fake_jtop([]))
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml())
    scopes = []
    for meter in energy_meters(powercap):
        meter.start()
        scopes += [reading.scope for reading in meter.stop()]
    assert scopes == [
        "jtop board input",
        "NVML GPU 0",
        "NVML GPU 1",
        "powercap package-0",
        "powercap package-1",
    ]
