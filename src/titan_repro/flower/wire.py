"""What server and devices send each other, in Flower's records, to the last bit.

Weights go as arrays, records of rounds as JSON. What a device remembers stays with it, in the
state that Flower keeps for a node and a run.
"""

import io
import json
from collections.abc import Mapping

import torch
from flwr.app import ArrayRecord, ConfigRecord, RecordDict
from torch import Tensor

from titan_repro.federated.client import FitResult, Memory
from titan_repro.records.rounds import RoundRecord

MEMORY = "memory"
"""MEMORY: the record of a node's state that holds what its device remembers."""


def task_of_round(weights: Mapping[str, Tensor], t: int) -> RecordDict:
    """Return what a participant of round t is sent: the global weights by name."""
    return RecordDict({"weights": ArrayRecord(dict(weights)), "round": ConfigRecord({"t": t})})


def read_task(content: RecordDict) -> tuple[dict[str, Tensor], int]:
    """Return the weights and the number of the round that a participant was sent."""
    return dict(content["weights"].to_torch_state_dict()), int(content["round"]["t"])


def answer(result: FitResult, device: int) -> RecordDict:
    """Return what a participant sends back; what it remembers is not in it."""
    records = json.dumps([vars(record) for record in result.records])
    facts = {"device": device, "samples": result.samples, "records": records}
    return RecordDict({"weights": ArrayRecord(dict(result.weights)), "facts": ConfigRecord(facts)})


def read_answer(content: RecordDict) -> tuple[int, FitResult]:
    """Return the device and what came of its part of a round."""
    facts = content["facts"]
    records = tuple(RoundRecord(**each) for each in json.loads(facts["records"]))
    weights = dict(content["weights"].to_torch_state_dict())
    return int(facts["device"]), FitResult(weights, int(facts["samples"]), {}, records)


def recall(state: RecordDict) -> Memory:
    """Return what a node's device remembers, {} if nothing."""
    if MEMORY not in state:
        return {}
    held: Memory = torch.load(io.BytesIO(state[MEMORY]["packed"]), weights_only=True)
    return held


def remember(state: RecordDict, memory: Memory) -> None:
    """Keep what a node's device remembers now."""
    if memory:
        buffer = io.BytesIO()
        torch.save(dict(memory), buffer)
        state[MEMORY] = ConfigRecord({"packed": buffer.getvalue()})
