"""Where the configuration files are: in the installed package, or in the repository's `conf`."""

from pathlib import Path


def conf_dir() -> Path:
    """Return the absolute path of the folder that holds the configuration groups."""
    package = Path(__file__).resolve().parent
    packaged = package / "conf"
    return packaged if packaged.is_dir() else package.parents[1] / "conf"
