"""Printing that survives a closed pipe and clears the progress line of a sweep."""

import os
import sys

CLEAR_LINE = "\r\x1b[2K"


def say(text: str) -> None:
    """Print at once, over the progress line of a sweep if there is one.

    Where the output is closed, a sweep goes on in silence: its results are saved.
    """
    try:
        both = sys.stdout.isatty() and sys.stderr is not None and sys.stderr.isatty()
        print(f"{CLEAR_LINE}{text}" if both else text, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
