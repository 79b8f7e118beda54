"""Encoded images to one array of pixels. Free of torch, so that worker processes start quickly."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from joblib import Parallel, cpu_count, delayed  # type: ignore[import-untyped]
from joblib.externals.loky import get_reusable_executor  # type: ignore[import-untyped]
from numpy.typing import NDArray
from PIL import Image

from titan_repro.errors import DataError

CHUNK = 1000
"""Images a worker decodes at a time: a tenth of a second's work."""

PARALLEL_FROM = 5000
"""Fewer images are decoded sooner than worker processes are started."""


def decode_images(
    encoded: Sequence[bytes], shape: tuple[int, int, int], file: Path
) -> NDArray[np.uint8]:
    """Decode JPEG or PNG files, row by row of `file`, into (N, channels, height, width).

    Uses all cores that this process may use: Pillow holds the interpreter's lock for most of the
    time that a small image takes, so processes and not threads. Call `end_workers` afterwards.
    Raises DataError naming file and row if one cannot be decoded or is not of `shape`
    (channels, height, width), channels 1 or 3.
    """
    if len(encoded) < PARALLEL_FROM or cpu_count() == 1:
        return _decode_chunk(encoded, shape, file, 0)
    pixels = np.empty((len(encoded), *shape), np.uint8)
    starts = range(0, len(encoded), CHUNK)
    chunks = Parallel(n_jobs=-1, return_as="generator")(
        delayed(_decode_chunk)(encoded[start : start + CHUNK], shape, file, start)
        for start in starts
    )
    for start, chunk in zip(starts, chunks, strict=True):
        pixels[start : start + CHUNK] = chunk
    return pixels


def end_workers() -> None:
    """End the worker processes that `decode_images` may have started and left for its next call."""
    get_reusable_executor().shutdown(wait=True)


def image_format(encoded: bytes) -> str:
    """Return "JPEG", "PNG" or "unknown", from a file's first bytes."""
    if encoded.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    return "PNG" if encoded.startswith(b"\x89PNG") else "unknown"


def _decode_chunk(
    encoded: Sequence[bytes], shape: tuple[int, int, int], file: Path, first_row: int
) -> NDArray[np.uint8]:
    """Decode rows `first_row` ... of `file` into (n, *shape)."""
    channels, height, width = shape
    mode = {1: "L", 3: "RGB"}[channels]
    rows = []
    for row, contents in enumerate(encoded, first_row):
        try:
            with Image.open(io.BytesIO(contents), formats=("JPEG", "PNG")) as image:
                found = (image.height, image.width, image.mode)
                if found == (height, width, mode):
                    rows.append(image.tobytes())
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise DataError(
                f"{file}: image in row {row} cannot be decoded ({_reason(error)}); "
                "a JPEG or PNG file is needed"
            ) from None
        if found != (height, width, mode):
            raise DataError(
                f"{file}: image in row {row} is {found[0]}x{found[1]} {found[2]}; "
                f"{height}x{width} {mode} needed"
            )
    pixels = np.frombuffer(b"".join(rows), np.uint8).reshape(-1, height, width, channels)
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


def _reason(error: BaseException) -> str:
    """Return an error's message without the address of Pillow's buffer."""
    return " ".join(str(error).split("<")[0].split())
