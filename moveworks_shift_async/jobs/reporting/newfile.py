"""A new file, whole or not at all, for its owner's eyes."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ...errors import InvalidInput, JournalError


@contextlib.contextmanager
def new_file(path: str) -> Iterator[BinaryIO]:
    """Write into it; at the end it stands at `path`, on the disk, readable by its owner alone.

    Raises `InvalidInput` if there is a file of that name, which is left as it is, and
    `JournalError` if the disk does not take it. After an error or an interruption nothing stands
    there.
    """
    _refuse_existing(path)
    with _reporting(path):
        # mkstemp makes it for its owner alone; beside the other, so that one step puts it there.
        number, part = tempfile.mkstemp(prefix=f".{Path(path).name}.", dir=Path(path).parent)
        try:
            with open(number, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            _put(part, path)
        finally:
            Path(part).unlink(missing_ok=True)
        _keep_name(Path(path).parent)


def _refuse_existing(path: str) -> None:
    if os.path.lexists(path):
        raise InvalidInput(f"{path} is there already and was left as it is; name another file")


def _put(part: str, path: str) -> None:
    """Give the file its name, unless somebody has taken the name meanwhile."""
    try:
        os.link(part, path)
    except FileExistsError:
        _refuse_existing(path)
    except OSError:  # a disk without hard links: nearly as good
        _refuse_existing(path)
        Path(part).rename(path)


def _keep_name(folder: Path) -> None:
    """The name is on the disk as well. Not everywhere can a folder be opened for that."""
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


@contextlib.contextmanager
def _reporting(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise JournalError(f"{path} cannot be written: {error.strerror or error}") from None
