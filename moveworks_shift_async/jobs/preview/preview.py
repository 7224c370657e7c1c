"""A look at what people will get: every text once, in a thread, and some of them on a page."""

from __future__ import annotations

import threading
from functools import partial

from ...markup.render import render
from ...markup.sanitizer import emoji_of
from ...storage.atomic import NewFile, go_on, new_files
from ..pages import template
from ..store.ports import AccountStore
from ..threads import FromThread, in_thread
from .preview_page import PAGE, render_preview
from .survey import JobPreview, Survey


async def make_preview(store: AccountStore, name: str, page: str | None) -> JobPreview:
    """Look at every text; write the page, a new file, if it has a path.

    Raises `JournalError` if the plan is not whole, and as `new_files` and `render_preview` do.
    """
    stop = threading.Event()
    return await in_thread(partial(_make, store, name, page, FromThread(), stop), stop)


def check_page(path: str) -> None:
    """Raise what `make_preview` would of a page, before anything is planned."""
    render("")
    emoji_of(":fire:")
    template(PAGE)
    NewFile.at(path).remove()


def _make(
    store: AccountStore, name: str, page: str | None, loop: FromThread, stop: threading.Event
) -> JobPreview:
    with new_files([] if page is None else [page], stop) as files:
        header = loop.wait(store.whole_header())
        survey = Survey()
        for some in loop.each(store.planned_texts()):
            go_on(stop)
            for text in some:
                survey.add(text)
        found = survey.preview(name, header)
        for file in files:
            samples = survey.samples()
            audiences = loop.wait(store.audiences([sample.text.number for sample in samples]))
            shown = render_preview(found, header, samples, audiences)
            file.write(shown.encode(errors="backslashreplace"))
    return found
