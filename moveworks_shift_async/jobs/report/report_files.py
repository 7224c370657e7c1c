"""The account of a job as files: all that were asked for, or none."""

from __future__ import annotations

import threading
from functools import partial

from ...errors import InvalidInput
from ...storage.atomic import new_files
from ..store.ports import AccountStore
from ..threads import FromThread, in_thread
from .account import JobAccount, account_of, read_state
from .csv_export import write_rows
from .page import render_page


async def write_report(store: AccountStore, csv: str | None, page: str | None) -> JobAccount:
    """Write a CSV file, a page or both, and return the account of the same moment.

    Nothing stands at either path unless everything was written; raises as `new_files`, `write_rows`
    and `render_page` do.
    """
    if csv is not None and csv == page:
        raise InvalidInput(f"{csv} cannot be both files; name another one")
    stop = threading.Event()
    work = partial(_write, store, csv, page, FromThread(), stop)
    return await in_thread(work, stop)


def _write(
    store: AccountStore,
    csv: str | None,
    page: str | None,
    loop: FromThread,
    stop: threading.Event,
) -> JobAccount:
    paths = [path for path in (page, csv) if path is not None]
    with new_files(paths, stop) as files:
        state, texts = loop.wait(read_state(store))
        account = account_of(state, texts)
        waiting = iter(files)
        if page is not None:  # first: it is what may be missing, and it is short
            next(waiting).write(render_page(account).encode(errors="backslashreplace"))
        if csv is not None:
            recipients, left_out = loop.each(store.recipients()), loop.each(store.left_out())
            write_rows(state, recipients, left_out, next(waiting), stop)
    return account
