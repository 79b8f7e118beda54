"""The loop of processes 1 and 2: a stage is given equipment, then answers messages for ever."""

import gc
import os
import socket
import traceback
from contextlib import suppress
from typing import Never

from titan_repro.errors import UserError
from titan_repro.failures import VARIABLE, in_one_line
from titan_repro.pipeline.channel import Channel, Inbox, PeerGone
from titan_repro.pipeline.child import LEFT_ALONE
from titan_repro.pipeline.handover import on_host, receive_packed
from titan_repro.pipeline.stages import STAGES, Equipment, Stage
from titan_repro.process_setup import configure_process


def work(stage: str, trainer_end: socket.socket, neighbour_end: socket.socket) -> int:
    """Be process 1 ("filter") or 2 ("select") until another process ends; return the exit status.

    An exception is reported to process 3. If it is no UserError, its traceback is printed here
    where TITAN_TRACEBACK=1 asks for that, as it would be with executor=inline.
    """
    trainer, neighbour = Channel("process 3", trainer_end), Channel("neighbour", neighbour_end)
    try:
        _serve(STAGES[stage], trainer, neighbour)
    except PeerGone:
        return LEFT_ALONE
    except Exception as error:
        if not isinstance(error, UserError) and os.environ.get(VARIABLE) == "1":
            traceback.print_exc()
        with suppress(PeerGone):
            trainer.send("failed", _in_one_line(error))
        return 1


def _serve(kind: type[Stage], trainer: Channel, neighbour: Channel) -> Never:
    """Handle messages for ever: the rounds', and process 3's about what is remembered."""
    inbox = Inbox(trainer, neighbour)
    while True:
        _, message = inbox.next()
        match message:
            case ("equip",):
                stage = _equipped(kind, trainer, neighbour)
            case ("state",):
                trainer.send("state", on_host(stage.selector.state_dict()[stage.remembers]))
            case ("load", state):
                stage.selector.load_state_dict(state)
                trainer.send("loaded")
            case _:
                stage.handle(*message)


def _equipped(kind: type[Stage], trainer: Channel, neighbour: Channel) -> Stage:
    equipment: Equipment = receive_packed(trainer)
    configure_process(equipment.device, equipment.threads)
    stage = kind(equipment, trainer, neighbour)
    gc.freeze()  # what is here now stays: it need not be looked through again and again
    trainer.send("ready")
    return stage


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split()) if isinstance(error, UserError) else in_one_line(error)
