"""Reading Hugging Face's parquet files: named columns of a known type, or one clear error.

Only what all loaders share: finding the shards of a split and reading columns of integers, text
or embedded files (`struct<bytes, path>`, as Hugging Face stores images and audio).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from titan_repro.errors import DataError

SHARD = re.compile(r"(?P<split>.+)-(?P<index>\d{5})-of-(?P<total>\d{5})\.parquet")


@dataclass(frozen=True)
class Column:
    """A column to read: the names it may have (the first found is read) and its type.

    `key` names it in the result of `read_columns`.
    """

    key: str
    names: tuple[str, ...]
    needed: str
    convert: Callable[[pa.ChunkedArray], pa.ChunkedArray]
    accepts: Callable[[pa.DataType], bool]


def integers(name: str, *others: str) -> Column:
    """Describe a column of integers of any width; read as int64."""
    return Column(
        name, (name, *others), "integers", lambda c: c.cast(pa.int64()), pa.types.is_integer
    )


def text(name: str, *others: str) -> Column:
    """Describe a column of text, plain or dictionary-encoded; read as strings."""
    return Column(name, (name, *others), "text", lambda c: c.cast(pa.string()), _is_text)


def embedded_files(name: str, *others: str) -> Column:
    """Describe a column `struct<bytes: binary, path: string>`, or plain binary; read as bytes."""
    return Column(name, (name, *others), "struct<bytes: binary, path: string>", _bytes, _is_file)


def find_shards(folder: Path, split: str) -> tuple[Path, ...]:
    """Return a split's files `<split>-00000-of-00002.parquet` ... in order, () if there is none.

    Raises DataError naming the first missing file where some of a set are missing.
    """
    found = {file.name: file for file in folder.glob(f"{split}-*-of-*.parquet")}
    matches = [match for match in map(SHARD.fullmatch, found) if match and match["split"] == split]
    totals = sorted({match["total"] for match in matches})
    if not totals:
        return ()
    if len(totals) > 1:
        raise DataError(
            f"{folder}: files of {len(totals)} different sets of {split} (of {', '.join(totals)}); "
            "keep one set"
        )
    names = [f"{split}-{i:05d}-of-{totals[0]}.parquet" for i in range(int(totals[0]))]
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(
            f"{folder / missing[0]}: not found; {len(missing)} of the {len(names)} {split} files "
            "are missing"
        )
    return tuple(found[name] for name in names)


def count_rows(file: Path) -> int:
    """Return the number of rows, from the file's footer. Raises DataError as `read_columns`."""
    rows: int = _reading(file, lambda: pq.ParquetFile(file).metadata.num_rows)
    return rows


def read_through(file: Path) -> None:
    """Read and decompress all of a file. Raises DataError as `read_columns`."""
    parquet = _reading(file, lambda: pq.ParquetFile(file))
    with parquet:
        for group in range(parquet.num_row_groups):
            _reading(file, partial(parquet.read_row_group, group))


def read_columns(file: Path, *columns: Column) -> dict[str, pa.ChunkedArray]:
    """Read the given columns only, {column.key: array of one entry a row}, without nulls.

    Raises DataError, one line with the file's name, if the file is missing, a folder, not
    readable, truncated or damaged, lacks a column, or a column has another type or a null.
    """
    parquet = _reading(file, lambda: pq.ParquetFile(file))
    with parquet:
        names = [_find(column, parquet.schema_arrow, file) for column in columns]
        table = _reading(file, lambda: parquet.read(columns=names))
    result = {}
    for column, name in zip(columns, names, strict=True):
        values = _reading(file, partial(column.convert, table[name]))
        if values.null_count:
            row = values.is_null().to_pylist().index(True)
            raise DataError(f"{file}: column {name} is empty in row {row}; {column.needed} needed")
        result[column.key] = values
    return result


def first_row(file: Path, column: Column) -> Any:
    """Return the column's first value without reading much else. Raises as `read_columns`.

    A file without rows is refused.
    """
    parquet = _reading(file, lambda: pq.ParquetFile(file))
    with parquet:
        name = _find(column, parquet.schema_arrow, file)
        if not parquet.metadata.num_rows:
            raise DataError(f"{file}: has no rows; at least one is needed")
        batch = _reading(file, lambda: next(parquet.iter_batches(1, columns=[name])))
    return column.convert(pa.chunked_array([batch[name]]))[0].as_py()


def _reading(file: Path, read: Callable[[], Any]) -> Any:
    """Return read(), with every failure turned into one line that names the file."""
    try:
        if file.is_dir():
            raise DataError(f"{file}: is a folder; a parquet file is needed")
        return read()
    except FileNotFoundError:
        raise DataError(f"{file}: not found; a parquet file is needed") from None
    except PermissionError:
        raise DataError(f"{file}: no permission to read it; a readable file is needed") from None
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{file}: damaged or incomplete ({reason}); a whole parquet file is needed"
        ) from None


def _find(column: Column, schema: pa.Schema, file: Path) -> str:
    """Return the name that the column has in this file, if it is of the right type."""
    name = next((name for name in column.names if name in schema.names), None)
    if name is None:
        raise DataError(
            f"{file}: no column {' or '.join(column.names)}; it has {', '.join(schema.names)}"
        )
    found = schema.field(name).type
    if not column.accepts(found):
        raise DataError(f"{file}: column {name} is {found}; {column.needed} needed")
    return name


def _is_text(found: pa.DataType) -> bool:
    if pa.types.is_dictionary(found):
        found = found.value_type
    return bool(pa.types.is_string(found) or pa.types.is_large_string(found))


def _is_file(found: pa.DataType) -> bool:
    if pa.types.is_struct(found) and "bytes" in [field.name for field in found]:
        found = found.field("bytes").type
    return bool(pa.types.is_binary(found) or pa.types.is_large_binary(found))


def _bytes(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_struct(column.type):
        return column
    # flatten, unlike field, marks the bytes of a null struct as null
    position = [field.name for field in column.type].index("bytes")
    return column.flatten()[position]
