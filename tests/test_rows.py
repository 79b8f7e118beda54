"""Rows of samples and features in the order in which memory holds them."""

import pytest
import torch

from titan_repro.models.inference.scoring import flat_rows, take_rows


@pytest.mark.parametrize("shape", [(5,), (2, 3), (3, 4, 2), (2, 3, 4, 2)])
@pytest.mark.parametrize("positions", [[], [3], [0, 2, 2, 6]])
def test_rows_are_those_of_indexing(shape: tuple[int, ...], positions: list[int]) -> None:
    whole, chosen = torch.randn(7, *shape), torch.tensor(positions, dtype=torch.int64)
    channels_last = whole.movedim(1, -1).contiguous().movedim(-1, 1)
    holes = torch.randn(7, 2, *shape)[:, 1]
    for tensor in (whole, channels_last, holes):
        found = take_rows(tensor, chosen)
        assert torch.equal(found, tensor[chosen])
    assert take_rows(channels_last, chosen).movedim(1, -1).is_contiguous()
    assert take_rows(whole, chosen).is_contiguous()


def test_features_of_any_shape_and_memory_format_give_the_same_rows() -> None:
    features = torch.randn(4, 3, 5, 6)
    other_format = features.contiguous(memory_format=torch.channels_last)
    assert torch.equal(flat_rows(features), flat_rows(other_format))
    assert flat_rows(other_format).data_ptr() == other_format.data_ptr()
    assert torch.equal(flat_rows(features[2:3]), flat_rows(other_format)[2:3])
    assert flat_rows(features[:, :, 0, 0]).shape == (4, 3)
