"""Forks of the test's own process, which have PyTorch in memory already.

Not where joblib is used: its workers do not survive a fork.
"""

import os
import sys
import traceback
from collections.abc import Callable


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
