"""What lies beside a journal: SQLite takes files of certain names for its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Literal

from ....errors import JournalError
from ....storage import sqlite
from ....storage.system import refused
from .lock import is_free, marked, quiet, steps_noted
from .statements import statements

# What SQLite takes for its own beside a file, by its name alone.
_BESIDE = ("-journal", "-wal", "-shm")
# How a rollback journal begins, or ends up (https://sqlite.org/fileformat2.html, section 3).
_ROLLBACK = (b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", bytes(8), b"")


def _real(path: str) -> str:
    """As SQLite names the files beside it; and `:memory:` and `file:` are names like others."""
    return os.path.realpath(path)


def check_name(path: str) -> None:
    """Refuse a name for a new journal that is a part of another one by its name."""
    if path.endswith((*_BESIDE, "-lock")):
        raise JournalError(
            f"{path} cannot be the name of a journal: files of that name belong to another one;"
            " name another file"
        )
    check_beside(path)
    if not os.path.lexists(path) and _undoes(path):  # SQLite would remove it
        raise _lies_beside(path, "it undoes half a commit of another journal")


def check_beside(path: str) -> None:
    """Raise for what is not SQLite's: SQLite would take it for its own, and remove it.

    A rollback journal is one that a killed process has left, or that another writes just now.
    """
    for end in _BESIDE:
        beside = Path(f"{_real(path)}{end}")
        try:
            if not stat.S_ISREG(beside.lstat().st_mode):
                begins = None
            else:
                with beside.open("rb") as file:
                    begins = file.read(8)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            begins = None
        if end != "-journal" or begins not in _ROLLBACK:
            raise _lies_beside(path, "SQLite would take it for its own", end)


def _lies_beside(path: str, why: str, end: str = "-journal") -> JournalError:
    return JournalError(
        f"{path}{end} lies beside {path}, and {why}; it was left untouched: move it elsewhere"
    )


def check_left(path: str) -> None:
    """Raise for what a killed process has left, if it would undo more than its last commit.

    SQLite goes by the name alone. The file may have been moved away meanwhile and have gone on, or
    another job's may lie in its place; what was left there would then undo what was done since.
    """
    with quiet:  # the file itself is read, and closed
        if not (_undoes(path) and is_free(path)):
            return
        found = _steps_of(path, "ro&immutable=1")  # as if nothing lay beside it
        if found is None:
            return  # planning broke off before it had a table: nothing was done
        undone = _steps_if_undone(path)
        key, steps = undone or ("", 0)
        if (key == found[0] and steps >= steps_noted(marked(path), key)) or not is_free(path):
            return
    raise _lies_beside(path, "it would undo what was done since it was left there")


def _undoes(path: str) -> bool:
    """Whether a rollback journal lies beside it that SQLite would undo a commit by."""
    with contextlib.suppress(OSError), open(f"{_real(path)}-journal", "rb") as file:
        return file.read(8) == _ROLLBACK[0]
    return False


def _steps_if_undone(path: str) -> tuple[str, int] | None:
    """What SQLite would make of both, tried with copies for their owner alone."""
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "copy")
        try:
            for end in ("", "-journal"):
                shutil.copyfile(f"{_real(path)}{end}", f"{copy}{end}")
        except OSError as error:
            place = tempfile.gettempdir()
            what = f"{path} was left in the middle of a commit, and cannot be tried in {place}"
            raise refused(JournalError, what, error, written=copy) from None
        return _steps_of(copy, "rw")


def _steps_of(path: str, mode: Literal["rw", "ro&immutable=1"]) -> tuple[str, int] | None:
    """The job's key and its count of steps; None if no job can be read."""
    with contextlib.closing(sqlite.connect(path, mode)) as connection:
        try:
            key, steps = connection.execute(statements()["steps"]).fetchone()
            return str(key), int(steps)
        except (sqlite.Error, TypeError, ValueError):
            return None
