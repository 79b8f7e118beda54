"""Rows of feature maps in the order in which memory holds them, so that none is copied twice."""

from torch import Tensor


def flat_rows(features: Tensor) -> Tensor:
    """Return features (n, channels, ...) as rows (n, f), channels last.

    For whom the order inside a row means nothing. This order costs no copy of convolutional
    features in channels_last memory, and is the same for every memory format.
    """
    return features.movedim(1, -1).flatten(1)


def take_rows(samples: Tensor, positions: Tensor) -> Tensor:
    """Return samples[positions] in the same memory format.

    Every sample is moved as a whole; indexing would move channels_last memory number by number.
    """
    channels_last = samples.movedim(1, -1)
    if not channels_last.is_contiguous():
        return samples.index_select(0, positions)
    rows = flat_rows(samples).index_select(0, positions)
    return rows.view(-1, *channels_last.shape[1:]).movedim(-1, 1)
