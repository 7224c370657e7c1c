"""What the system says of a file or a folder, as one of our errors: what was wrong, what to do."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from typing import TypeVar

from ..errors import MoveworksError

E = TypeVar("E", bound=MoveworksError)

NO_DIRECTORY = "the current directory was removed; change to another one"

# What to do where something could not be written; other reasons speak for themselves.
_ADVICE = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room, or ask for more",
    errno.EACCES: "the directory must be writable for this user",
    errno.EPERM: "the directory must be writable for this user",
    errno.EROFS: "its disk can only be read: name a file on another",
}


def reason(error: OSError | ValueError) -> str:
    """What was wrong, in the system's words; without the path, which ours name as it was given."""
    if not isinstance(error, OSError):  # Python's own, of a name that can be none: a null byte
        return str(error)
    return error.strerror or (os.strerror(error.errno) if error.errno else str(error))


def refused(
    kind: Callable[[str], E], what: str, error: OSError | ValueError, *, written: str = ""
) -> E:
    """Build ``{what}: {reason}``, and what to do about it where `written` was to be written."""
    fix = _advice(error, written) if written and isinstance(error, OSError) else ""
    return kind(f"{what}: {reason(error)}{fix}")


def _advice(error: OSError, path: str) -> str:
    if error.errno == errno.ENOENT:
        with contextlib.suppress(OSError):  # the current directory was removed
            directory = os.path.dirname(os.path.realpath(path))
            return "" if os.path.isdir(directory) else f"; make {directory} first"
    advice = _ADVICE.get(error.errno or 0)
    return f"; {advice}" if advice else ""
