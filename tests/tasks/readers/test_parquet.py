from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.parquet_files import write_images
from titan_repro.errors import DataError
from titan_repro.tasks.readers.parquet import (
    count_parquet_rows,
    embedded_files,
    find_shards,
    first_row,
    integers,
    read_columns,
    text,
)


def refusal(file: Path, *columns) -> str:
    """Return the one line with which reading is refused; it must name the file."""
    with pytest.raises(DataError) as caught:
        read_columns(file, *(columns or (integers("label"),)))
    message = str(caught.value)
    assert message.startswith(f"{file}: ")
    assert "\n" not in message
    return message


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_images(tmp_path / "good.parquet", [b"one", b"two", b"three"], [4, 5, 6])


def test_reads_only_what_is_named_under_its_key(good: Path) -> None:
    columns = read_columns(good, embedded_files("image", "img"))
    assert {key: values.to_pylist() for key, values in columns.items()} == {
        "image": [b"one", b"two", b"three"]
    }
    assert first_row(good, embedded_files("image", "img")) == b"one"
    assert count_parquet_rows(good) == 3


@pytest.mark.parametrize("width", [pa.int8(), pa.uint16(), pa.int32()])
def test_integers_of_any_width_become_int64(tmp_path: Path, width: pa.DataType) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"label": pa.array([1, 2], width)}), file)
    assert read_columns(file, integers("label"))["label"].type == pa.int64()


def test_text_may_be_dictionary_encoded_and_files_may_be_plain_bytes(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    words = pa.array(["yes", "no", "yes"]).dictionary_encode()
    pq.write_table(pa.table({"label": words, "audio": [b"x", b"y", b"z"]}), file)
    columns = read_columns(file, text("label"), embedded_files("audio"))
    assert columns["label"].to_pylist() == ["yes", "no", "yes"]
    assert columns["audio"].to_pylist() == [b"x", b"y", b"z"]


def test_truncated(good: Path) -> None:
    good.write_bytes(good.read_bytes()[:-20])
    assert "damaged or incomplete" in refusal(good)


def test_damaged_in_the_middle(tmp_path: Path) -> None:
    file = write_images(tmp_path / "a.parquet", [bytes(range(256)) * 40] * 50, [0] * 50)
    contents = bytearray(file.read_bytes())
    contents[4:40] = b"\xff" * 36
    file.write_bytes(contents)
    assert "damaged or incomplete" in refusal(file, embedded_files("img"))


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").touch()
    assert "damaged or incomplete" in refusal(tmp_path / "a.parquet")


def test_folder(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)


def test_missing_file(tmp_path: Path) -> None:
    assert "cannot be read (No such file" in refusal(tmp_path / "a.parquet")


def test_no_permission(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pq, "ParquetFile", refuse)  # root may read everything
    assert "cannot be read (Permission denied)" in refusal(good)


def test_missing_column(good: Path) -> None:
    assert refusal(good, text("word", "speaker")).endswith(
        "no column word or speaker; it has img, label"
    )


@pytest.mark.parametrize("column", [text("label"), embedded_files("label"), integers("img")])
def test_wrong_type(good: Path, column) -> None:
    assert f"{column.needed} needed" in refusal(good, column)


def test_missing_value_is_named_by_row(tmp_path: Path) -> None:
    file = write_images(tmp_path / "a.parquet", [b"x", None, b"z"], [0, 0, 0])
    assert "column img is empty in row 1" in refusal(file, embedded_files("img"))


def test_number_that_does_not_fit(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"label": pa.array([2**63], pa.uint64())}), file)
    refusal(file)


def test_first_row_of_none(tmp_path: Path) -> None:
    file = write_images(tmp_path / "a.parquet", [], [])
    with pytest.raises(DataError, match="has no rows"):
        first_row(file, integers("label"))


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


def test_shards_come_in_order_and_other_splits_are_left_out(tmp_path: Path) -> None:
    names = [f"train-{i:05d}-of-00003.parquet" for i in range(3)]
    touch(tmp_path, *reversed(names), "test-00000-of-00001.parquet")
    assert [file.name for file in find_shards(tmp_path, "train")] == names
    assert find_shards(tmp_path, "validation") == ()
    assert find_shards(tmp_path / "absent", "train") == ()


def test_missing_shard_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "train-00000-of-00003.parquet", "train-00002-of-00003.parquet")
    with pytest.raises(DataError, match=r"train-00001-of-00003\.parquet: not found"):
        find_shards(tmp_path, "train")


def test_two_sets_of_shards_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "train-00000-of-00001.parquet", "train-00000-of-00002.parquet")
    with pytest.raises(DataError, match="2 different sets of train"):
        find_shards(tmp_path, "train")
