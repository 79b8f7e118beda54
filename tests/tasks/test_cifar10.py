"""CIFAR-10 from small generated copies of both layouts, and the real data where it is given."""

import hashlib
import io
import logging
import os
import pickle
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.error import URLError

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from tasks.parquet_files import FILE_TYPE, encode, random_pixels, write_cifar10, write_images
from titan_repro.compat import import_torchvision
from titan_repro.errors import DataError
from titan_repro.tasks import cifar10
from titan_repro.tasks.base import Task, counts
from titan_repro.tasks.cifar10 import Cifar10

TRAIN = "train-00000-of-00001.parquet"


def load(data: Path, cache: Path | None = None) -> Task:
    loader = Cifar10()
    return loader.load(loader.locate(data), cache)


def refusal(data: Path) -> str:
    """Return the one line with which loading is refused; nothing may be left in the cache."""
    cache = data.parent / "cache"
    with pytest.raises(DataError) as caught:
        load(data, cache)
    assert not cache.exists() or not list(cache.iterdir())
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.mark.parametrize("folder", ["cifar10", "cifar10/plain_text", "."])
def test_parquet_is_found_and_read_pixel_by_pixel(data: Path, folder: str) -> None:
    pixels = write_cifar10(data / folder)
    task = load(data)
    assert task.source == "cifar10 (parquet, PNG images)"
    assert task.input_shape == (3, 32, 32)
    assert task.train.inputs.dtype == torch.uint8
    np.testing.assert_array_equal(task.train.inputs.numpy(), pixels.transpose(0, 3, 1, 2))
    assert task.train.labels.tolist() == [i % 10 for i in range(20)]
    assert len(task.test) == 10


def test_jpeg_copies_say_so(data: Path) -> None:
    images = [encode(pixels, "JPEG") for pixels in random_pixels(2)]
    for split in ("train", "test"):
        write_images(data / f"{split}-00000-of-00001.parquet", images, [0, 1], column="image")
    assert load(data).source == "cifar10 (parquet, JPEG images)"


def test_images_beside_the_parquet_file_are_read_by_their_paths(data: Path) -> None:
    whole = write_cifar10(data / "whole")
    expected = load(data / "whole")
    for split in ("train", "test"):
        name = f"{split}-00000-of-00001.parquet"
        table = pq.read_table(data / "whole" / name).to_pydict()
        (data / split).mkdir()
        for i, image in enumerate(table["img"]):
            (data / split / f"{i}.png").write_bytes(image["bytes"])
        paths = [{"bytes": None, "path": f"{split}/{i}.png"} for i in range(len(table["img"]))]
        images = pa.array([*table["img"][:3], *paths[3:]], FILE_TYPE)  # some rows hold their bytes
        pq.write_table(pa.table({"img": images, "label": pa.array(table["label"])}), data / name)
    task = load(data, data / "cache")
    assert task.source == "cifar10 (parquet, PNG images)"
    assert task.fingerprint == expected.fingerprint
    (data / "train" / "5.png").write_bytes(encode(whole[6]))
    changed = load(data, data / "cache")  # the image's file decides the cache entry, too
    np.testing.assert_array_equal(changed.train.inputs[5].numpy(), whole[6].transpose(2, 0, 1))


def test_a_path_without_a_file_is_refused_in_one_line(data: Path) -> None:
    write_cifar10(data)
    paths = pa.array([{"bytes": None, "path": "0.png"}] * 2, FILE_TYPE)
    pq.write_table(pa.table({"img": paths, "label": pa.array([0, 1])}), data / TRAIN)
    assert refusal(data) == (
        f"{data / TRAIN}: column img holds no bytes in row 0, and its file {data / '0.png'} "
        "cannot be read (No such file or directory); bytes, or that file, needed"
    )


def opaque(pixels: np.ndarray, alpha: int = 255) -> np.ndarray:
    return np.dstack([pixels, np.full(pixels.shape[:2], alpha, np.uint8)])


def with_palette(pixels: np.ndarray, transparency: int | None = None) -> bytes:
    """Encode 32 x 32 pixels of at most 256 colours as a PNG file with a palette."""
    file = io.BytesIO()
    options = {} if transparency is None else {"transparency": transparency}
    Image.fromarray(pixels).quantize(256, dither=Image.Dither.NONE).save(file, "PNG", **options)
    return file.getvalue()


def test_opaque_rgba_and_palette_images_are_rgb_written_otherwise(data: Path) -> None:
    write_cifar10(data)
    pixels = random_pixels(2)
    pixels[1] = pixels[1, :1]  # 32 colours, so that a palette holds them all
    images = [encode(opaque(pixels[0])), with_palette(pixels[1])]
    write_images(data / TRAIN, images, [0, 1])
    np.testing.assert_array_equal(load(data).train.inputs.numpy(), pixels.transpose(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("image", "mode"),
    [
        (encode(opaque(random_pixels(1)[0], alpha=254)), "RGBA"),
        (with_palette(random_pixels(1)[0, :1].repeat(32, 0), transparency=0), "P"),
        (encode(random_pixels(1)[0, :, :, :2]), "LA"),
    ],
)
def test_images_with_transparent_pixels_are_refused(data: Path, image: bytes, mode: str) -> None:
    write_cifar10(data)
    write_images(data / TRAIN, [image], [0])
    assert f"row 0: is 32x32 {mode}; 32x32 RGB needed" in refusal(data)


def test_shards_are_joined_in_order(data: Path) -> None:
    write_cifar10(data)
    pixels = random_pixels(30, seed=1)
    for shard in range(3):
        part = pixels[10 * shard : 10 * shard + 10]
        file = data / f"train-{shard:05d}-of-00003.parquet"
        write_images(file, [encode(p) for p in part], [shard] * 10)
    (data / TRAIN).unlink()
    task = load(data)
    np.testing.assert_array_equal(task.train.inputs.numpy(), pixels.transpose(0, 3, 1, 2))
    assert task.train.labels.tolist() == [0] * 10 + [1] * 10 + [2] * 10


def test_counts_without_reading_images(data: Path) -> None:
    write_cifar10(data)
    write_images(data / TRAIN, [b"not an image"] * 4, [9, 9, 1, 9])
    table = Cifar10().count(Cifar10().locate(data))
    assert table["train"].to_dict() == {**dict.fromkeys(cifar10.CLASSES, 0), "truck": 3} | {
        "automobile": 1
    }
    assert table["test"].tolist() == [1] * 10


def test_cached_copy_is_the_same(data: Path, tmp_path: Path) -> None:
    write_cifar10(data)
    first = load(data, tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 1
    second = load(data, tmp_path / "cache")
    assert first.fingerprint == second.fingerprint == load(data).fingerprint
    assert torch.equal(first.train.inputs, second.train.inputs)
    assert torch.equal(first.mean, second.mean)


# --- what is missing or damaged


def test_missing_says_what_where_and_what_to_do(data: Path) -> None:
    data.mkdir()
    message = refusal(data)
    for part in (str(data), "parquet", cifar10.BATCHES, "titan-data fetch cifar10", "TITAN_DATA"):
        assert part in message


def test_one_part_missing(data: Path) -> None:
    write_cifar10(data)
    (data / "test-00000-of-00001.parquet").unlink()
    assert "test-*-of-*.parquet: not found" in refusal(data)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (encode(random_pixels(1)[0, :, :, 0]), "is 32x32 L; 32x32 RGB needed"),
        (encode(random_pixels(1)[0, :16]), "is 16x32 RGB; 32x32 RGB needed"),
        (b"no image at all", "cannot be decoded"),
        (encode(random_pixels(1)[0])[:200], "cannot be decoded"),
        (encode(random_pixels(1)[0], "JPEG")[:400], "cannot be decoded"),
        (encode(random_pixels(1)[0], "GIF"), "cannot be decoded"),
    ],
    ids=["greyscale", "wrong size", "undecodable", "truncated PNG", "truncated JPEG", "GIF"],
)
def test_wrong_image_is_named_by_file_and_row(data: Path, image: bytes, words: str) -> None:
    write_cifar10(data)
    file = write_images(data / TRAIN, [encode(p) for p in random_pixels(2)] + [image], [0, 1, 2])
    message = refusal(data)
    assert message.startswith(f"{file}: row 2: ")
    assert words in message


@pytest.mark.parametrize("label", [-1, 10])
def test_wrong_label_is_named_by_file_and_row(data: Path, label: int) -> None:
    write_cifar10(data)
    file = write_images(data / TRAIN, [encode(p) for p in random_pixels(2)], [0, label])
    assert refusal(data).startswith(f"{file}: label {label} in row 1")


def test_truncated_file(data: Path) -> None:
    write_cifar10(data)
    file = data / TRAIN
    file.write_bytes(file.read_bytes()[:-50])
    assert refusal(data).startswith(f"{file}: damaged or incomplete")


def test_missing_column(data: Path) -> None:
    write_cifar10(data)
    file = write_images(data / TRAIN, [b"x"], [0], column="picture")
    assert refusal(data).startswith(f"{file}: no column img or image")


def test_folder_instead_of_a_file(data: Path) -> None:
    write_cifar10(data)
    (data / TRAIN).unlink()
    (data / TRAIN).mkdir()
    assert refusal(data).startswith(f"{data / TRAIN}: is a folder")


@pytest.mark.parametrize("split", ["train", "test"])
def test_no_rows(data: Path, split: str) -> None:
    write_cifar10(data)
    file = write_images(data / f"{split}-00000-of-00001.parquet", [], [])
    assert refusal(data).startswith(f"{file}: has no rows")


def test_data_folder_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    assert "no cifar10 found" in refusal(tmp_path / "data")


def test_folder_without_permission(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_dir", refuse)  # root may read everything
    assert refusal(data).endswith(f"{cifar10.BATCHES}: cannot be read (Permission denied)")


def test_damage_is_found_in_every_file(data: Path) -> None:
    write_cifar10(data)
    train = write_images(data / TRAIN, [b"not an image"], [0])
    test = write_images(data / "test-00000-of-00001.parquet", [b""], [77])
    loader = Cifar10()
    found = list(loader.find_damage(loader.locate(data)))
    assert [line.split(": ")[0] for line in found] == [str(train), str(test)]
    assert "row 0: cannot be decoded" in found[0]
    assert "label 77 in row 0" in found[1]


# --- torchvision's layout


def write_original(root: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Write the original's seven files with few images; make their checksums the expected ones."""
    folder = root / cifar10.BATCHES
    folder.mkdir(parents=True)
    pixels = random_pixels(60, seed=2)
    flat = pixels.transpose(0, 3, 1, 2).reshape(60, -1)
    names = cifar10.BATCH_FILES[:-1]
    for i, name in enumerate(names):
        batch = {"data": flat[10 * i : 10 * i + 10], "labels": list(range(10))}
        (folder / name).write_bytes(pickle.dumps(batch))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(cifar10.CLASSES)}))
    md5 = {f.name: hashlib.md5(f.read_bytes()).hexdigest() for f in folder.iterdir()}
    original = import_torchvision("torchvision.datasets").CIFAR10
    monkeypatch.setattr(original, "train_list", [[name, md5[name]] for name in names[:5]])
    monkeypatch.setattr(original, "test_list", [[names[5], md5[names[5]]]])
    meta = {**original.meta, "md5": md5["batches.meta"]}
    monkeypatch.setattr(original, "meta", meta)
    return pixels


@pytest.mark.parametrize("folder", ["cifar10", "."])
def test_original_is_read_pixel_by_pixel(
    data: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = write_original(data / folder, monkeypatch).transpose(0, 3, 1, 2)
    task = load(data)
    assert task.source == "cifar10 (torchvision original, checksummed)"
    np.testing.assert_array_equal(task.train.inputs.numpy(), pixels[:50])
    np.testing.assert_array_equal(task.test.inputs.numpy(), pixels[50:])
    assert task.test.labels.tolist() == list(range(10))
    assert counts(task).equals(Cifar10().count(Cifar10().locate(data)))


def test_original_is_preferred_and_the_log_says_so(
    data: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    write_original(data / "cifar10", monkeypatch)
    alone = Cifar10().locate(data)
    assert caplog.text == ""
    write_cifar10(data / "cifar10")
    assert Cifar10().locate(data) == alone
    assert "taken before the parquet copy beside it" in caplog.text


def test_original_with_a_changed_byte_is_refused(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_original(data, monkeypatch)
    file = data / cifar10.BATCHES / "data_batch_3"
    file.write_bytes(file.read_bytes() + b"\0")
    message = refusal(data)
    assert message.startswith(f"{file}: ")
    assert "checksum" in message
    assert list(Cifar10().find_damage(Cifar10().locate(data))) == [message]


def test_original_with_a_missing_file_is_refused(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_original(data, monkeypatch)
    (data / cifar10.BATCHES / "test_batch").unlink()
    assert "test_batch: not found" in refusal(data)


def test_original_without_permission(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_original(data, monkeypatch)
    datasets = import_torchvision("torchvision.datasets")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(datasets.utils, "check_integrity", refuse)  # root may read everything
    assert "cannot be read" in refusal(data)


# --- fetching


def test_fetch_is_torchvisions_download(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    datasets = import_torchvision("torchvision.datasets")
    monkeypatch.setattr(
        datasets, "CIFAR10", lambda root, download: calls.append((Path(root), download))
    )
    Cifar10().fetch(data)
    assert calls == [(data / "cifar10", True)]


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder's files by HTTP on this machine; yield the address."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_interrupted_fetch_begins_again(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_original(data / "server", monkeypatch)
    archive = data / "server" / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(data / "server" / cifar10.BATCHES, cifar10.BATCHES)
    original = import_torchvision("torchvision.datasets").CIFAR10
    monkeypatch.setattr(original, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    monkeypatch.setenv("no_proxy", "*")
    (data / "cifar10" / cifar10.BATCHES).mkdir(parents=True)
    (data / "cifar10" / archive.name).write_bytes(archive.read_bytes()[:1000])
    assert "titan-data fetch cifar10" in refusal(data)
    with served(data / "server") as address:
        monkeypatch.setattr(original, "url", f"{address}/{archive.name}")
        Cifar10().fetch(data)
    assert len(load(data).train) == 50


@pytest.mark.parametrize(
    "failure",
    [
        URLError("Name or service not known"),
        RuntimeError("File not found or corrupted."),
        PermissionError(13, "Permission denied"),
        EOFError("Compressed file ended before\nthe end-of-stream marker was reached"),
    ],
)
def test_failed_fetch_is_one_line(
    data: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fail(*_: object) -> None:
        raise failure

    datasets = import_torchvision("torchvision.datasets")
    monkeypatch.setattr(datasets.CIFAR10, "download", fail)
    with pytest.raises(DataError, match=r"^[^\n]*cifar10 could not be downloaded[^\n]*$"):
        Cifar10().fetch(data)


# --- the real data


@pytest.mark.skipif("TITAN_DATA" not in os.environ, reason="TITAN_DATA names no data folder")
def test_real_data_is_counted() -> None:
    loader = Cifar10()
    table = loader.count(loader.locate(Path(os.environ["TITAN_DATA"])))
    assert table["train"].tolist() == [5000] * 10
    assert table["test"].tolist() == [1000] * 10


@pytest.mark.slow
@pytest.mark.skipif("TITAN_DATA" not in os.environ, reason="TITAN_DATA names no data folder")
def test_real_data_is_decoded() -> None:
    """All 60,000 pictures."""
    loader = Cifar10()
    source = loader.locate(Path(os.environ["TITAN_DATA"]))
    task = loader.load(source, None)
    assert counts(task).equals(loader.count(source))
    # the data set's published channel means, 0.4914, 0.4822, 0.4465, whatever the encoding
    published = torch.tensor([0.4914, 0.4822, 0.4465])
    torch.testing.assert_close(task.mean.flatten() / 255, published, atol=2e-3, rtol=0)
