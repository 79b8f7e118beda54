"""Small parquet files as Hugging Face writes them, whole and damaged."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

FILE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def encode(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    """Encode (height, width[, 3]) uint8 pixels."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def random_pixels(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), np.uint8)


def write_images(
    file: Path, images: Sequence[bytes | None], labels: Sequence[int], column: str = "img"
) -> Path:
    """Write columns `column` (struct<bytes, path>) and `label` (int64)."""
    structs = pa.array([{"bytes": image, "path": None} for image in images], FILE_TYPE)
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({column: structs, "label": pa.array(labels, pa.int64())}), file)
    return file


def write_cifar10(folder: Path, train: int = 20, test: int = 10) -> np.ndarray:
    """Write a tiny lossless CIFAR-10 of one shard a split; return the training pixels."""
    pixels = random_pixels(train + test)
    for split, part in (("train", pixels[:train]), ("test", pixels[train:])):
        labels = [i % 10 for i in range(len(part))]
        write_images(folder / f"{split}-00000-of-00001.parquet", [encode(p) for p in part], labels)
    return pixels[:train]
