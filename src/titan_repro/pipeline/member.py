"""One of processes 1 and 2, seen from process 3: its start, the line to it, and how it ended."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress

from titan_repro.pipeline.channel import Channel, PeerGone
from titan_repro.pipeline.child import LEFT_ALONE
from titan_repro.pipeline.stages import STAGES

NAMES = {"filter": "process 1 (coarse filter)", "select": "process 2 (fine selection)"}


class Member:
    """A started process.

    stage: "filter" or "select". neighbour: its end of the line to the other one; closed here.
    """

    def __init__(self, stage: str, neighbour: socket.socket, threads: int) -> None:
        mine, its = socket.socketpair()
        self.stage = stage
        self.name = NAMES[stage]
        self.remembers = STAGES[stage].remembers
        self.channel = Channel(self.name, mine)
        lines = (its.fileno(), neighbour.fileno())
        arguments = [stage, str(os.getpid()), *map(str, lines)]
        # -P: nothing in the working folder may pass for a module, as with titan-run itself.
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "titan_repro.pipeline.child", *arguments],
            stdin=subprocess.DEVNULL,
            pass_fds=lines,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                "OMP_NUM_THREADS": str(threads),
            },
        )
        its.close()
        neighbour.close()

    def wait(self, seconds: float) -> None:
        """Wait until it has ended, or for so long."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.0, seconds))

    def kill(self) -> None:
        """End it now."""
        self.process.kill()
        self.process.wait()

    def verdict(self) -> str | None:
        """Return how it failed or ended; None if it has not, or only because another one did."""
        status = self.process.poll()
        if status is None or status == LEFT_ALONE:
            return None
        with suppress(PeerGone):
            while True:  # what it sent before it ended
                kind, *content = self.channel.receive()
                if kind == "failed":
                    return f"failed: {content[0]}"
        if status >= 0:
            return f"ended with exit status {status}"
        killed = signal.Signals(-status)
        return f"was killed by {killed.name}{' (no memory left?)' * (killed == signal.SIGKILL)}"
