"""Stopping at a round's end when asked to: Ctrl-C and SIGTERM."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """Whether the run has been asked to stop; the loop looks at `requested` once a round.

    signal: which signal asked first; None while none did, or if `request` was called without one.
    """

    def __init__(self) -> None:
        self.requested = False
        self.signal: signal.Signals | None = None

    def request(self, number: signal.Signals | None = None) -> None:
        """Ask the loop to stop after the current round."""
        if not self.requested:
            self.requested, self.signal = True, number

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        impatient = self.requested and number == signal.SIGINT
        self.request(signal.Signals(number))
        if impatient:
            raise KeyboardInterrupt


@contextmanager
def interruption() -> Iterator[Stop]:
    """Turn SIGINT and SIGTERM into `Stop.requested` inside the block; restore handlers after it.

    A SIGINT when a stop is already under way raises KeyboardInterrupt. A signal that is ignored
    on entry (SIGINT of a job in the background) stays ignored. Outside the main thread, where
    Python allows no handlers, only `Stop.request` has an effect.
    """
    stop = Stop()
    previous = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    previous[number] = signal.signal(number, stop._handle)
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
