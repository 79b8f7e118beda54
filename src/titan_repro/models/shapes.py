"""Which inputs a model takes, and one clear line where it is given others."""

from collections.abc import Sequence

IMAGE_MODELS = ("alexnet", "mobilenet", "resnet34", "resnet50", "small_cnn", "squeezenet")
VECTOR_MODELS = ("mlp",)
"""The models of this package, for the messages below; any other model may use the checks too."""

SMALLEST_SIDE = 8
"""Pixels: the image models halve an image up to four times and must be left with a pixel."""


def image_channels(model: str, input_shape: Sequence[int]) -> int:
    """Return the channels of images of shape (channels, height, width).

    Raises ValueError if the shape is another or a side is shorter than SMALLEST_SIDE.
    """
    if len(input_shape) != 3:
        raise ValueError(
            f"{model} takes images (channels, height, width), not {_kind(input_shape)} "
            f"{tuple(input_shape)}; vector models: {', '.join(VECTOR_MODELS)}"
        )
    channels, height, width = input_shape
    if channels < 1 or min(height, width) < SMALLEST_SIDE:
        raise ValueError(
            f"{model} takes images of at least {SMALLEST_SIDE} x {SMALLEST_SIDE} pixels and one "
            f"channel, not {tuple(input_shape)}"
        )
    return channels


def vector_length(model: str, input_shape: Sequence[int]) -> int:
    """Return d for vectors of shape (d,). Raises ValueError for any other shape."""
    if len(input_shape) != 1:
        raise ValueError(
            f"{model} takes vectors (d,), not {_kind(input_shape)} {tuple(input_shape)}; "
            f"image models: {', '.join(IMAGE_MODELS)}"
        )
    (length,) = input_shape
    if length < 1:
        raise ValueError(f"{model} takes vectors of at least one number, not {tuple(input_shape)}")
    return length


def _kind(input_shape: Sequence[int]) -> str:
    return {1: "vectors", 3: "images"}.get(len(input_shape), "samples of shape")
