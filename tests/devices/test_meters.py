"""Meters against processes and /proc trees whose numbers are known."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from titan_repro.devices.meters import (
    MemoryMeter,
    ProcessorMeter,
    Reading,
    Sampler,
    WallMeter,
    process_tree,
)

MB = 10**6


def test_readings_say_what_was_not_measured():
    known, unknown = Reading("energy", "board", 2.5, "J"), Reading("energy", "board", None, "J")
    assert (known.record, unknown.record) == (2.5, "not measured")
    assert str(known) == "energy (board): 2.5 J"
    assert str(unknown) == "energy (board): not measured"


def test_wall_time():
    meter = WallMeter()
    for _ in range(2):  # a meter may be used again
        meter.start()
        time.sleep(0.05)
        (reading,) = meter.stop()
        assert 0.05 <= reading.value < 5
        assert reading.unit == "s"


def test_processor_time_is_not_wall_time():
    meter = ProcessorMeter()
    meter.start()
    time.sleep(0.2)
    (reading,) = meter.stop()
    assert 0 <= reading.value < 0.15


def test_processor_time_of_children_that_ended_counts():
    meter = ProcessorMeter()
    meter.start()
    spin = "import time; t = time.process_time()\nwhile time.process_time() - t < 0.3: pass"
    subprocess.run([sys.executable, "-S", "-c", spin], check=True)
    (reading,) = meter.stop()
    assert reading.value >= 0.28


def test_processor_time_of_a_process_that_is_gone():
    child = subprocess.Popen([sys.executable, "-S", "-c", ""])
    child.wait()
    meter = ProcessorMeter(child.pid)
    meter.start()
    assert meter.stop()[0].value == 0.0


def test_the_tree_of_processes():
    child = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert set(process_tree()) >= {os.getpid(), child.pid}
        assert process_tree(child.pid) == [child.pid]
    finally:
        child.communicate(b"\n")
    assert process_tree(child.pid) == []


def replace(file: Path, text: str) -> None:
    """Write so that nobody sees a half-written file, as the kernel never shows one."""
    partial = file.parent.parent / f".{file.name}"
    partial.write_text(text)
    partial.rename(file)


class FakeProc:
    """A folder that looks like /proc to a meter."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, pid: int, peak_kb: int, pss_kb: int | None) -> None:
        process = self.folder / str(pid)
        process.mkdir(exist_ok=True)
        status = f"Name:\tpython\nVmPeak:\t  999999 kB\nVmHWM:\t  {peak_kb} kB\nVmRSS:\t  1 kB\n"
        replace(process / "status", status)
        if pss_kb is not None:
            lines = f"00-ff ---p 00000000 00:00 0 [rollup]\nRss:  7 kB\nPss:  {pss_kb} kB\n"
            replace(process / "smaps_rollup", lines + "Pss_Dirty:  3 kB\n")

    def end(self, pid: int) -> None:
        for file in (self.folder / str(pid)).iterdir():
            file.unlink()
        (self.folder / str(pid)).rmdir()

    def pids(self) -> list[int]:
        return sorted(int(entry.name) for entry in self.folder.glob("[0-9]*"))


@pytest.fixture
def proc(tmp_path):
    return FakeProc(tmp_path)


def by_scope(readings):
    return {reading.scope: reading.value for reading in readings}


def test_shared_pages_count_once_in_the_tree(proc):
    """Three processes of 500 MB each, of which 400 MB are one and the same shared memory."""
    for pid in (1, 2, 3):
        proc.put(pid, peak_kb=500_000, pss_kb=100_000 + 400_000 // 3)
    meter = MemoryMeter(proc.pids, proc.folder, interval=60)
    meter.start()
    readings = by_scope(meter.stop())
    assert readings["process tree"] == pytest.approx(700 * 1.024, rel=1e-5)
    assert readings["process 1"] == readings["process 3"] == 512.0


def test_peaks_are_kept_when_memory_falls_or_a_process_ends(proc):
    proc.put(1, peak_kb=100, pss_kb=100)
    proc.put(2, peak_kb=5000, pss_kb=4000)
    meter = MemoryMeter(proc.pids, proc.folder, interval=60)
    meter.start()
    proc.end(2)
    proc.put(1, peak_kb=300, pss_kb=50)
    readings = by_scope(meter.stop())
    assert readings["process tree"] == pytest.approx(4100 * 1024 / MB)
    assert readings["process 1"] == pytest.approx(300 * 1024 / MB)
    assert readings["process 2"] == pytest.approx(5000 * 1024 / MB)


def test_without_proportional_sizes_the_tree_is_not_measured(proc):
    proc.put(1, peak_kb=100, pss_kb=100)
    proc.put(2, peak_kb=100, pss_kb=None)
    meter = MemoryMeter(proc.pids, proc.folder, interval=60)
    meter.start()
    tree, one, two = meter.stop()
    assert tree.record == "not measured"
    assert one.value == two.value == pytest.approx(0.1024)


def test_a_process_that_ends_while_it_is_looked_at_is_left_out(proc):
    proc.put(1, peak_kb=100, pss_kb=100)
    meter = MemoryMeter(lambda: [1, 99], proc.folder, interval=60)
    meter.start()
    readings = by_scope(meter.stop())
    assert set(readings) == {"process tree", "process 1"}
    assert readings["process tree"] == pytest.approx(0.1024)


def test_memory_is_looked_at_meanwhile(proc):
    proc.put(1, peak_kb=100, pss_kb=100)
    meter = MemoryMeter(proc.pids, proc.folder, interval=0.005)
    meter.start()
    proc.put(1, peak_kb=100, pss_kb=900)
    time.sleep(0.2)
    proc.put(1, peak_kb=100, pss_kb=100)
    assert by_scope(meter.stop())["process tree"] == pytest.approx(900 * 1024 / MB)


@pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="this kernel has no smaps_rollup"
)
def test_memory_of_real_processes():
    taker = "x = b'1' * 60_000_000; print('full', flush=True); input()"
    meter = MemoryMeter(interval=60)
    with subprocess.Popen(
        [sys.executable, "-S", "-c", taker], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        meter.start()
        readings = by_scope(meter.stop())
        child.communicate(b"\n")
    assert 60 <= readings[f"process {child.pid}"] < 200
    assert readings["process tree"] >= 60


def test_a_meter_may_be_read_before_it_is_stopped(proc):
    proc.put(1, peak_kb=100, pss_kb=100)
    meter = MemoryMeter(proc.pids, proc.folder, interval=60)
    meter.start()
    proc.put(1, peak_kb=900, pss_kb=800)
    assert by_scope(meter.read())["process tree"] == pytest.approx(800 * 1024 / MB)
    proc.put(1, peak_kb=900, pss_kb=100)
    assert by_scope(meter.stop())["process tree"] == pytest.approx(800 * 1024 / MB)


def test_memory_of_nobody_is_not_measured(proc):
    meter = MemoryMeter(proc.pids, proc.folder, interval=60)
    meter.start()
    assert [reading.record for reading in meter.stop()] == ["not measured"]


def test_a_sampler_looks_first_and_last():
    seen = []
    sampler = Sampler(lambda: seen.append(1), interval=60)
    sampler.start()
    assert len(seen) == 1
    sampler.stop()
    assert len(seen) == 2
    with pytest.raises(RuntimeError, match="had not been started"):
        sampler.stop()
