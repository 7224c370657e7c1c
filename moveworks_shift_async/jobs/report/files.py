"""The account of a job as files: all that were asked for, or none."""

from __future__ import annotations

import threading

from ...errors import InvalidInput
from ...storage.atomic import new_files
from ..store.sqlite.journal import Journal
from .account import JobAccount, read_account
from .csv_export import write_rows
from .page import render_page


def write_report(
    journal: Journal, csv: str | None, page: str | None, *, stop: threading.Event | None = None
) -> JobAccount:
    """Write a CSV file, a page or both, and return the account of the same moment.

    Nothing stands at either path unless everything was written; raises as `new_files`, `write_rows`
    and `render_page` do.
    """
    if csv is not None and csv == page:
        raise InvalidInput(f"{csv} cannot be both files; name another one")
    paths = [path for path in (page, csv) if path is not None]
    with journal.snapshot(), new_files(paths, stop) as files:
        account = read_account(journal)
        waiting = iter(files)
        if page is not None:  # first: it is what may be missing, and it is short
            next(waiting).write(render_page(account).encode(errors="backslashreplace"))
        if csv is not None:
            write_rows(journal, next(waiting), stop)
    return account
