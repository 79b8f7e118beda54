import pytest
import torch

from titan_repro.errors import DataError
from titan_repro.tasks.readers import standardise
from titan_repro.tasks.readers.standardise import channel_moments


@pytest.mark.parametrize("chunk", [1, 100, 1 << 19])
@pytest.mark.parametrize("channel", [0, 1])
def test_equals_one_pass_over_everything(
    channel: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standardise, "CHUNK_ELEMENTS", chunk)
    values = torch.rand(37, 4, 5, generator=torch.Generator().manual_seed(0)) + 1000
    mean, std = channel_moments(values, channel)
    shape = (4, 1) if channel == 0 else (1, 5)
    assert mean.shape == std.shape == shape
    flat = values.double().movedim(channel + 1, 0).flatten(1)
    torch.testing.assert_close(mean.flatten(), flat.mean(1).float())
    torch.testing.assert_close(std.flatten(), flat.std(1, correction=0).float())


def test_whole_numbers_do_not_overflow() -> None:
    mean, std = channel_moments(torch.full((10, 1, 4), 255, dtype=torch.uint8))
    assert (mean.item(), std.item()) == (255, 1)


def test_constant_channel_is_only_centred_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    inputs = torch.rand(50, 3, 2, generator=torch.Generator().manual_seed(0))
    inputs[:, 1] = 0.1
    _, std = channel_moments(inputs)
    assert std[1].item() == 1
    assert (std[[0, 2]] < 0.5).all()
    assert "channel 1" in caplog.text


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_not_finite_is_refused(value: float) -> None:
    inputs = torch.zeros(5, 3)
    inputs[2, 2] = value
    with pytest.raises(DataError, match="channel 2"):
        channel_moments(inputs)


def test_no_input_is_an_error() -> None:
    with pytest.raises(DataError, match="found 0 training samples; allowed: at least 1"):
        channel_moments(torch.zeros(0, 4, 5))
