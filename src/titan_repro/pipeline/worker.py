"""A worker process: python -m titan_repro.pipeline.worker STAGE PARENT CHANNEL CHANNEL.

It is given its setup, then handles messages until the training process, its parent, ends. It ends
with that, whatever becomes of it: the kernel kills it with its parent, and a closed channel ends it
too. Only the training process listens to Ctrl-C and SIGTERM, and ends the workers in good order;
both signals are often sent to all processes of a group.

torch takes seconds to import; what needs it is imported late, once nothing can leave this process
behind.
"""

import ctypes
import gc
import os
import signal
import socket
import sys
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Never

from titan_repro.errors import UserError
from titan_repro.failures import VARIABLE, in_one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from titan_repro.pipeline.messages import Channel
    from titan_repro.pipeline.stages import Stage

PR_SET_PDEATHSIG = 1  # linux/prctl.h
LEFT_ALONE = 77
"""Exit status of a process that ended because another one had."""


def main() -> None:
    """Work as the stage that the command line names until another process ends."""
    serve(work)


def serve(work: "Callable[..., int]") -> Never:
    """Call `work` with the command line's argument and its channels, and exit with its status."""
    argument, parent, *channels = sys.argv[1:]
    _end_with(int(parent))
    status = work(argument, *(socket.socket(fileno=int(channel)) for channel in channels))
    sys.stderr.flush()
    os._exit(status)  # skip the second that torch takes to leave


def _end_with(parent: int) -> None:
    """Have the kernel kill this process with its parent, and leave signals to the parent."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT, signal.SIGTERM])
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it had ended before
        os._exit(LEFT_ALONE)


def work(stage: str, trainer_end: socket.socket, neighbour_end: socket.socket) -> int:
    """Run a stage, "filter" or "select", until another process ends; return the exit status."""
    from titan_repro.pipeline.messages import Channel

    training = Channel("training process", trainer_end)
    neighbour = Channel("other worker process", neighbour_end)
    return exit_status(lambda: _handle_messages(stage, training, neighbour), training)


def exit_status(handle_messages: "Callable[[], Never]", asking: "Channel") -> int:
    """Handle messages until another process ends or something fails; return the exit status.

    An exception is reported to the process that asks. If it is no UserError, its traceback is
    printed here where TITAN_TRACEBACK=1 asks for that, as it would be with one process.
    """
    from titan_repro.pipeline.messages import PeerGone

    try:
        handle_messages()
    except PeerGone:
        return LEFT_ALONE
    except Exception as error:
        if not isinstance(error, UserError) and os.environ.get(VARIABLE) == "1":
            traceback.print_exc()
        with suppress(PeerGone):
            asking.send("failed", _in_one_line(error))
        return 1


def _handle_messages(name: str, training: "Channel", neighbour: "Channel") -> Never:
    """Handle messages for ever: the rounds', and training's about what the stage remembers."""
    from titan_repro.pipeline.messages import Inbox, on_host

    inbox = Inbox(training, neighbour)
    while True:
        _, message = inbox.next()
        match message:
            case ("set up",):
                stage = _set_up(name, training, neighbour)
            case ("state",):
                training.send("state", on_host(stage.selector.state_dict()[stage.remembers]))
            case ("load", state):
                stage.selector.load_state_dict(state)
                training.send("loaded")
            case _:
                stage.handle(*message)


def _set_up(name: str, training: "Channel", neighbour: "Channel") -> "Stage":
    """Receive the setup and return the stage that it makes, ready for round 0."""
    from titan_repro.devices.process import configure_process
    from titan_repro.pipeline.messages import receive_packed
    from titan_repro.pipeline.stages import WORKERS, WorkerSetup

    setup: WorkerSetup = receive_packed(training)
    configure_process(setup.device, setup.threads)
    stage = WORKERS[name](setup, training, neighbour)
    gc.freeze()  # what is here now stays: it need not be looked through again and again
    training.send("ready")
    return stage


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split()) if isinstance(error, UserError) else in_one_line(error)


if __name__ == "__main__":
    main()
