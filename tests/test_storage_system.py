"""What the system says of a file becomes one of our errors, with what to do about it."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import pytest

from moveworks_shift_async.errors import ConfigurationError, InvalidInput, JournalError
from moveworks_shift_async.storage.system import reason, refused


def test_the_reason_is_the_systems_and_names_no_path() -> None:
    """Ours name it, as it was given."""
    missing = FileNotFoundError(errno.ENOENT, "No such file or directory", "/its/path")
    assert reason(missing) == "No such file or directory"
    assert reason(OSError(errno.EIO, None)) == os.strerror(errno.EIO)
    assert reason(io.UnsupportedOperation("not readable")) == "not readable"
    assert reason(ValueError("embedded null byte")) == "embedded null byte"


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "; make room"),
        (errno.EDQUOT, "; make room, or ask for more"),
        (errno.EACCES, "; the directory must be writable for this user"),
        (errno.EROFS, "; its disk can only be read: name a file on another"),
        (errno.ENOENT, ""),
        (errno.EIO, ""),
    ],
)
def test_what_could_not_be_written_says_what_to_do(
    tmp_path: Path, number: int, advice: str
) -> None:
    """Where the reason does not say so."""
    path = str(tmp_path / "out")
    error = refused(JournalError, f"{path} cannot be written", OSError(number, "x"), written=path)
    assert isinstance(error, JournalError)
    assert str(error) == f"{path} cannot be written: x{advice}"


def test_a_directory_that_is_missing_is_to_be_made(tmp_path: Path) -> None:
    """It is named, for the path may be relative."""
    error = OSError(errno.ENOENT, "x")
    path = str(tmp_path / "no" / "out")
    said = str(refused(ConfigurationError, "out", error, written=path))
    assert said == f"out: x; make {tmp_path / 'no'} first"


def test_what_is_read_needs_no_advice() -> None:
    """To be told to make a directory would not help."""
    said = refused(InvalidInput, "a cannot be read", OSError(errno.EACCES, "Permission denied"))
    assert str(said) == "a cannot be read: Permission denied"
