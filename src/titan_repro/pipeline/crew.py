"""Processes 1 and 2 as process 3 sees them: started, spoken to, watched and ended.

Whatever goes wrong with one of them, process 3 gets a PipelineError that names it, and by then both
are gone.
"""

import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from time import monotonic
from types import TracebackType
from typing import Any

from titan_repro.errors import PipelineError
from titan_repro.pipeline.channel import Inbox, NoAnswer, PeerGone
from titan_repro.pipeline.handover import send_packed
from titan_repro.pipeline.member import NAMES, Member
from titan_repro.pipeline.stages import Equipment, Facts
from titan_repro.pipeline.tray import Layout

PATIENCE = 0.5
"""Seconds for a process that has lost another one, or its work, to end by itself."""

START_SECONDS = 120.0
"""Patience with two processes that import torch, maybe from a slow card, whatever rounds take."""


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
        self._members: list[Member] = []
        self._before = os.sched_getaffinity(0)
        self._doing = "while starting"
        self._round = -1

    def __enter__(self) -> "Crew":
        """Start both processes."""
        try:
            self._start()
        except OSError as error:
            self.close()
            raise PipelineError(f"executor=processes: cannot start a process ({error})") from error
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
        return {member.name: member.process.pid for member in self._members}

    def close(self) -> None:
        """End both processes: by closing the lines to them, and by force if that is not enough."""
        os.sched_setaffinity(0, self._before)
        for member in self._members:
            member.channel.close()
        deadline = monotonic() + PATIENCE
        for member in self._members:
            member.wait(deadline - monotonic())
            member.kill()
        self._members.clear()

    def equip(self, equipment: Equipment) -> None:
        """Give both what they need, instead of what they had, and wait until they are ready."""
        self._filtered = equipment.filtered
        self._doing = "while starting"
        for member in self._members:
            with self._watching():
                member.channel.send("equip")
                send_packed(member.channel, equipment)
        waiting = list(self._members)
        while waiting:
            sender, _ = self._next(lambda: waiting[0], max(self.timeout_seconds, START_SECONDS))
            waiting.remove(sender)
        self._bind()

    def begin(self, t: int, keep: int | None = None) -> None:
        """Let round t begin: from now until `chosen` returns, both may read the weights.

        keep: how many of the samples that the filter gives are candidates; None: all of them.
        """
        self._doing = f"in round {t}"
        self._send(self._members[0], "begin", t, keep)
        self._round = t

    def chosen(self) -> tuple[Layout, Facts]:
        """Wait until the round's batch is chosen; nobody reads the weights any more."""
        _, (layout, *facts) = self._next(self._behind)
        return layout, Facts(*facts)

    def state_dict(self) -> dict[str, Any]:
        """Return what filter and policy remember, as `Selector.state_dict` does."""
        return {member.remembers: self._ask(member, "state")[0] for member in self._members}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict`, or that of a Selector, returned."""
        for member in self._members:
            self._ask(member, "load", state)

    def _start(self) -> None:
        # They inherit this mask: no signal may end them before they have learnt to ignore it.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        try:
            for stage, end in zip(NAMES, socket.socketpair(), strict=True):
                self._members.append(Member(stage, end, self.threads))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self._inbox = Inbox(*(member.channel for member in self._members))

    def _bind(self) -> None:
        """Keep every process on its cores. Not earlier: whatever comes before may use them all."""
        pids = {"train": 0, **{member.stage: member.process.pid for member in self._members}}
        for stage, pid in pids.items():
            cores = self._cores.get(stage)
            if cores is not None:
                with suppress(ProcessLookupError):  # it has just ended: the next call says so
                    os.sched_setaffinity(pid, cores)

    def _behind(self) -> Member:
        """Return the process whose turn it is in this round."""
        first, second = self._members
        return first if self._filtered.item() < self._round else second

    def _ask(self, member: Member, *message: Any) -> tuple[Any, ...]:
        """Return the answer of one process, between two rounds."""
        self._doing = "between two rounds"
        self._send(member, *message)
        return self._next(lambda: member)[1]

    def _send(self, member: Member, *message: Any) -> None:
        with self._watching():
            member.channel.send(*message)

    def _next(
        self, turn: Callable[[], Member], seconds: float | None = None
    ) -> tuple[Member, tuple[Any, ...]]:
        """Return the next message's sender and content; `turn` says who is late if none comes."""
        limit = self.timeout_seconds if seconds is None else seconds
        try:
            with self._watching():
                channel, (kind, *content) = self._inbox.next(limit)
        except NoAnswer:
            late = f"did not answer for {limit:g} s (executor.timeout_seconds)"
            raise self._abandon({turn().name: late}) from None
        sender = next(member for member in self._members if member.channel is channel)
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
            for member in self._members:
                member.wait(deadline - monotonic())
            verdicts = {member.name: member.verdict() for member in self._members}
            raise self._abandon({name: v for name, v in verdicts.items() if v}) from None

    def _abandon(self, verdicts: Mapping[str, str]) -> PipelineError:
        """End what is left of the crew and return the error that says why."""
        for member in self._members:
            member.kill()
        name, verdict = next(iter(verdicts.items()), ("a process of the pipeline", "ended"))
        return PipelineError(
            f"{name} {verdict}, {self._doing}; the same command goes on from the last checkpoint"
        )
