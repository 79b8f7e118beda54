"""How a selector hands on what it has chosen."""

import pytest
import torch

from titan_repro.selection.selector import _rows


@pytest.mark.parametrize("shape", [(5,), (2, 3), (3, 4, 2), (2, 3, 4, 2)])
@pytest.mark.parametrize("positions", [[], [3], [0, 2, 2, 6]])
def test_rows_are_those_of_indexing(shape: tuple[int, ...], positions: list[int]) -> None:
    whole, chosen = torch.randn(7, *shape), torch.tensor(positions, dtype=torch.int64)
    channels_last = whole.movedim(1, -1).contiguous().movedim(-1, 1)
    holes = torch.randn(7, 2, *shape)[:, 1]
    for tensor in (whole, channels_last, holes):
        found = _rows(tensor, chosen)
        assert torch.equal(found, tensor[chosen])
    assert _rows(channels_last, chosen).movedim(1, -1).is_contiguous()
    assert _rows(whole, chosen).is_contiguous()
