import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from titan_repro.federated.average import WeightedMean

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


def mean_of(parts):
    mean = WeightedMean()
    for weights, samples in parts:
        mean.add(weights, samples)
    found = {name: torch.empty_like(tensor) for name, tensor in parts[0][0].items()}
    mean.write_to(found)
    return found


@given(st.lists(floats, min_size=1, max_size=20), st.integers(1, 2**28))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_the_mean_of_one_device_is_its_weights_to_the_last_bit(values, samples):
    weights = torch.tensor(values, dtype=torch.float32)
    found = mean_of([({"w": weights}, samples)])["w"]
    assert torch.equal(found, weights)


def test_devices_count_by_their_samples():
    parts = [({"w": torch.tensor([0.0, 1.0])}, 3), ({"w": torch.tensor([4.0, 1.0])}, 1)]
    assert mean_of(parts)["w"].tolist() == [1.0, 1.0]


def test_sums_are_of_double_precision():
    """In single precision 2^24 + 1 + ... + 1 stays where it is."""
    parts = [({"w": torch.tensor([2.0**24])}, 1), *[({"w": torch.tensor([1.0])}, 1)] * 1023]
    assert torch.equal(mean_of(parts)["w"], torch.tensor([(2**24 + 1023) / 1024]))


def test_whole_numbers_are_not_averaged():
    parts = [({"batches": torch.tensor(count)}, 7) for count in (3, 5, 4)]
    assert mean_of(parts)["batches"].item() == 5


def test_weights_that_were_added_may_change():
    """A client trains the next device in place."""
    mean, weights = WeightedMean(), {"w": torch.tensor([1.0]), "n": torch.tensor(1)}
    mean.add(weights, 1)
    weights["w"].fill_(100)
    weights["n"].fill_(100)
    found = {"w": torch.empty(1), "n": torch.tensor(0)}
    mean.write_to(found)
    assert (found["w"].item(), found["n"].item()) == (1, 1)
