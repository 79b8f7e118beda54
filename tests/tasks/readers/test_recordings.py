"""Decoding by several threads: order, laziness and the end at an error."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from titan_repro.errors import DataError
from titan_repro.tasks.readers import recordings
from titan_repro.tasks.readers.recordings import EncodedFile, decode_into


def numbered(count: int, begun: list[int] | None = None) -> Iterator[EncodedFile]:
    """Yield files that hold their number; `begun` collects which were asked for."""
    for i in range(count):
        if begun is not None:
            begun.append(i)
        yield EncodedFile(f"file {i}", lambda i=i: i.to_bytes(4, "little"))


def decode(files: list[EncodedFile]) -> Tensor:
    return torch.tensor([[int.from_bytes(file.read(), "little")] for file in files])


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 1000])
def test_order_is_kept(monkeypatch: pytest.MonkeyPatch, threads: int, count: int) -> None:
    monkeypatch.setattr(recordings, "_cores", lambda: threads)
    out = torch.full((count, 1), -1)
    decode_into(out, numbered(count), decode, "numbers")
    assert out.flatten().tolist() == list(range(count))


def test_the_first_error_ends_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(files: list[EncodedFile]) -> Tensor:
        if files[0].name == "file 64":
            raise ValueError(files[0].name)
        return decode(files)

    monkeypatch.setattr(recordings, "_cores", lambda: 2)
    begun: list[int] = []
    with pytest.raises(ValueError, match="file 64"):
        decode_into(torch.empty(10_000, 1), numbered(10_000, begun), fail, "numbers")
    assert len(begun) <= 32 * (3 + 2 * 2)  # the batch that failed and those waiting behind it


def test_an_error_of_an_earlier_file_goes_before_one_of_listing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def listed(count: int) -> Iterator[EncodedFile]:
        yield from numbered(count)
        raise DataError("the list ends")

    def refuse(files: list[EncodedFile]) -> Tensor:
        for file in files:
            file.read()
            if file.name == "file 33":
                raise DataError(file.name)
        return decode(files)

    monkeypatch.setattr(recordings, "_cores", lambda: 2)
    with pytest.raises(DataError, match="file 33"):
        decode_into(torch.empty(40, 1), listed(40), refuse, "numbers")
    with pytest.raises(DataError, match="the list ends"):
        decode_into(torch.empty(32, 1), listed(32), decode, "numbers")


def test_no_bar_is_drawn_away_from_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    decode_into(torch.empty(100, 1), numbered(100), decode, "numbers")
    assert capsys.readouterr() == ("", "")
