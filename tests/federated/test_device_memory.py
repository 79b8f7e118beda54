import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from titan_repro.federated.memory import pack, unpack

numbers = st.sampled_from([0.0, -0.0, 1.0, float("nan"), float("inf"), 1e-300])
tables = st.integers(0, 4).flatmap(
    lambda width: st.lists(st.lists(numbers, min_size=width, max_size=width), max_size=5)
)


@given(tables)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_what_was_packed_comes_back_to_the_last_bit(rows):
    table = torch.tensor(rows, dtype=torch.float64)
    state = {"filter": {"sums": table, "counts": table.flatten()}, "policy": {}, "n": 3}
    found = unpack(pack(state))
    assert found.keys() == state.keys()
    assert found["filter"]["sums"].shape == table.shape
    assert found["filter"]["sums"].numpy().tobytes() == table.numpy().tobytes()
    assert found["filter"]["counts"].numpy().tobytes() == table.numpy().tobytes()
    assert (found["policy"], found["n"]) == ({}, 3)


def test_classes_that_a_device_does_not_see_cost_nothing():
    sums = torch.zeros(10, 1000)
    sums[[2, 7]] = 1
    packed = pack({"sums": sums})["sums"]
    assert sum(value.numel() for value in packed.values() if torch.is_tensor(value)) == 2 + 2000
    assert torch.equal(unpack({"sums": packed})["sums"], sums)


def test_counts_of_samples_that_others_hold_cost_nothing():
    """rs2 counts how often each sample of the whole training set was chosen."""
    counts = torch.zeros(50_000, dtype=torch.int64)
    counts[[3, 700]] = torch.tensor([1, 2])
    packed = pack({"chosen": counts})["chosen"]
    assert sum(value.numel() for value in packed.values() if torch.is_tensor(value)) == 2 + 2
    assert torch.equal(unpack({"chosen": packed})["chosen"], counts)


def test_a_vector_is_packed_only_where_that_takes_less_room():
    half = torch.tensor([0.0, 1.0] * 5, dtype=torch.float64)
    assert pack(half) is half
