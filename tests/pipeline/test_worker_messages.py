"""Lines between processes."""

import os
import signal
import socket
import threading
import time

import pytest

from titan_repro.pipeline.messages import Channel, Inbox, NoAnswer, PeerGone


@pytest.fixture
def line():
    ends = socket.socketpair()
    channels = [Channel(name, end) for name, end in zip(("right", "left"), ends, strict=True)]
    yield channels
    for channel in channels:
        channel.close()


def test_messages_come_whole_and_in_order(line):
    left, right = line
    left.send("first", 1)
    left.send("second", {"name": [1.5, None]})
    assert right.receive() == ("first", 1)
    assert right.receive() == ("second", {"name": [1.5, None]})


def test_a_message_larger_than_the_kernel_holds_comes_whole(line):
    left, right = line
    content = bytes(range(256)) * 20_000
    sender = threading.Thread(target=left.send, args=("large", content))
    sender.start()
    assert right.receive() == ("large", content)
    sender.join()


def test_the_end_of_the_other_is_noticed_by_whoever_waits_or_sends(line):
    left, right = line
    inbox = Inbox(right)
    threading.Timer(0.05, left.close).start()
    with pytest.raises(PeerGone, match="left"):
        inbox.next(10)
    with pytest.raises(PeerGone):
        right.receive()
    with pytest.raises(PeerGone):
        right.send("anyone?")
    with pytest.raises(PeerGone):
        right.send_descriptors([0])
    with pytest.raises(PeerGone):
        right.receive_descriptors(1)


def test_what_was_sent_before_the_end_is_still_received(line):
    left, right = line
    left.send("last words")
    left.close()
    assert Inbox(right).next(1)[1] == ("last words",)
    with pytest.raises(PeerGone):
        Inbox(right).next(1)


def test_an_inbox_says_who_sent_and_gives_up_in_time(line):
    left, right = line
    third, fourth = (Channel("x", end) for end in socket.socketpair())
    inbox = Inbox(right, fourth)
    third.send("hello")
    assert inbox.next(1) == (fourth, ("hello",))
    began = time.monotonic()
    with pytest.raises(NoAnswer):
        inbox.next(0.05)
    assert 0.04 < time.monotonic() - began < 1
    left.close()


def test_time_while_a_waiting_process_is_stopped_does_not_count(line):
    """As with Ctrl-Z and fg: nothing comes meanwhile, as the sender is stopped, too."""
    left, right = line
    if not (child := os.fork()):
        try:
            os._exit(0 if Inbox(right).next(1.0)[1] == ("hello",) else 1)
        except BaseException:
            os._exit(2)
    time.sleep(0.2)
    os.kill(child, signal.SIGSTOP)
    time.sleep(1.5)
    os.kill(child, signal.SIGCONT)
    time.sleep(0.1)
    left.send("hello")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
