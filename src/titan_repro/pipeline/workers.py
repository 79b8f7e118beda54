"""The two worker processes of executor=processes as the training process sees them."""

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from titan_repro.pipeline.messages import send_packed
from titan_repro.pipeline.pool import ProcessPool, Worker
from titan_repro.pipeline.shared_memory import Layout
from titan_repro.pipeline.stages import WORKERS, WorkerSetup

NAMES = {"filter": "filter process", "select": "selection process"}


class WorkerPool(ProcessPool):
    """The filter process and the selection process.

    threads: of each process.
    cores: by "filter", "select" and "train" (this process), the cores that it may use; None: any.
    """

    def __init__(
        self,
        timeout_seconds: float,
        threads: int = 1,
        cores: Mapping[str, Sequence[int] | None] | None = None,
    ) -> None:
        super().__init__(
            timeout_seconds, threads, key="executor=processes", limit="executor.timeout_seconds"
        )
        self._cores = cores or {}
        self._before = os.sched_getaffinity(0)
        self._round = -1

    def start_workers(self) -> Iterator[Worker]:
        """Start both, with a channel between them."""
        for (stage, name), end in zip(NAMES.items(), socket.socketpair(), strict=True):
            yield Worker(name, "titan_repro.pipeline.worker", stage, self.threads, [end])

    def close(self) -> None:
        """End both processes, and give this one its cores back."""
        os.sched_setaffinity(0, self._before)
        super().close()

    def set_up(self, setup: WorkerSetup) -> None:
        """Give both their setup, instead of what they had, and wait until they are ready."""
        self._filtered = setup.filtered
        self._doing = "while starting"
        for worker in self._workers:
            with self._watching():
                worker.channel.send("set up")
                send_packed(worker.channel, setup)
        self._wait_until_ready()
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
        return {
            WORKERS[stage].remembers: self._ask(worker, "state")[0]
            for stage, worker in self._by_stage()
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict`, or that of a Selector, returned."""
        for worker in self._workers:
            self._ask(worker, "load", state)

    def _by_stage(self) -> Iterator[tuple[str, Worker]]:
        return zip(NAMES, self._workers, strict=True)

    def _bind(self) -> None:
        """Keep every process on its cores. Not earlier: whatever comes before may use them all."""
        pids = {"train": 0, **{stage: worker.process.pid for stage, worker in self._by_stage()}}
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
