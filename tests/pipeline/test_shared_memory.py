"""Shared memory and what is built on it: strides kept, nothing leaked, other processes see it."""

import gc
import io
import os
import resource
import shutil
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import nn

from titan_repro.errors import ConfigurationError, PipelineError
from titan_repro.models.base import BlockNetwork
from titan_repro.models.small_cnn import small_cnn
from titan_repro.pipeline.messages import Channel, receive_packed, send_packed
from titan_repro.pipeline.processes import share_task
from titan_repro.pipeline.shared_memory import (
    ALIGNMENT,
    SharedBuffer,
    allocate,
    area_of,
    shared_copies,
)
from titan_repro.pipeline.shared_weights import SharedNetwork
from titan_repro.tasks.base import Split, Task

TENSORS = [
    torch.randn(3, 4, 5, 6).to(memory_format=torch.channels_last),
    torch.arange(3),
    torch.tensor(True),
    torch.zeros(0, 3),
    torch.randn(4, 3).T,
]


def handed_over(value):
    """Send a value through a line and return it as another process would get it."""
    ends = socket.socketpair()
    here, there = (Channel("the other end", end) for end in ends)

    def send():
        try:
            send_packed(here, value)
        finally:
            here.close()

    sender = threading.Thread(target=send)
    sender.start()
    received = receive_packed(there)
    sender.join()
    there.close()
    return received


def maps():
    return Path("/proc/self/maps").read_text().splitlines()


def resources():
    """Return how many descriptors and mappings of shared memory this process has."""
    gc.collect()
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    return descriptors, sum("memfd:titan" in line for line in maps())


def test_copies_keep_values_strides_and_alignment():
    for copy, tensor in zip(shared_copies("test", TENSORS), TENSORS, strict=True):
        assert torch.equal(copy, tensor)
        assert copy.stride() == tensor.stride()
        assert copy.data_ptr() % ALIGNMENT == 0
        assert area_of(copy) is not None
    assert area_of(TENSORS[0]) is None


def test_memory_and_descriptors_are_given_back_with_the_last_tensor():
    before = resources()
    copies = shared_copies("test", TENSORS)
    taken = resources()
    assert taken[1] == before[1] + 1
    last = copies[1][1:]
    del copies
    assert resources() == taken
    del last
    assert resources() == before


def test_nothing_is_ever_in_dev_shm():
    def mapped():
        """Other tests of this process may have put semaphores there."""
        return [line for line in maps() if "/dev/shm" in line]

    before = mapped()
    copies = shared_copies("test", TENSORS)
    assert mapped() == before
    assert copies


@contextmanager
def no_file_above(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_too_little_memory_is_one_line_and_leaks_nothing():
    """Shared memory is a file to the kernel, so a limit on files stands in for its end."""
    before = resources()
    with (
        no_file_above(2**20),
        pytest.raises(
            PipelineError, match=r"^executor=processes: no 2\.0 MB of .* for the weights"
        ),
    ):
        allocate("weights", 2**21)
    assert resources() == before


FULL_DEV_SHM = """
mount -t tmpfs -o size=4k none /dev/shm || exit 77
head -c 4096 /dev/zero > /dev/shm/full
! head -c 1 /dev/zero > /dev/shm/more || exit 77
exec "$@"
"""


@pytest.mark.slow
def test_a_run_does_not_mind_a_full_dev_shm(tmp_path):
    if shutil.which("unshare") is None:
        pytest.skip("no unshare here")
    run = [sys.executable, "-m", "titan_repro.cli.run", "executor=processes", "device.cores=null"]
    done = subprocess.run(
        [
            "unshare",
            "-rm",
            "sh",
            "-c",
            FULL_DEV_SHM,
            "sh",
            *run,
            "rounds=3",
            f"paths.runs={tmp_path}",
        ],
        capture_output=True,
        text=True,
    )
    if done.returncode in (1, 77) and "titan-run" not in done.stderr:
        pytest.skip(f"no mount namespaces here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert "finished, 3 of 3 rounds" in done.stdout


def test_shared_tensors_are_handed_over_in_place_and_others_by_value():
    (shared,), own = shared_copies("test", [torch.zeros(3)]), torch.zeros(3)
    there = handed_over({"shared": shared, "row": shared[1:], "own": own})
    shared[1] = 5
    own[1] = 5
    assert there["shared"].tolist() == [0, 5, 0]
    assert there["row"].tolist() == [5, 0]
    assert there["own"].tolist() == [0, 0, 0]
    assert there["shared"].data_ptr() != shared.data_ptr()  # mapped a second time


def test_handing_over_leaks_nothing():
    before = resources()
    for _ in range(3):
        handed_over(shared_copies("test", TENSORS))
    assert resources() == before


def shared_zeros_of_many_areas():
    return [allocate("weights", 64) for _ in range(4)]


def test_too_few_open_files_are_named_where_memory_is_made_and_where_it_is_received():
    copies = [shared_copies("test", TENSORS) for _ in range(4)]
    here, there = (Channel("the other end", end) for end in socket.socketpair())
    send_packed(here, copies)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open("/dev/null", os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 2, hard))
    try:
        with pytest.raises(PipelineError, match=rf"a limit of {free + 2} open files \(ulimit -n\)"):
            receive_packed(there)
        with pytest.raises(PipelineError, match=rf"a limit of {free + 2} open files \(ulimit -n\)"):
            shared_zeros_of_many_areas()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        here.close()
        there.close()


def test_what_cannot_be_pickled_is_refused():
    line, _other = socket.socketpair()
    with pytest.raises(
        ConfigurationError, match=r"^executor=processes: selector, stream and model"
    ):
        send_packed(Channel("nobody", line), lambda: None)


def make_task():
    train = Split(
        torch.arange(6).float().view(3, 2), torch.tensor([0, 1, 0]), torch.tensor([4, 5, 4])
    )
    test = Split(torch.ones(1000, 2), torch.zeros(1000, dtype=torch.int64))
    return Task("t", "t", ("a", "b"), train, test, torch.zeros(1), torch.ones(1), "f")


def test_a_task_shares_its_training_part_and_leaves_its_test_part_at_home():
    task = share_task(make_task())
    assert share_task(task) is task
    there = handed_over(task)
    for name in ("inputs", "labels", "user_ids"):
        assert torch.equal(getattr(there.train, name), getattr(make_task().train, name))
        assert area_of(getattr(there.train, name)) is not None
    assert len(there.test) == 0
    assert there.test.inputs.untyped_storage().nbytes() == 0
    assert there.input_shape == (2,)
    assert len(task.test) == 1000


def test_a_buffer_takes_what_fits_with_any_strides():
    buffer = SharedBuffer("test", {"a": 4 * 3 * 4, "b": 8})
    sent = {"a": torch.randn(3, 4).T, "b": torch.tensor([7])}
    layout = buffer.write(**sent)
    taken = handed_over(buffer).read(layout)
    for name, tensor in sent.items():
        assert torch.equal(taken[name], tensor)
        assert taken[name].stride() == tensor.stride()
    seen = buffer.view(layout)["a"]
    elsewhere = buffer.view(layout, torch.device("cpu", 0))["a"]  # not the host to the pipeline
    later = buffer.write(a=torch.zeros(1, 2, dtype=torch.float64))
    assert torch.equal(elsewhere, sent["a"])
    assert not torch.equal(seen, sent["a"])
    assert buffer.read(later)["a"].tolist() == [[0, 0]]
    assert torch.equal(taken["a"], sent["a"])  # a copy: what is put later does not reach it


def test_a_buffer_takes_tensors_that_are_views_with_holes():
    buffer = SharedBuffer("test", {"a": 4 * 6})
    holes, spread = torch.arange(12.0).view(2, 6)[:, ::2], torch.tensor([1.0]).expand(6)
    assert torch.equal(buffer.read(buffer.write(a=holes))["a"], holes)
    assert torch.equal(buffer.read(buffer.write(a=spread))["a"], spread)


def test_a_buffer_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="inputs has 16 bytes, more than the 12"):
        SharedBuffer("test", {"inputs": 12}).write(inputs=torch.zeros(4))


def step(network):
    network.train()
    network(torch.randn(4, 1, 8, 8)).sum().backward()
    torch.optim.SGD(network.parameters(), lr=0.1).step()


def test_readers_see_weights_at_once_and_statistics_when_published():
    network = small_cnn((1, 8, 8), 10, norm="batch")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    shared = SharedNetwork(network)
    reader = handed_over(shared.reader)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
        assert value.stride() == before[name].stride()
    step(network)
    for name, value in reader.named_parameters():
        assert torch.equal(value, network.get_parameter(name))
        assert not torch.equal(value, before[name])
    for name, value in reader.named_buffers():
        assert torch.equal(value, before[name])
    shared.publish()
    for name, value in reader.named_buffers():
        assert torch.equal(value, network.get_buffer(name))
    assert reader.blocks[0][1].num_batches_tracked == 1


def test_a_network_in_shared_memory_can_be_saved_and_loaded():
    network = small_cnn((1, 8, 8), 10, norm="batch")
    SharedNetwork(network)
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    other = small_cnn((1, 8, 8), 10, norm="batch")
    SharedNetwork(other)
    other.load_state_dict(torch.load(file, weights_only=True))
    for name, value in other.state_dict().items():
        assert torch.equal(value, network.state_dict()[name])
        assert area_of(value) is not None or name in dict(other.named_buffers())


def test_tied_weights_stay_tied():
    linear = nn.Linear(4, 4)
    network = BlockNetwork(nn.Sequential(linear, linear), nn.Identity(), nn.Linear(4, 2))
    reader = handed_over(SharedNetwork(network).reader)
    assert network.blocks[0].weight is network.blocks[1].weight
    assert reader.blocks[0].weight is reader.blocks[1].weight
