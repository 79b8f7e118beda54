"""The ClientApp: a node says which device it is, and trains that device's part of a round.

A node is told its device by Flower's `partition-id`: the simulation gives each node one, a
SuperNode is started with `--node-config "partition-id=0"`.
"""

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from titan_repro.errors import ConfigurationError

app = ClientApp()


def introduce(message: Message, context: Context) -> Message:
    """Answer which device the node is, and of how many if it knows; loads nothing."""
    known = {"device": device_of(context)}
    if "num-partitions" in context.node_config:
        known["devices"] = int(context.node_config["num-partitions"])
    return Message(RecordDict({"node": ConfigRecord(known)}), reply_to=message)


def train(message: Message, context: Context) -> Message:
    """Train the device's part of a round; what it remembers stays in the node's state."""
    from titan_repro.flower.assembly import client_of  # a node that only introduces itself
    from titan_repro.flower.wire import answer, read_task, recall, remember  # needs no torch

    client, iterations = client_of(str(context.run_config["overrides"]))
    (weights, t), device = read_task(message.content), device_of(context)
    result = client.fit(weights, recall(context.state), t=t, device=device, iterations=iterations)
    remember(context.state, result.memory)
    return Message(answer(result, device), reply_to=message)


def device_of(context: Context) -> int:
    """Return the number of the node's device.

    Raises ConfigurationError if it was given none.
    """
    if "partition-id" not in context.node_config:
        raise ConfigurationError(
            'node-config: found no partition-id; allowed: "partition-id=0", the number of a device'
        )
    return int(context.node_config["partition-id"])


app.query()(introduce)
app.train()(train)
