import logging
import os
from pathlib import Path

import pytest
import torch

from titan_repro.errors import DataError
from titan_repro.tasks import cache as cache_module
from titan_repro.tasks.base import Split
from titan_repro.tasks.cache import cached, cached_task, fingerprint_files, fingerprint_tensors


class Preparation:
    """Counts how often the tensors are made."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> dict[str, torch.Tensor]:
        self.times += 1
        return {"a": torch.arange(1000), "b": torch.ones(3, dtype=torch.float16)}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "data.bin"
    file.write_bytes(b"contents")
    return file


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def test_prepares_once(tmp_path: Path, file: Path) -> None:
    prepare = Preparation()
    first, second = (cached(tmp_path / "c", "t", {}, [file], prepare) for _ in range(2))
    assert prepare.times == 1
    assert equal(first, second)
    assert equal(first, Preparation()())


def test_none_never_stores(tmp_path: Path) -> None:
    prepare = Preparation()
    cached(None, "t", {}, [], prepare)
    cached(None, "t", {}, [], prepare)
    assert prepare.times == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", ["settings", "size", "time"])
def test_a_change_makes_another_entry(tmp_path: Path, file: Path, change: str) -> None:
    before = fingerprint_files([file], {"bands": 40})
    if change == "size":
        file.write_bytes(b"more contents")
    if change == "time":
        os.utime(file, ns=(1, 1))
    after = fingerprint_files([file], {"bands": 41 if change == "settings" else 40})
    assert before != after


def test_vanished_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.bin: cannot be read"):
        cached(tmp_path, "t", {}, [tmp_path / "absent.bin"], Preparation())


def flip_middle(contents: bytes) -> bytes:
    middle = len(contents) // 2
    return contents[:middle] + bytes([contents[middle] ^ 255]) + contents[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda contents: b"",
        lambda contents: b"not torch",
        lambda contents: contents[:-100],
        flip_middle,
    ],
    ids=["empty", "garbage", "truncated", "one byte flipped"],
)
def test_damaged_entry_is_made_anew(
    tmp_path: Path, damage, caplog: pytest.LogCaptureFixture
) -> None:
    prepare = Preparation()
    cached(tmp_path, "t", {}, [], prepare)
    (entry,) = tmp_path.iterdir()
    entry.write_bytes(damage(entry.read_bytes()))
    assert equal(cached(tmp_path, "t", {}, [], prepare), Preparation()())
    assert prepare.times == 2
    assert "cannot be read" in caplog.text
    cached(tmp_path, "t", {}, [], prepare)
    assert prepare.times == 2


def test_failed_preparation_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> dict[str, torch.Tensor]:
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        cached(tmp_path / "c", "t", {}, [], fail)
    assert not (tmp_path / "c").exists()


def test_failed_write_costs_a_warning_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(tensors: object, file) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_module.torch, "save", full)
    assert equal(cached(tmp_path, "t", {}, [], Preparation()), Preparation()())
    assert "No space left" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_first_preparation_is_announced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    cached(tmp_path, "t", {}, [], Preparation())
    assert "preparing t" in caplog.text


def test_fingerprint_depends_on_names_types_shapes_and_contents() -> None:
    tensor = torch.arange(6, dtype=torch.int32)
    variants = [
        {"a": tensor},
        {"b": tensor},
        {"a": tensor.float()},
        {"a": tensor.reshape(2, 3)},
        {"a": tensor + 1},
    ]
    assert len({fingerprint_tensors(variant) for variant in variants}) == len(variants)
    assert fingerprint_tensors({"a": tensor.reshape(2, 3).T}) == fingerprint_tensors(
        {"a": tensor.reshape(2, 3).T.contiguous()}
    )


def test_cached_task_is_the_task_that_was_prepared(tmp_path: Path) -> None:
    inputs = torch.arange(24, dtype=torch.uint8).reshape(4, 2, 3)
    train = Split(inputs, torch.tensor([0, 1, 0, 1]), user_ids=torch.tensor([7, 7, 8, 8]))
    test = Split(inputs[:1] + 100, torch.tensor([1]))
    tasks = [
        cached_task(
            tmp_path,
            name="t",
            source="t (here)",
            classes=("no", "yes"),
            settings={},
            files=[],
            prepare=lambda: (train, test),
        )
        for _ in range(2)
    ]
    assert len(list(tmp_path.iterdir())) == 1
    assert tasks[0].fingerprint == tasks[1].fingerprint
    for task in tasks:
        assert torch.equal(task.train.inputs, train.inputs)
        assert torch.equal(task.train.user_ids, train.user_ids)
        assert torch.equal(task.test.labels, test.labels)
        assert task.test.user_ids is None
        by_channel = inputs.double().transpose(0, 1).flatten(1)
        torch.testing.assert_close(task.mean.flatten().double(), by_channel.mean(1))
        torch.testing.assert_close(task.std.flatten().double(), by_channel.std(1, correction=0))
