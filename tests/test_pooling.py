"""Pooling piece by piece gives what nn.MaxPool2d gives."""

from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from titan_repro.models.inference import pooling
from titan_repro.models.inference.pooling import PooledInPieces, can_pool, max_pool

FORMATS = torch.contiguous_format, torch.channels_last


@st.composite
def layers(draw: st.DrawFn) -> nn.MaxPool2d:
    """Return a layer that is known: its rows' windows overlap, its columns' may not."""
    kernel = draw(st.integers(2, 5)), draw(st.integers(1, 5))
    stride = draw(st.integers(1, kernel[0] - 1)), draw(st.integers(1, 5))
    if draw(st.booleans()):
        return nn.MaxPool2d(kernel, stride, ceil_mode=True)
    padding = tuple(draw(st.integers(0, (k - 1) // 2)) for k in kernel)
    return nn.MaxPool2d(kernel, stride, padding)  # type: ignore[arg-type]


@given(
    layers(),
    st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(5, 12), st.integers(5, 12)),
    st.sampled_from(FORMATS),
    st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_maxima_of_every_window(
    pool: nn.MaxPool2d,
    shape: tuple[int, int, int, int],
    memory: torch.memory_format,
    has_nan: bool,
) -> None:
    assert can_pool(pool)
    maps = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    maps = maps.contiguous(memory_format=memory)
    maps[0, 0, -1, 0] = torch.nan if has_nan else 5.0
    expected = pool(maps)
    out = torch.empty_like(expected)
    max_pool(maps, pool, out)
    assert same(out, expected)


def same(found: Tensor, expected: Tensor) -> bool:
    return torch.equal(found.nan_to_num(99), expected.nan_to_num(99))


@pytest.mark.parametrize("memory", FORMATS)
@pytest.mark.parametrize("samples", [1, 4, 5, 11])
def test_a_piece_has_as_many_samples_as_fit(samples: int, memory: torch.memory_format) -> None:
    """A sample makes 2 x 6 x 6 float32 of the convolution: 288 bytes, three in 1,000."""
    torch.manual_seed(0)
    convolution = nn.Conv2d(1, 2, 3, padding=1).to(memory_format=memory)
    pool = nn.MaxPool2d([3, 3], 2, 1)
    inputs, seen = torch.randn(samples, 1, 6, 6), []
    pooled = PooledInPieces(convolution, pool)  # its first call looks at one sample by itself
    with torch.no_grad(), patch.object(pooling, "PIECE_BYTES", 1000):
        pooled(inputs)
        convolution.register_forward_hook(lambda _layer, given, _out: seen.append(len(given[0])))
        found = pooled(inputs)
        assert sum(seen) == samples
        assert max(seen) == min(samples, 3)
        assert len(seen) == -(-samples // 3)
        expected = pool(convolution(inputs))
        assert torch.allclose(found, expected, atol=1e-6)
        assert found.is_contiguous(memory_format=memory)
        rectified = PooledInPieces(convolution, pool, rectified=True)(inputs)
        assert torch.allclose(rectified, expected.relu(), atol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        nn.MaxPool2d(2),  # windows that do not overlap: nothing to be had
        nn.MaxPool2d(3, 2, return_indices=True),
        nn.MaxPool2d(3, 2, dilation=2),
        nn.MaxPool2d(2, 1, padding=1),  # the first window's middle lies between padding and maps
        nn.MaxPool2d(3, 2, padding=1, ceil_mode=True),  # a window may begin in the padding
        nn.AvgPool2d(3, 2),
        nn.ReLU(),
    ],
)
def test_what_is_left_to_others(layer: nn.Module) -> None:
    assert not can_pool(layer)
