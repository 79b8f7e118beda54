import torch
from scipy import stats

from titan_repro.seeds import derive_seed
from titan_repro.streams.noise import SampleNormals, _hash

CPU = torch.device("cpu")
MASK = (1 << 64) - 1


def splitmix64(state: int) -> int:
    """SplitMix64's output function in plain integers, as published."""
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
    return state ^ (state >> 31)


def test_hash_is_splitmix64() -> None:
    states = torch.tensor([0, 1, -1, 2**63 - 1, -(2**63), 0x1234567890ABCDEF])
    expected = [splitmix64(state & MASK) for state in states.tolist()]
    assert [value & MASK for value in _hash(states.clone()).tolist()] == expected
    # The first output of the published generator seeded with 0.
    assert splitmix64(0x9E3779B97F4A7C15) == 0xE220A8397B1DCDAF


def test_values_follow_the_documented_construction() -> None:
    """Element 0 of sample 3 recomputed by hand: h = 3 hashes a sample for 5 elements."""
    normals = SampleNormals(seed=7, purpose="test", elements=5, device=CPU)
    key = derive_seed(7, "test")
    words = []
    for k in range(3):
        hashed = splitmix64(((3 * 3 + k) * 0x9E3779B97F4A7C15 + key) & MASK)
        words += [(hashed >> shift) & 0xFFFF for shift in (0, 16, 32, 48)]
    quantile = [((word + 0x8000) % 0x10000 + 0.5) / 0x10000 for word in words]
    expected = (stats.norm.ppf(quantile[0]) + stats.norm.ppf(quantile[6])) / 2**0.5
    assert abs(normals.of(torch.tensor([3]))[0, 0].item() - expected) < 1e-3


def test_values_are_standard_normal() -> None:
    values = SampleNormals(0, "test", 1000, CPU).of(torch.arange(500)).flatten()
    count = len(values)
    assert abs(values.mean()) < 3 / count**0.5
    assert abs(values.var() - 1) < 3 * (2 / count) ** 0.5
    assert abs(values.pow(4).mean() - 3) < 3 * (96 / count) ** 0.5
    assert stats.kstest(values.numpy(), "norm").pvalue > 0.01
    assert values.abs().max() > 4.32  # beyond the table's own largest value: tails are there


def test_samples_elements_and_purposes_are_uncorrelated() -> None:
    samples = torch.arange(400)
    values = SampleNormals(0, "test", 500, CPU).of(samples)
    standard_error = values.numel() ** -0.5
    assert abs((values[1:] * values[:-1]).mean()) < 3 * standard_error
    assert abs((values[:, 1:] * values[:, :-1]).mean()) < 3 * standard_error
    for h in (250, 249, 251):  # the two picks of one value are so far apart
        assert abs((values[:, h:] * values[:, :-h]).mean()) < 3 * (400 * (500 - h)) ** -0.5
    for other in (SampleNormals(1, "test", 500, CPU), SampleNormals(0, "other", 500, CPU)):
        assert abs((values * other.of(samples)).mean()) < 3 * standard_error


def test_a_sample_has_the_same_bits_alone_and_among_others() -> None:
    normals = SampleNormals(0, "test", 901, CPU)
    together = normals.of(torch.arange(1000))
    some = torch.tensor([999, 0, 123, 123])
    assert torch.equal(normals.of(some), together[some])
    assert torch.equal(normals.of(torch.tensor([77])), together[77:78])
    assert together.shape == (1000, 901)
    assert normals.of(torch.zeros(0, dtype=torch.int64)).shape == (0, 901)
