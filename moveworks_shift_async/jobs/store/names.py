"""Where a journal is, as the user names it."""

from __future__ import annotations

import os

from ...errors import JournalError


def journal_path(given: str | os.PathLike[str]) -> str:
    """The path as it was given; `JournalError` if it can lead nowhere."""
    path = os.fspath(given)
    try:
        os.path.abspath(path)
    except FileNotFoundError:
        raise JournalError(
            f"{path} leads nowhere: the current directory was removed; change to another one"
        ) from None
    return path
