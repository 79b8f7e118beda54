"""Processes beside this one: started, asked, watched and ended.

Whatever goes wrong with one of them, this process gets a PipelineError that names it, and by then
all of them are gone.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from time import monotonic
from types import TracebackType
from typing import Any, Self

from titan_repro.errors import PipelineError
from titan_repro.pipeline.messages import Channel, Inbox, NoAnswer, PeerGone
from titan_repro.pipeline.shared_memory import too_many_files
from titan_repro.pipeline.worker import LEFT_ALONE

PATIENCE = 0.5
"""Seconds for a process that has lost another one, or its work, to end by itself."""

START_SECONDS = 120.0
"""Seconds at most to start: all import torch, maybe from a slow card, whatever rounds take."""


class Worker:
    """A started worker process.

    name: as messages say it. module, argument: `python -m module argument PARENT CHANNEL...`.
    neighbours: its ends of channels to other workers; closed here.
    """

    def __init__(
        self,
        name: str,
        module: str,
        argument: str,
        threads: int,
        neighbours: Sequence[socket.socket] = (),
    ) -> None:
        mine, its = socket.socketpair()
        self.name = name
        self.channel = Channel(self.name, mine)
        ends = [end.fileno() for end in (its, *neighbours)]
        # -P: nothing in the working folder may pass for a module, as with titan-run itself.
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, argument, str(os.getpid()), *map(str, ends)],
            stdin=subprocess.DEVNULL,
            pass_fds=ends,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                "OMP_NUM_THREADS": str(threads),
            },
        )
        for end in (its, *neighbours):
            end.close()

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


class ProcessPool:
    """A few worker processes; a context manager that starts them and leaves none behind.

    Python and torch take seconds to start, so enter it before data are loaded. Every method raises
    PipelineError if a process fails, ends, or does not answer for `timeout_seconds`.

    threads: of each process. key, limit: those that ask for the processes, and for the timeout.
    """

    def __init__(self, timeout_seconds: float, threads: int, *, key: str, limit: str) -> None:
        self.timeout_seconds = timeout_seconds
        self.threads = threads
        self._key = key
        self._limit = limit
        self._workers: list[Worker] = []
        self._doing = "while starting"

    def start_workers(self) -> Iterator[Worker]:
        """Start the processes one after the other."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        """Start all processes."""
        try:
            self._start()
        except OSError as error:
            self.close()
            reason = f"{self._key}: cannot start a process ({error})"
            raise PipelineError(too_many_files(error) or reason) from error
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all processes."""
        self.close()

    @property
    def pids(self) -> dict[str, int]:
        """The ids of all processes, by name."""
        return {worker.name: worker.process.pid for worker in self._workers}

    def close(self) -> None:
        """End all processes: by closing the channels, and by force if that is not enough."""
        for worker in self._workers:
            worker.channel.close()
        deadline = monotonic() + PATIENCE
        for worker in self._workers:
            worker.wait(deadline - monotonic())
            worker.kill()
        self._workers.clear()

    def _start(self) -> None:
        # They inherit this mask: no signal may end them before they have learnt to ignore it.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        try:
            for worker in self.start_workers():
                self._workers.append(worker)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self._inbox = Inbox(*(worker.channel for worker in self._workers))

    def _wait_until_ready(self) -> None:
        """Wait for one message of each process."""
        waiting = list(self._workers)
        while waiting:
            sender, _ = self._next(lambda: waiting[0], max(self.timeout_seconds, START_SECONDS))
            waiting.remove(sender)

    def _send(self, worker: Worker, *message: Any) -> None:
        with self._watching():
            worker.channel.send(*message)

    def _next(
        self, turn: Callable[[], Worker], seconds: float | None = None
    ) -> tuple[Worker, tuple[Any, ...]]:
        """Return the next message's sender and content; `turn` says who is late if none comes."""
        limit = self.timeout_seconds if seconds is None else seconds
        try:
            with self._watching():
                channel, (kind, *content) = self._inbox.next(limit)
        except NoAnswer:
            late = f"did not answer for {limit:g} s ({self._limit})"
            raise self._abandon({turn().name: late}) from None
        sender = next(worker for worker in self._workers if worker.channel is channel)
        if kind == "failed":
            raise self._abandon({sender.name: f"failed: {content[0]}"})
        return sender, tuple(content)

    @contextmanager
    def _watching(self) -> Iterator[None]:
        """Turn the news that a process has ended into the error that says which and why."""
        try:
            yield
        except PeerGone:
            deadline = monotonic() + PATIENCE
            for worker in self._workers:
                worker.wait(deadline - monotonic())
            verdicts = {worker.name: worker.verdict() for worker in self._workers}
            raise self._abandon({name: v for name, v in verdicts.items() if v}) from None

    def _abandon(self, verdicts: Mapping[str, str]) -> PipelineError:
        """End what is left of the pool and return the error that says why."""
        for worker in self._workers:
            worker.kill()
        name, verdict = next(iter(verdicts.items()), ("a worker process", "ended"))
        return PipelineError(
            f"the {name} {verdict}, {self._doing}; the same command goes on from the last "
            "checkpoint"
        )
