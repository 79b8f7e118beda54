"""The folders of configuration files: the package's (`conf` in the repository) and a user's own."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from titan_repro.errors import ConfigurationError


def conf_dir() -> Path:
    """Return the absolute path of the folder that holds the configuration groups."""
    package = Path(__file__).resolve().parent
    packaged = package / "conf"
    return packaged if packaged.is_dir() else package.parents[1] / "conf"


@contextmanager
def own_modules(folder: Path | None) -> Iterator[None]:
    """Let `_target_` name modules in a user's folder of configuration files, or in its groups.

    They come after all that is installed, which none of them can hide; processes that are started
    meanwhile find them, too. Raises ConfigurationError if there is no such folder.
    """
    if folder is None:
        yield
        return
    if not folder.is_dir():
        raise ConfigurationError(f"--config-dir: found {folder}; allowed: a folder that exists")
    places = (folder, *sorted(child for child in folder.iterdir() if child.is_dir()))
    added = [str(place.absolute()) for place in places]
    path, environment = list(sys.path), os.environ.get("PYTHONPATH")
    sys.path += added
    os.environ["PYTHONPATH"] = os.pathsep.join([*filter(None, [environment]), *added])
    try:
        yield
    finally:
        sys.path[:] = path
        if environment is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = environment
