"""`--version`: of this package, and the commit where it runs from a checkout."""

import argparse
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import titan_repro


def version_line() -> str:
    """Return the version and, if it is known, the commit with a word on changes to it."""
    from titan_repro.records.checkout import checkout

    try:
        version = metadata.version("titan-repro")
    except metadata.PackageNotFoundError:
        version = "(not installed)"
    code = checkout(Path(titan_repro.__file__).parents[2])
    commit = "commit unknown" if code["commit"] is None else f"commit {code['commit'][:12]}"
    return f"titan-repro {version}, {commit}{' with changes' if code['dirty'] else ''}"


class ShowVersion(argparse.Action):
    """An option that prints the version and ends the command; git is asked only then."""

    def __init__(self, option_strings: Sequence[str], dest: str, **keywords: Any) -> None:
        keywords |= {"nargs": 0, "help": "version and commit of titan-repro"}
        super().__init__(option_strings, dest, **keywords)

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Print it."""
        print(version_line())
        sys.exit(0)
