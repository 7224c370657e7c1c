"""A journal that nobody named, for a send without one. However the send ends, it is removed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import JobStopped, JournalError, OutcomeUnknown
from ..jobs.job import Job
from ..storage.system import reason
from .signals import AT_EXIT, ignore_signals, raise_on_signal


@contextmanager
def temporary_journal() -> Iterator[str]:
    """The path of a new journal, in a new directory for its owner alone (mode 0700).

    Both are removed at the end, after an error, Ctrl-C, SIGTERM and SIGHUP too; a process that is
    killed leaves them, and no later one minds. Raises `JournalError` where they cannot be made, and
    says what to do for every `JournalError` of the journal: its own words speak of a resume. Where
    it fails once requests went out, and its account is lost, that is `OutcomeUnknown`.
    """
    with raise_on_signal():
        try:
            directory = tempfile.mkdtemp(prefix="moveworks-shift-")
        except OSError as error:
            raise JournalError(_to_do(f"no temporary directory: {reason(error)}")) from None
        journal = os.path.join(directory, "journal")

        def remove() -> None:
            Job(journal).remove()
            shutil.rmtree(directory, ignore_errors=True)

        AT_EXIT.append(remove)
        try:
            with _in_our_words():
                yield journal
        finally:
            with ignore_signals():
                remove()
            AT_EXIT.remove(remove)


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except JobStopped as error:  # and its account cannot be read
        raise OutcomeUnknown(without_resume(error)) from error
    except JournalError as error:
        raise JournalError(without_resume(error)) from error


def without_resume(error: JobStopped | JournalError) -> str:
    """What happened; where it was the journal, what to do about a directory that nobody named."""
    if isinstance(error, JobStopped) and not isinstance(error.cause, JournalError):
        return str(error)
    return _to_do(str(error).partition(";")[0])


def _to_do(what: str) -> str:
    return f"{what}; make room there, or name another directory in TMPDIR"
