"""What this user's machine remembers of a journal, apart from its file.

Whatever stands in a file or on it, an extended attribute too, comes back with a backup of it
(`cp -a`, `tar --xattrs`). So what was written last is also noted in the user's state directory: one
small file for each place, which is a device and a number. It holds a job's key and a count, nothing
of people. Where it cannot be kept, nothing ends: then the mark on the file is all there is.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from ....errors import ConfigurationError
from ....settings import state_directory

# Bytes. One write of one length replaces the last one whole, also if the process is killed.
_LENGTH = 80


def remember(place: str, text: str) -> None:
    """Note this of the file in that place."""
    with contextlib.suppress(OSError, ConfigurationError):  # what cannot be kept ends nothing
        path = _path(place)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        how = os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(path, how, 0o600)
        try:
            os.write(descriptor, text.ljust(_LENGTH).encode())
        finally:
            os.close(descriptor)


def remembered(place: str) -> str:
    """What was noted last; empty if nothing was."""
    try:
        with _path(place).open("rb") as file:
            return file.read(_LENGTH).decode(errors="replace").strip()
    except (OSError, ConfigurationError):
        return ""


def forget(place: str) -> None:
    """Note nothing of that file any more."""
    with contextlib.suppress(OSError, ConfigurationError):
        _path(place).unlink()


def _path(place: str) -> Path:
    return state_directory() / "moveworks-shift" / f"journal-{place.replace(':', '-')}"
