"""Folders of measurements: what `titan-run` leaves where it measures instead of training.

    <runs>/<task>/<model>/<experiment>/<id>/    config.yaml, provenance.json and, once everything
                                                is measured, one file: costs.json, variance.json

A finished measurement is not repeated. An export holds copies of these files, in folders of the
same names below MEASUREMENTS, so that a report reads either place alike.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from titan_repro.errors import RunFolderError
from titan_repro.files import remove_partials, write_atomically
from titan_repro.records.provenance import provenance, without_commands
from titan_repro.records.storage import damaged, exclusive, read_json, write_json, writing

COSTS, VARIANCE = "costs.json", "variance.json"
FILES = (COSTS, VARIANCE)
"""Of every kind of measurement."""

MEASUREMENTS = "measurements"
"""The folder of an export that holds them."""


@dataclass(frozen=True)
class Measurement:
    """What a measurement's file says, its folder, and whether it was there before."""

    folder: Path
    content: Mapping[str, Any]
    already_there: bool


@dataclass(frozen=True)
class MeasurementFolder:
    """Where one measurement goes. file: its name, one of FILES."""

    path: Path
    file: str

    def finished(self) -> Measurement | None:
        """Return what has been measured, None if nothing. Raises RunFolderError for damage."""
        content = read_json(self.path / self.file)
        return None if content is None else Measurement(self.path, content, already_there=True)

    @contextmanager
    def claim(self) -> Iterator[None]:
        """Hold the folder while the block runs; RunFolderError if another process holds it."""
        with exclusive(self.path):
            remove_partials(self.path)
            yield

    def begin(self, text: str, command: Sequence[str], data: Mapping[str, str]) -> None:
        """Write config.yaml, from its `text`, and provenance.json."""
        path = self.path / "config.yaml"
        with writing(path), write_atomically(path) as file:
            file.write(text.encode())
        write_json(self.path / "provenance.json", provenance(command, data))

    def finish(self, content: Mapping[str, Any]) -> Measurement:
        """Write what was measured, with the time."""
        whole = {**content, "finished_at": datetime.now(UTC).isoformat(timespec="seconds")}
        write_json(self.path / self.file, whole)
        return Measurement(self.path, whole, already_there=False)


def read_measurement(path: Path, check: Callable[[Mapping[str, Any]], object]) -> dict[str, Any]:
    """Read one measurement's file.

    check: raises KeyError, with the name of what is missing, for content that cannot be used, or
    TypeError for what is there in another form.
    Raises RunFolderError naming the file if it is gone or damaged.
    """
    content = read_json(path)
    if content is None:
        raise RunFolderError(f"{path}: cannot be read (it is gone)")
    try:
        for name in ("id", "task", "model"):
            content[name]
        check(content)
    except KeyError as error:
        raise damaged(path, f"no {error.args[0]}") from None
    except TypeError as error:
        raise damaged(path, f"not the form of a measurement: {error}") from None
    return content


def measurements_below(
    folder: Path, file: str, check: Callable[[Mapping[str, Any]], object]
) -> list[tuple[Path, dict[str, Any]]]:
    """Read every `file` below a folder, runs or an export; of copies (same id) the first counts.

    Raises as `read_measurement` does.
    """
    found: dict[str, tuple[Path, dict[str, Any]]] = {}
    for path in sorted(folder.rglob(file)):
        content = read_measurement(path, check)
        found.setdefault(content["id"], (path, content))
    return list(found.values())


def copy_measurements(source: Path, export: Path) -> int:
    """Copy all measurements below `source` into an export; return how many there are.

    Command lines and configurations, which name folders, stay behind. Raises RunFolderError naming
    a file that is damaged.
    """
    found = [
        (file, path, content)
        for file in FILES
        for path, content in measurements_below(source, file, lambda _: None)
    ]
    for file, path, content in found:
        experiment = path.resolve().parent.parent.name
        parts = (content["task"], content["model"], experiment, content["id"])
        folder = export.joinpath(MEASUREMENTS, *parts)
        told = read_json(path.with_name("provenance.json"))
        if told is not None:
            write_json(folder / "provenance.json", without_commands(told))
        write_json(folder / file, content)
    return len(found)


def machine_of(path: Path) -> str:
    """Name the processor that a measurement was made on, from provenance.json beside its file."""
    told = read_json(path.with_name("provenance.json")) or {}
    machine = told.get("machine", {})
    if "cpu" not in machine:
        return "a machine that is not named (no provenance.json beside it)"
    return f"{machine['cpu']}, {machine.get('cores', '?')} cores"
