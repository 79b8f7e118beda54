"""A process that trains devices: python -m titan_repro.federated.worker NUMBER PARENT CHANNEL.

It is given its setup, then trains the devices that it is asked for, until its parent ends.
"""

import gc
import socket
from typing import TYPE_CHECKING, Never

from titan_repro.pipeline.worker import exit_status, serve

if TYPE_CHECKING:
    from titan_repro.federated.pool import ClientSetup
    from titan_repro.pipeline.messages import Channel


def main() -> None:
    """Train devices until the process that asks for them ends."""
    serve(train_devices)


def train_devices(_number: str, end: socket.socket) -> int:
    """Handle messages until the process at the other end is gone; return the exit status."""
    from titan_repro.pipeline.messages import Channel

    asking = Channel("run's process", end)
    return exit_status(lambda: _handle_messages(asking), asking)


def _handle_messages(asking: "Channel") -> Never:
    """Handle messages for ever."""
    while True:
        match asking.receive():
            case ("set up",):
                setup = _set_up(asking)
            case ("fit", t, device, place, memory):
                result = setup.client.fit(
                    setup.weights, memory, t=t, device=device, iterations=setup.iterations
                )
                for name, tensor in setup.places[place].items():
                    tensor.copy_(result.weights[name])
                asking.send("fitted", device, place, result.samples, result.memory, result.records)


def _set_up(asking: "Channel") -> "ClientSetup":
    """Receive the setup and make this process ready for the first device."""
    from titan_repro.devices.process import configure_process
    from titan_repro.pipeline.messages import receive_packed
    from titan_repro.pipeline.shared_memory import HOST

    setup: ClientSetup = receive_packed(asking)
    configure_process(HOST, setup.threads)
    gc.freeze()  # what is here now stays: it need not be looked through again and again
    asking.send("ready")
    return setup


if __name__ == "__main__":
    main()
