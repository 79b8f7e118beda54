"""The checkout that this package runs from: which commit, and whether something was changed."""

import os
import subprocess
from pathlib import Path
from typing import Any

_DECISIVE = ("src", "conf", "pyproject.toml")
"""What of a checkout can change a result; notes and outputs beside it do not make it dirty."""


def checkout(root: Path) -> dict[str, Any]:
    """Return the commit of the checkout at `root` and whether it has changes; None if unknown."""
    unknown = {"commit": None, "dirty": None}
    if not (root / ".git").exists():
        return unknown
    command = ["git", "--no-optional-locks", "-C", str(root), "status", "--porcelain=v2"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        answer = subprocess.run(
            [*command, "--branch", "--", *_DECISIVE],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
            env=environment,
        )
    except (OSError, subprocess.SubprocessError):
        return unknown
    lines = answer.stdout.splitlines()
    commits = [line.split()[2] for line in lines if line.startswith("# branch.oid")]
    changes = [line for line in lines if not line.startswith("#")]
    return {"commit": commits[0] if commits else None, "dirty": bool(changes)}
