import hashlib

import torch

from titan_repro.records.checkpoint import weights_sha256

STATE = {
    "conv": torch.arange(2 * 3 * 4 * 4, dtype=torch.float32).reshape(2, 3, 4, 4),
    "count": torch.tensor(7),
    "half": torch.ones(3, dtype=torch.bfloat16),
    "none": torch.zeros(0, 2),
}


def test_is_the_digest_of_names_types_shapes_and_bytes() -> None:
    content = b"count/torch.int64/();" + (7).to_bytes(8, "little")
    assert weights_sha256({"count": torch.tensor(7)}) == hashlib.sha256(content).hexdigest()


def test_ignores_memory_format_order_strides_and_gradients() -> None:
    same = {
        "none": STATE["none"],
        "half": torch.ones(6, dtype=torch.bfloat16)[::2],
        "count": torch.nn.Parameter(torch.tensor(7), requires_grad=False),
        "conv": STATE["conv"].to(memory_format=torch.channels_last).requires_grad_(),
    }
    assert weights_sha256(same) == weights_sha256(STATE)


def test_ignores_the_device() -> None:
    if torch.cuda.is_available():
        moved = {name: tensor.cuda() for name, tensor in STATE.items()}
        assert weights_sha256(moved) == weights_sha256(STATE)


def test_sees_every_difference() -> None:
    flipped = STATE["conv"].clone()
    flipped[1, 2, 3, 3] = torch.nextafter(flipped[1, 2, 3, 3], torch.tensor(0.0))
    others = [
        {**STATE, "conv": flipped},
        {**STATE, "conv": STATE["conv"].reshape(2, 3, 16)},
        {**STATE, "count": torch.tensor(7, dtype=torch.int32)},
        {**STATE, "none": torch.zeros(2, 0)},
        {name: tensor for name, tensor in STATE.items() if name != "none"},
        {
            **{name: tensor for name, tensor in STATE.items() if name != "half"},
            "Half": STATE["half"],
        },
    ]
    digests = {weights_sha256(state) for state in [STATE, *others]}
    assert len(digests) == len(others) + 1
