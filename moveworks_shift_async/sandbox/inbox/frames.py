"""A message as people see it, and a person's thread, each as a document for a sandboxed frame.

Foreign text is here and nowhere else more than text: what `markup` has made of it, in a document
without scripts and without an origin.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files

from ...errors import ConfigurationError
from ...local_page import headers
from ...markup.render import SANDBOX, render
from ...markup.values import LIMIT
from ..entry import RequestRecord


@cache
def frame_headers() -> dict[str, str]:
    """Nothing but one style; no script, no origin, and in no frame but the page's."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return headers(
        {
            "script-src": "'none'",
            "style-src": f"'sha256-{digest}'",
            "img-src": "'none'",
            "connect-src": "'none'",
            "frame-src": "'none'",
            "frame-ancestors": "'self'",
            "sandbox": SANDBOX,
        }
    )


@cache
def _style() -> str:
    return files(__package__).joinpath("frame.css").read_text(encoding="utf-8")


def message_document(record: RequestRecord) -> str:
    """One message, its source, and what is odd in it."""
    return _document(_bubble(record, source=True))


def thread_document(records: Sequence[RequestRecord], again: set[int]) -> str:
    """What one person was told, the oldest first; `again` are numbers of what was told before."""
    parts, day = list[str](), ""
    for record in records:
        if (today := _time(record, "%A, %d %B %Y")) != day:
            day = today
            parts.append(f"<h2>{day}</h2>")
        parts.append(_bubble(record, again=record.number in again))
    return _document("".join(parts) + "<span id=newest></span>")


def _document(body: str) -> str:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Message</title>'
        '<meta name="color-scheme" content="light dark">'
        f"<style>{_style()}</style><main>{body}</main>"
    )


def _bubble(record: RequestRecord, *, again: bool = False, source: bool = False) -> str:
    sender = "S" if record.route.startswith("shift.") else "M"
    shown, odd = _shown(record)
    notes = "".join(f"<li>{html.escape(what)}</li>" for what in odd)
    return (
        f"<article{' class=repeated' if again else ''}>"
        f"<span class=bot aria-hidden=true>{sender}</span><div>"
        f"<div class=bubble dir=auto>{shown}</div>"
        f"<footer>{_about(record)}{_AGAIN if again else ''}</footer>"
        f"{notes and f'<ul class=notes>{notes}</ul>'}{_source(record) if source else ''}"
        "</div></article>"
    )


_AGAIN = "<strong class=again>told the same again</strong>"
_WAYS = {"messages.send": "no event", "shift.messages": "SHIFT"}


def _about(record: RequestRecord) -> str:
    event = record.event_id
    where = f"event <bdi>{html.escape(event[:8])}</bdi>" if event else _WAYS.get(record.route, "")
    return f"<time>{_time(record, '%H:%M:%S')}</time> <span>{where}</span>"


def _time(record: RequestRecord, form: str) -> str:
    # In the machine's zone, as in the browser on it.
    return datetime.fromtimestamp(record.epoch, UTC).astimezone().strftime(form)


def _shown(record: RequestRecord) -> tuple[str, Sequence[str]]:
    """As HTML, and what is odd in it."""
    if record.content is None:
        return "<em>Nothing of the text is known: the request was not read.</em>", ()
    text = record.content.message()
    plain = f"<div class=plain>{html.escape(text)}</div>"
    if record.route.startswith("shift."):
        return plain, ()
    try:
        rendered = render(text, record.content.context())
    except ConfigurationError as error:
        return plain, (str(error),)
    return rendered.html, [finding.what for finding in rendered.findings]


def _source(record: RequestRecord) -> str:
    if record.content is None:
        return ""
    text, context = record.content.message(), record.content.context()
    source = _opened(f"Source: {len(text):,} of {LIMIT:,} characters", text)
    if context is None:
        return source
    return source + _opened("Context", json.dumps(context, indent=2, ensure_ascii=False))


def _opened(title: str, text: str) -> str:
    # A line end right after <pre> is not shown, so one is given.
    return f"<details><summary>{title}</summary><pre>\n{html.escape(text)}</pre></details>"
