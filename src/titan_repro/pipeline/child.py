"""Where processes 1 and 2 begin: python -m titan_repro.pipeline.child STAGE PARENT LINE LINE.

They end with process 3, whatever becomes of it: the kernel kills them with their parent, and a
closed line ends them too. Only process 3 listens to Ctrl-C and SIGTERM, and ends the others in good
order; both signals are often sent to all processes of a group.
"""

import ctypes
import os
import signal
import socket
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h
LEFT_ALONE = 77
"""Exit status of a process that ended because another one had."""


def main() -> None:
    """Serve as the stage that the command line names until another process ends."""
    stage, parent, *lines = sys.argv[1:]
    _end_with(int(parent))
    # torch takes seconds to import; by now nothing can leave this process behind
    from titan_repro.pipeline.serving import work

    status = work(stage, *(socket.socket(fileno=int(line)) for line in lines))
    sys.stderr.flush()
    os._exit(status)  # nothing here needs the second that torch takes to leave


def _end_with(parent: int) -> None:
    """Have the kernel kill this process with its parent, and leave signals to the parent."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT, signal.SIGTERM])
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it had ended before
        os._exit(LEFT_ALONE)


if __name__ == "__main__":
    main()
