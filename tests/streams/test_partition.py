import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from titan_repro.errors import ConfigurationError
from titan_repro.streams.partition import by_classes, by_user, count_by_device, dirichlet

labels_of_any_kind = st.lists(st.integers(0, 7), min_size=1, max_size=120).map(torch.tensor)
seeds = st.integers(0, 5)
fast = settings(max_examples=80, deadline=None, derandomize=True)


def assert_is_partition(parts: list[Tensor], samples: int) -> None:
    assert all(len(part) > 0 for part in parts)
    assert torch.equal(torch.cat(parts).sort().values, torch.arange(samples))


@given(labels=labels_of_any_kind, devices=st.integers(1, 20), k=st.integers(1, 8), seed=seeds)
@fast
def test_by_classes_is_a_partition_with_exactly_k_classes_or_refused(
    labels: Tensor, devices: int, k: int, seed: int
) -> None:
    counts = torch.bincount(labels)
    classes = int((counts > 0).sum())
    room = int(counts.clamp(max=devices).sum())
    possible = k <= classes <= devices * k <= room and devices <= len(labels)
    if not possible:
        with pytest.raises(ConfigurationError, match=r"partition\."):
            by_classes(labels, devices, k, seed)
        return
    parts = by_classes(labels, devices, k, seed)
    assert len(parts) == devices
    assert_is_partition(parts, len(labels))
    assert all(len(labels[part].unique()) == k for part in parts)


@given(k=st.integers(1, 10), turns=st.integers(1, 4), seed=seeds)
@fast
def test_by_classes_is_balanced_where_it_can_be(k: int, turns: int, seed: int) -> None:
    """Ten classes of 240; devices * k a multiple of ten: sizes differ by at most k."""
    labels = torch.arange(2400) % 10
    parts = by_classes(labels, devices=10 * turns, classes_per_device=k, seed=seed)
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= k


def test_the_papers_partition() -> None:
    labels = torch.arange(50_000) % 10
    parts = by_classes(labels, devices=50, classes_per_device=5, seed=0)
    assert_is_partition(parts, 50_000)
    assert {len(part) for part in parts} == {1000}
    table = count_by_device(parts, labels, [f"class {c}" for c in range(10)])
    assert table.shape == (50, 10)
    assert ((table > 0).sum(axis=1) == 5).all()
    assert ((table > 0).sum(axis=0) == 25).all()
    assert len((table > 0).drop_duplicates()) > 20  # many combinations of classes, not a few


def test_unequal_classes_lie_on_devices_in_proportion() -> None:
    """Ten classes of 3,900 and ten of 760, as the words of speech commands are."""
    labels = torch.repeat_interleave(torch.arange(20), torch.tensor([3900] * 10 + [760] * 10))
    parts = by_classes(labels, devices=50, classes_per_device=5, seed=0)
    sizes = torch.tensor([len(part) for part in parts])
    assert sizes.min() > 0.95 * sizes.double().mean()
    assert sizes.max() < 1.05 * sizes.double().mean()


@given(
    labels=labels_of_any_kind,
    devices=st.integers(1, 130),
    alpha=st.sampled_from([1e-6, 0.01, 0.5, 10.0, 1e6]),
    seed=seeds,
)
@fast
def test_dirichlet_is_a_partition(labels: Tensor, devices: int, alpha: float, seed: int) -> None:
    assume(devices <= len(labels))
    parts = dirichlet(labels, devices, alpha, seed)
    assert len(parts) == devices
    assert_is_partition(parts, len(labels))


def test_dirichlet_shares_have_the_distributions_moments() -> None:
    """Share of a class on a device: mean 1/n, variance (n-1)/(n^2 (n alpha + 1))."""
    labels = torch.arange(2_000_000) % 400
    table = count_by_device(dirichlet(labels, 4, 0.5, seed=0), labels, [str(c) for c in range(400)])
    shares = table.to_numpy() / 5000
    expected = 3 / (16 * (4 * 0.5 + 1))
    squares = (shares - 1 / 4) ** 2
    assert squares.mean() == pytest.approx(expected, abs=3 * squares.std() / 400**0.5)
    assert abs(shares.mean(axis=1) - 1 / 4).max() < 4 * (expected / 400) ** 0.5


def test_larger_alpha_is_more_equal() -> None:
    labels = torch.arange(10_000) % 10
    spread = [
        torch.tensor([len(p) for p in dirichlet(labels, 10, alpha, 0)]).double().std()
        for alpha in (0.05, 1.0, 100.0)
    ]
    assert spread[0] > spread[1] > spread[2]


user_ids_of_any_kind = st.lists(st.integers(0, 300), min_size=1, max_size=100).map(torch.tensor)


@given(user_ids=user_ids_of_any_kind, devices=st.none() | st.integers(1, 40), seed=seeds)
@fast
def test_by_user_keeps_users_whole(user_ids: Tensor, devices: int | None, seed: int) -> None:
    users = len(user_ids.unique())
    if devices is not None and devices > users:
        with pytest.raises(ConfigurationError, match=rf"partition\.devices: found {devices};"):
            by_user(user_ids, devices, seed)
        return
    parts = by_user(user_ids, devices, seed)
    assert len(parts) == (users if devices is None else devices)
    assert_is_partition(parts, len(user_ids))
    assert sum(len(user_ids[part].unique()) for part in parts) == users


def test_by_user_balances_devices_and_orders_users() -> None:
    user_ids = torch.tensor([7] * 6 + [2] * 3 + [9] * 2 + [4])
    one_each = by_user(user_ids, None, seed=0)
    assert [user_ids[part[0]].item() for part in one_each] == [2, 4, 7, 9]
    two = by_user(user_ids, 2, seed=0)
    assert [len(part) for part in two] == [6, 6]


def test_partitions_follow_the_seed() -> None:
    labels, user_ids = torch.arange(600) % 6, torch.arange(600) // 10
    for make in (
        lambda seed: by_classes(labels, 10, 3, seed),
        lambda seed: dirichlet(labels, 10, 0.5, seed),
        lambda seed: by_user(user_ids, 7, seed),
    ):
        first, again, other = make(0), make(0), make(1)
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
        assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_describe_counts_by_hand() -> None:
    parts = [torch.tensor([0, 1, 4]), torch.tensor([2, 3])]
    table = count_by_device(parts, torch.tensor([0, 0, 1, 1, 1]), ("cat", "dog", "owl"))
    assert table.to_dict("list") == {"cat": [2, 0], "dog": [1, 2], "owl": [0, 0]}
    assert table.index.name == "device"


def test_impossible_partitions_name_the_key() -> None:
    labels = torch.arange(100) % 10
    for devices in (0, 101):
        with pytest.raises(
            ConfigurationError, match=rf"partition\.devices: found {devices};.*at most 100"
        ):
            by_classes(labels, devices, 5, seed=0)
        with pytest.raises(
            ConfigurationError, match=rf"partition\.devices: found {devices};.*at most 100"
        ):
            dirichlet(labels, devices, 1.0, seed=0)
    with pytest.raises(
        ConfigurationError, match=r"classes_per_device: found 11;.* least 2, at most 10"
    ):
        by_classes(labels, 5, 11, seed=0)
    with pytest.raises(
        ConfigurationError, match=r"classes_per_device: found 1;.* least 2, at most 10"
    ):
        by_classes(labels, 5, 1, seed=0)
    with pytest.raises(ConfigurationError, match="too few samples"):
        by_classes(torch.arange(3), 2, 1, seed=0)
    for alpha in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigurationError, match=r"partition\.alpha: found"):
            dirichlet(labels, 5, alpha, seed=0)
    with pytest.raises(ConfigurationError, match="names its users"):
        by_user(None, 5, seed=0)
