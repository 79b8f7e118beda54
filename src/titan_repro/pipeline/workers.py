"""The two worker processes as the training process sees them: started, asked, watched and ended.

Whatever goes wrong with one of them, the training process gets a PipelineError that names it, and
by then both are gone.
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
from typing import Any

from titan_repro.errors import PipelineError
from titan_repro.pipeline.messages import Channel, Inbox, NoAnswer, PeerGone, send_packed
from titan_repro.pipeline.shared_memory import Layout, too_many_files
from titan_repro.pipeline.stages import WORKERS, WorkerSetup
from titan_repro.pipeline.worker import LEFT_ALONE

NAMES = {"filter": "filter process", "select": "selection process"}

PATIENCE = 0.5
"""Seconds for a process that has lost another one, or its work, to end by itself."""

START_SECONDS = 120.0
"""Seconds at most to start: both import torch, maybe from a slow card, whatever rounds take."""


class Worker:
    """A started worker process.

    stage: "filter" or "select". neighbour: its end of the channel to the other worker; closed here.
    """

    def __init__(self, stage: str, neighbour: socket.socket, threads: int) -> None:
        mine, its = socket.socketpair()
        self.stage = stage
        self.name = NAMES[stage]
        self.remembers = WORKERS[stage].remembers
        self.channel = Channel(self.name, mine)
        ends = (its.fileno(), neighbour.fileno())
        arguments = [stage, str(os.getpid()), *map(str, ends)]
        # -P: nothing in the working folder may pass for a module, as with titan-run itself.
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "titan_repro.pipeline.worker", *arguments],
            stdin=subprocess.DEVNULL,
            pass_fds=ends,
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


class WorkerPool:
    """Both worker processes; a context manager that starts them and leaves none behind.

    Python and torch take seconds to start, so enter it before data are loaded. Every method raises
    PipelineError if a process fails, ends, or does not answer for `timeout_seconds`.

    threads: of each process.
    cores: by "filter", "select" and "train" (this process), the cores that it may use; None: any.
    """

    def __init__(
        self,
        timeout_seconds: float,
        threads: int = 1,
        cores: Mapping[str, Sequence[int] | None] | None = None,
    ) -> None:
        self.timeout_seconds = timeout_seconds
        self.threads = threads
        self._cores = cores or {}
        self._workers: list[Worker] = []
        self._before = os.sched_getaffinity(0)
        self._doing = "while starting"
        self._round = -1

    def __enter__(self) -> "WorkerPool":
        """Start both processes."""
        try:
            self._start()
        except OSError as error:
            self.close()
            reason = f"executor=processes: cannot start a process ({error})"
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
        """End both processes."""
        self.close()

    @property
    def pids(self) -> dict[str, int]:
        """The ids of both processes, by name."""
        return {worker.name: worker.process.pid for worker in self._workers}

    def close(self) -> None:
        """End both processes: by closing the channels, and by force if that is not enough."""
        os.sched_setaffinity(0, self._before)
        for worker in self._workers:
            worker.channel.close()
        deadline = monotonic() + PATIENCE
        for worker in self._workers:
            worker.wait(deadline - monotonic())
            worker.kill()
        self._workers.clear()

    def set_up(self, setup: WorkerSetup) -> None:
        """Give both their setup, instead of what they had, and wait until they are ready."""
        self._filtered = setup.filtered
        self._doing = "while starting"
        for worker in self._workers:
            with self._watching():
                worker.channel.send("set up")
                send_packed(worker.channel, setup)
        waiting = list(self._workers)
        while waiting:
            sender, _ = self._next(lambda: waiting[0], max(self.timeout_seconds, START_SECONDS))
            waiting.remove(sender)
        self._bind()

    def begin(self, t: int, keep: int | None = None) -> None:
        """Let round t begin: from now until `chosen` returns, both may read the weights.

        keep: how many of the samples that the filter gives are candidates; None: all of them.
        """
        self._doing = f"in round {t}"
        self._send(self._workers[0], "begin", t, keep)
        self._round = t

    def chosen(self) -> tuple[Layout, int, dict[str, Any]]:
        """Wait until the round's batch is chosen; no worker reads the weights any more.

        Returns where the batch is, how many samples were streamed, and the entries of the round's
        record about its selection.
        """
        _, (layout, streamed, entries) = self._next(self._behind)
        return layout, streamed, entries

    def state_dict(self) -> dict[str, Any]:
        """Return what filter and policy remember, as `Selector.state_dict` does."""
        return {worker.remembers: self._ask(worker, "state")[0] for worker in self._workers}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict`, or that of a Selector, returned."""
        for worker in self._workers:
            self._ask(worker, "load", state)

    def _start(self) -> None:
        # They inherit this mask: no signal may end them before they have learnt to ignore it.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        try:
            for stage, end in zip(NAMES, socket.socketpair(), strict=True):
                self._workers.append(Worker(stage, end, self.threads))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self._inbox = Inbox(*(worker.channel for worker in self._workers))

    def _bind(self) -> None:
        """Keep every process on its cores. Not earlier: whatever comes before may use them all."""
        pids = {"train": 0, **{worker.stage: worker.process.pid for worker in self._workers}}
        for stage, pid in pids.items():
            cores = self._cores.get(stage)
            if cores is not None:
                with suppress(ProcessLookupError):  # it has just ended: the next call says so
                    os.sched_setaffinity(pid, cores)

    def _behind(self) -> Worker:
        """Return the process whose turn it is in this round."""
        first, second = self._workers
        return first if self._filtered.item() < self._round else second

    def _ask(self, worker: Worker, *message: Any) -> tuple[Any, ...]:
        """Return the answer of one process, between two rounds."""
        self._doing = "between two rounds"
        self._send(worker, *message)
        return self._next(lambda: worker)[1]

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
            late = f"did not answer for {limit:g} s (executor.timeout_seconds)"
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
