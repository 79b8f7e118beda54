"""Processes 1 and 2 as process 3 sees them: started, spoken to, watched and ended.

Whatever goes wrong with one of them, process 3 gets a PipelineError that names it, and by then both
are gone.
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
from titan_repro.pipeline.channel import Channel, Inbox, NoAnswer, PeerGone
from titan_repro.pipeline.child import LEFT_ALONE
from titan_repro.pipeline.handover import send_packed
from titan_repro.pipeline.stages import STAGES, Equipment, Facts
from titan_repro.pipeline.tray import Layout

NAMES = {"filter": "process 1 (coarse filter)", "select": "process 2 (fine selection)"}

PATIENCE = 0.5
"""Seconds for a process that has lost another one, or its work, to end by itself."""

_DEFERRED = (signal.SIGINT, signal.SIGTERM)


class Child:
    """One of the two: its operating-system process and the line to it."""

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


class Crew:
    """The two processes; a context manager that starts them and leaves none behind.

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
        self._children: list[Child] = []
        self._before = os.sched_getaffinity(0)
        self._doing = "while starting"
        self._round = -1

    def __enter__(self) -> "Crew":
        """Start both processes."""
        # A signal must not find half a crew. Children inherit the mask until they are ready for it.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _DEFERRED)
        try:
            for stage, end in zip(NAMES, socket.socketpair(), strict=True):
                self._children.append(Child(stage, end, self.threads))
        except OSError as error:
            self.close()
            raise PipelineError(f"executor=processes: cannot start a process ({error})") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self._inbox = Inbox(*(child.channel for child in self._children))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End both processes."""
        self.close()

    def close(self) -> None:
        """End both processes: by closing the lines to them, and by force if that is not enough."""
        os.sched_setaffinity(0, self._before)
        for child in self._children:
            child.channel.close()
        deadline = monotonic() + PATIENCE
        for child in self._children:
            child.wait(deadline - monotonic())
            child.kill()
        self._children.clear()

    def equip(self, equipment: Equipment) -> None:
        """Give both what they need and wait until they are ready."""
        self._filtered = equipment.filtered
        self._doing = "while starting"
        for child in self._children:
            with self._watching():
                send_packed(child.channel, equipment)
        waiting = list(self._children)
        while waiting:
            sender, _ = self._next(lambda: waiting[0])
            waiting.remove(sender)
        self._bind()

    def begin(self, t: int) -> None:
        """Let round t begin: from now until `chosen` returns, both may read the weights."""
        self._doing = f"in round {t}"
        self._send(self._children[0], "begin", t)
        self._round = t

    def chosen(self) -> tuple[Layout, Facts]:
        """Wait until the round's batch is chosen; nobody reads the weights any more."""
        _, (layout, facts) = self._next(self._behind)
        return layout, facts

    def state_dict(self) -> dict[str, Any]:
        """Return what filter and policy remember, as `Selector.state_dict` does."""
        return {child.remembers: self._ask(child, "state")[0] for child in self._children}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict`, or that of a Selector, returned."""
        for child in self._children:
            self._ask(child, "load", state)

    def _bind(self) -> None:
        """Keep every process on its cores. Not earlier: whatever comes before may use them all."""
        pids = {"train": 0, **{child.stage: child.process.pid for child in self._children}}
        for stage, pid in pids.items():
            cores = self._cores.get(stage)
            if cores is not None:
                os.sched_setaffinity(pid, cores)

    def _behind(self) -> Child:
        """Return the process whose turn it is in this round."""
        first, second = self._children
        return first if self._filtered.item() < self._round else second

    def _ask(self, child: Child, *message: Any) -> tuple[Any, ...]:
        """Return the answer of one process, between two rounds."""
        self._doing = "between two rounds"
        self._send(child, *message)
        return self._next(lambda: child)[1]

    def _send(self, child: Child, *message: Any) -> None:
        with self._watching():
            child.channel.send(*message)

    def _next(self, turn: Callable[[], Child]) -> tuple[Child, tuple[Any, ...]]:
        """Return the next message's sender and content; `turn` says who is late if none comes."""
        try:
            with self._watching():
                channel, (kind, *content) = self._inbox.next(self.timeout_seconds)
        except NoAnswer:
            late = f"did not answer for {self.timeout_seconds:g} s (executor.timeout_seconds)"
            raise self._abandon({turn().name: late}) from None
        sender = next(child for child in self._children if child.channel is channel)
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
            for child in self._children:
                child.wait(deadline - monotonic())
            verdicts = {child.name: child.verdict() for child in self._children}
            raise self._abandon({name: v for name, v in verdicts.items() if v}) from None

    def _abandon(self, verdicts: Mapping[str, str]) -> PipelineError:
        """End what is left of the crew and return the error that says why."""
        for child in self._children:
            child.kill()
        name, verdict = next(iter(verdicts.items()), ("a process of the pipeline", "ended"))
        return PipelineError(
            f"{name} {verdict}, {self._doing}; the same command goes on from the last checkpoint"
        )
