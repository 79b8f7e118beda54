"""Unexpected exceptions, told in one line that says where they come from.

The traceback is printed first if the environment has TITAN_TRACEBACK=1.
"""

import os
import sysconfig
import traceback
from pathlib import Path
from types import TracebackType

from titan_repro.errors import OwnCodeError, UnexpectedError, UserError

VARIABLE = "TITAN_TRACEBACK"
HINT = f"{VARIABLE}=1 shows the traceback"

_PACKAGE = Path(__file__).resolve().parent
_INSTALLED = tuple(
    os.path.realpath(sysconfig.get_path(name)) + os.sep
    for name in ("stdlib", "platstdlib", "purelib", "platlib", "scripts")
)


def as_user_error(error: Exception) -> UserError:
    """Return what is said of an exception, after its traceback if that is asked for.

    OwnCodeError if it was raised in, or below, code that is neither this package's nor installed:
    a class of the user's. UnexpectedError otherwise. A UserError is returned as it is.
    """
    if isinstance(error, UserError):
        return error
    if os.environ.get(VARIABLE) == "1":
        traceback.print_exception(error)
    kind = OwnCodeError if is_own(error) else UnexpectedError
    return kind(f"{in_one_line(error)}; {HINT}")


def in_one_line(error: BaseException) -> str:
    """Return type, text and place of an exception; the user's own code goes before this package.

    The place is file, line and function, such as `my/margin.py:12, in Margin.select`.
    """
    text = " ".join(str(error).split())
    said = type(error).__name__ + (f": {text}" if text else "")
    if isinstance(error, SyntaxError):  # of a module that could not be imported
        return f"{type(error).__name__}: {error.msg} (at {_short(error.filename)}:{error.lineno})"
    found = _innermost(error, own=True) or _innermost(error, own=False)
    return said if found is None else f"{said} (at {_place(found)})"


def is_own(error: BaseException) -> bool:
    """Return whether an exception comes from code that is neither this package's nor installed."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return _belongs(error.filename, own=True)
    return _innermost(error, own=True) is not None


def _innermost(error: BaseException, *, own: bool) -> TracebackType | None:
    """Return the innermost call in the user's own code, or in this package's."""
    found, trace = None, error.__traceback__
    while trace is not None:
        if _belongs(trace.tb_frame.f_code.co_filename, own=own):
            found = trace
        trace = trace.tb_next
    return found


def _belongs(file: str, *, own: bool) -> bool:
    if file.startswith("<"):
        return False
    path = Path(os.path.realpath(file))
    if path.is_relative_to(_PACKAGE):
        return not own
    return own and not str(path).startswith(_INSTALLED)


def _place(trace: TracebackType) -> str:
    code = trace.tb_frame.f_code
    name = getattr(code, "co_qualname", code.co_name)
    inside = "" if name == "<module>" else f", in {name}"
    return f"{_short(code.co_filename)}:{trace.tb_lineno}{inside}"


def _short(file: str | None) -> str:
    """Return a path from the current folder, or from this package's, where it is below."""
    if file is None:
        return "?"
    path = Path(file)
    for folder in (Path.cwd(), _PACKAGE.parent):
        if path.is_relative_to(folder):
            return str(path.relative_to(folder))
    return file
