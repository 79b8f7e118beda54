"""A crew of Flower's nodes: the server's side of the wire.

Flower draws the ids of nodes at random, and its strategies sample by them, so a seed would not fix
who takes part. Here nodes are asked once which device each is; participants are drawn by device
(`federated.settings.draw_participants`), and answers are given in the order of devices, whoever
was first.

A node that does not answer in time, answers with an error or is gone is left out of that round's
mean. One that comes back has a new id, is asked again and takes its device's place; what the
device remembered is lost with the old one.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from flwr.app import Message, MessageType, RecordDict
from flwr.serverapp import Grid
from torch import Tensor

from titan_repro.errors import ConfigurationError, PipelineError
from titan_repro.federated.client import FitResult
from titan_repro.federated.crew import Participant
from titan_repro.flower.wire import read_answer, task_of_round

PAUSE = 1.0
"""PAUSE: seconds between two looks at which nodes there are."""


class FlowerCrew:
    """Trains participants on the nodes of a Flower run.

    grid: reaches the nodes. devices: n, each of which one node must be.
    timeout_seconds: of waiting for nodes to be there, and for the answers of a round.
    say: is told, in a line, of what went wrong without ending the run.
    """

    def __init__(
        self,
        grid: Grid,
        devices: int,
        timeout_seconds: float,
        say: Callable[[str], None] = print,
    ) -> None:
        self._grid = grid
        self._devices = devices
        self._timeout = timeout_seconds
        self._say = say
        self._asked: set[int] = set()
        self._nodes: dict[int, int] = {}

    def wait(self) -> None:
        """Wait until every device has a node.

        Raises PipelineError if that takes too long, ConfigurationError for nodes that do not fit
        the federation.
        """
        until = time.monotonic() + self._timeout
        while self._find_nodes() < self._devices:
            if time.monotonic() > until:
                missing = sorted(set(range(self._devices)) - self._nodes.keys())
                raise PipelineError(
                    f"federation.timeout_seconds={self._timeout:g}: no node came for devices "
                    f"{', '.join(map(str, missing))} of {self._devices}"
                )
            time.sleep(PAUSE)

    def fit(
        self, weights: Mapping[str, Tensor], participants: Sequence[Participant], *, t: int
    ) -> Iterator[FitResult | None]:
        """Train the participants of round t; give their results in order, None for those lost.

        Their memories are not sent: nodes keep them. Raises PipelineError if all are lost.
        """
        self._find_nodes()
        task, devices = task_of_round(weights, t), [each.device for each in participants]
        there = set(self._grid.get_node_ids())
        nodes = [self._nodes[each] for each in devices if self._nodes.get(each) in there]
        answers = self._ask(nodes, MessageType.TRAIN, task, f"round {t}")
        results = dict(map(read_answer, answers.values()))
        lost = [str(device) for device in devices if device not in results]
        if len(lost) == len(devices):
            raise PipelineError(f"round {t}: none of the devices {', '.join(lost)} came through")
        if lost:
            self._say(f"round {t}: goes on without devices {', '.join(lost)}")
        for device in devices:
            yield results.pop(device, None)

    def close(self) -> None:
        """Do nothing: Flower ends its nodes itself."""

    def _find_nodes(self) -> int:
        """Ask the nodes that are new which device each is; return how many devices have one."""
        new = sorted(set(self._grid.get_node_ids()) - self._asked)
        found: dict[int, int] = {}
        for node, content in self._ask(new, MessageType.QUERY, RecordDict(), "start").items():
            device = int(content["node"]["device"])
            self._check(device, int(content["node"].get("devices", self._devices)))
            if device in found:
                raise ConfigurationError(
                    f"node-config: found partition-id={device} on two nodes; allowed: on one"
                )
            found[device] = node
            self._asked.add(node)
        self._nodes |= found
        return len(self._nodes)

    def _check(self, device: int, devices: int) -> None:
        if devices != self._devices:
            raise ConfigurationError(
                f"num-partitions: found {devices} (the number of nodes in a simulation); allowed "
                f"here: {self._devices}, the devices of the federation"
            )
        if not 0 <= device < devices:
            raise ConfigurationError(
                f"node-config: found partition-id={device}; allowed: 0 to {devices - 1}, as there "
                f"are {devices} devices"
            )

    def _ask(
        self, nodes: Sequence[int], kind: str, content: RecordDict, when: str
    ) -> dict[int, RecordDict]:
        """Send each node the same; return the answers that came by node, without errors."""
        messages = [
            Message(content, node, kind, ttl=self._timeout, group_id=when) for node in nodes
        ]
        answers = {}
        if messages:
            for reply in self._grid.send_and_receive(messages, timeout=self._timeout):
                if reply.has_error():
                    self._say(f"{when}: a node failed: {reply.error.reason}")
                else:
                    answers[reply.metadata.src_node_id] = reply.content
        return answers
