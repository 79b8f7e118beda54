"""Forks of the test's own process, which have PyTorch in memory already.

Not where joblib is used: its workers do not survive a fork.
"""

import gc
import importlib
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path


def fork(do: Callable[[], object]) -> int:
    """Start a fork that calls `do` and ends; return its id.

    It ends with the status of a SystemExit, with 1 if anything else is raised.
    """
    if child := os.fork():
        return child
    status = 1
    try:
        do()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def end_of(child: int) -> int:
    """Wait for a fork and return how it ended, as `os.waitstatus_to_exitcode` has it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def end_of_fork(do: Callable[[], object]) -> int:
    """Call `do` in a fork and return how that ended."""
    return end_of(fork(do))


class ForkedPython:
    """What `pipeline.pool` needs of subprocess.Popen for a command `python ... -m MODULE ...`.

    The module's `main` is called in a fork, with the descriptors and the environment that the
    command would have had.
    """

    def __init__(
        self, command: Sequence[str], *, stdin: int, pass_fds: Sequence[int], env: Mapping[str, str]
    ) -> None:
        assert stdin == subprocess.DEVNULL
        self.args = command
        self.returncode: int | None = None
        self.pid = fork(lambda: _call_main(command[command.index("-m") + 1 :], pass_fds, env))

    def poll(self) -> int | None:
        """Return the exit status, None while it runs."""
        if self.returncode is None:
            found, status = os.waitpid(self.pid, os.WNOHANG)
            if found:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(list(self.args), timeout or 0.0)
            time.sleep(0.001)
        return status

    def kill(self) -> None:
        """End it now."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def _call_main(command: Sequence[str], pass_fds: Sequence[int], env: Mapping[str, str]) -> None:
    """Be the process of a command: a module and its arguments."""
    gc.freeze()  # no object of the parent may close a descriptor whose number is used again
    kept = {0, 1, 2, *pass_fds}
    for number in {int(path.name) for path in Path("/proc/self/fd").iterdir()} - kept:
        with suppress(OSError):
            os.close(number)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", closefd=False)
    os.environ.update(env)
    sys.argv = list(command)
    importlib.import_module(command[0]).main()
