"""Hugging Face's parquet files are read as named columns of a known type, or refused in one line.

Here stands what all loaders share: finding the shards of a split and reading columns of integers,
text or embedded files (`struct<bytes, path>`, as Hugging Face stores images and audio). Where the
bytes are null, as `datasets` writes them with `embed_external_files=False`, the file that `path`
names is read beside the parquet file.
"""

import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from titan_repro.errors import DataError
from titan_repro.tasks.readers.lfs import refuse_pointer, refuse_pointer_file

READING_ERRORS = (OSError, pa.ArrowException, UnicodeError, MemoryError, OverflowError)
"""What pyarrow raises for damaged files; the last three for lengths and names
that are damaged, or a path that the locale cannot spell."""
SHARD = re.compile(r"(?P<split>.+)-(?P<index>\d{5})-of-(?P<total>\d{5})\.parquet")


@dataclass(frozen=True)
class ParquetColumn:
    """A column to read: the names it may have (the first found is read) and its type.

    key: names it in the result of `read_columns`.
    convert: from the column, its name and the parquet file to the column as it is read.
    """

    key: str
    names: tuple[str, ...]
    needed: str
    convert: Callable[[pa.ChunkedArray, str, Path], pa.ChunkedArray]
    accepts: Callable[[pa.DataType], bool]


def integers(name: str, *others: str) -> ParquetColumn:
    """Describe a column of integers of any width; read as int64."""
    return ParquetColumn(name, (name, *others), "integers", _int64, pa.types.is_integer)


def text(name: str, *others: str) -> ParquetColumn:
    """Describe a column of text, plain or dictionary-encoded; read as strings."""
    return ParquetColumn(name, (name, *others), "text", _strings, _is_text)


def embedded_files(name: str, *others: str) -> ParquetColumn:
    """Describe a column `struct<bytes: binary, path: string>`, or plain binary; read as bytes.

    A row whose bytes are null is read from the file that its path names, beside the parquet file.
    """
    return ParquetColumn(
        name, (name, *others), "struct<bytes: binary, path: string>", _bytes, _is_file
    )


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


def count_parquet_rows(file: Path) -> int:
    """Return the number of rows, from the file's footer. Raises DataError as `read_columns`."""
    rows: int = _reading(file, lambda: pq.ParquetFile(file).metadata.num_rows)
    return rows


def read_through(file: Path) -> None:
    """Read and decompress all of a file. Raises DataError as `read_columns`."""
    parquet = _reading(file, lambda: pq.ParquetFile(file))
    with parquet:
        for group in range(parquet.num_row_groups):
            _reading(file, partial(parquet.read_row_group, group))


def unreadable_files(files: Iterable[Path], already: str = "") -> Iterator[str]:
    """Yield one line for each parquet file that cannot be read through.

    Other files are passed over, and so is the one that the line `already` begins with.
    """
    for file in files:
        if file.suffix == ".parquet" and not already.startswith(f"{file}: "):
            try:
                read_through(file)
            except DataError as error:
                yield str(error)


def linked_files(file: Path, column: ParquetColumn) -> tuple[Path, ...]:
    """Return the files that rows of an `embedded_files` column name instead of holding bytes.

    Takes milliseconds where the footer says that every row holds its bytes. A parquet file that
    cannot be read and named files that are not there are left out: reading the rows says so.
    """
    try:
        parquet = _reading(file, lambda: pq.ParquetFile(file))
        with parquet:
            name = _find(column, parquet, file)
            if _reading(file, lambda: _all_hold_bytes(parquet.metadata, name)):
                return ()
            values = _reading(file, lambda: parquet.read(columns=[name]))[name]
            links = _reading(file, lambda: _linked(values, file)).values()
            return tuple(link for link in links if link.is_file())
    except DataError:
        return ()


def read_columns(file: Path, *columns: ParquetColumn) -> dict[str, pa.ChunkedArray]:
    """Read the given columns only, {column.key: array of one entry a row}, without nulls.

    Raises DataError, one line with the file's name, if the file is missing, a folder, not
    readable, truncated or damaged, lacks a column, or a column has another type or a null.
    """
    parquet = _reading(file, lambda: pq.ParquetFile(file))
    with parquet:
        names = [_find(column, parquet, file) for column in columns]
        table = _reading(file, lambda: parquet.read(columns=names))
    result = {}
    for column, name in zip(columns, names, strict=True):
        result[column.key] = _convert(column, table[name], name, file)
    return result


def first_row(file: Path, column: ParquetColumn) -> Any:
    """Return the column's first value without reading much else. Raises as `read_columns`.

    A file without rows is refused.
    """
    parquet = _reading(file, lambda: pq.ParquetFile(file))
    with parquet:
        name = _find(column, parquet, file)
        if not parquet.metadata.num_rows:
            raise DataError(f"{file}: has no rows; at least one is needed")
        batch = _reading(file, lambda: next(parquet.iter_batches(1, columns=[name])))
    return _convert(column, pa.chunked_array([batch[name]]), name, file)[0].as_py()


def _reading(file: Path, read: Callable[[], Any]) -> Any:
    """Return read(), with every failure turned into one line that names the file."""
    try:
        if file.is_dir():
            raise DataError(f"{file}: is a folder; a parquet file is needed")
        return read()
    except (FileNotFoundError, PermissionError) as error:
        code = errno.ENOENT if isinstance(error, FileNotFoundError) else errno.EACCES
        raise DataError(f"{file}: cannot be read ({os.strerror(code)})") from None
    except READING_ERRORS as error:
        refuse_pointer_file(file)
        reason = " ".join(str(error).split())
        raise DataError(
            f"{file}: damaged or incomplete ({reason}); a whole parquet file is needed"
        ) from None


def _convert(
    column: ParquetColumn, values: pa.ChunkedArray, name: str, file: Path
) -> pa.ChunkedArray:
    """Return the column's values as they are read; DataError where one is null."""
    converted = _reading(file, partial(column.convert, values, name, file))
    if converted.null_count:
        row = converted.is_null().to_pylist().index(True)
        raise DataError(f"{file}: column {name} is empty in row {row}; {column.needed} needed")
    return converted


def _find(column: ParquetColumn, parquet: pq.ParquetFile, file: Path) -> str:
    """Return the name that the column has in this file, if it is of the right type."""
    schema = _reading(file, lambda: parquet.schema_arrow)
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


def _int64(column: pa.ChunkedArray, _name: str, _file: Path) -> pa.ChunkedArray:
    return column.cast(pa.int64())


def _strings(column: pa.ChunkedArray, _name: str, _file: Path) -> pa.ChunkedArray:
    strings = column.cast(pa.string())
    strings.validate(full=True)  # damaged bytes that are no UTF-8 are found here
    return strings


def _bytes(column: pa.ChunkedArray, name: str, file: Path) -> pa.ChunkedArray:
    """Return a column's embedded files, read from beside `file` where the bytes are null."""
    if not pa.types.is_struct(column.type):
        return column
    contents = _child(column, "bytes")
    linked = _linked(column, file)
    if not linked:
        return contents
    values = contents.to_pylist()
    for row, path in linked.items():
        values[row] = _read_beside(path, f"{file}: column {name} holds no bytes in row {row}")
    return pa.chunked_array([pa.array(values, pa.large_binary())])


def _linked(column: pa.ChunkedArray, file: Path) -> dict[int, Path]:
    """Return {row: file} of the rows that have no bytes but a path."""
    types = {field.name: field.type for field in column.type}
    contents = _child(column, "bytes")
    if not contents.null_count or not _is_text(types.get("path", pa.null())):
        return {}
    paths, empty = _child(column, "path"), contents.is_null().to_pylist()
    return {
        row: file.parent / path
        for row, (path, null) in enumerate(zip(paths.to_pylist(), empty, strict=True))
        if null and path
    }


def _child(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Return the structs' member of this name; null where the whole struct is, unlike `field`."""
    return column.flatten()[[field.name for field in column.type].index(name)]


def _read_beside(path: Path, row: str) -> bytes:
    """Return the contents of the file that a row names."""
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DataError(
            f"{row}, and its file {path} cannot be read ({reason}); bytes, or that file, needed"
        ) from None
    refuse_pointer(content, path)
    return content


def _all_hold_bytes(metadata: pq.FileMetaData, name: str) -> bool:
    """Tell whether the footer says that no row's bytes are null."""
    for group in range(metadata.num_row_groups):
        for position in range(metadata.num_columns):
            column = metadata.row_group(group).column(position)
            if column.path_in_schema == f"{name}.bytes":
                statistics = column.statistics
                if statistics is None or not statistics.has_null_count or statistics.null_count:
                    return False
    return True
