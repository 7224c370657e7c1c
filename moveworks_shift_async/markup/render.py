"""A message as HTML, with what is found in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .sanitizer import sanitized
from .values import Finding, Rendered
from .walk import Walk, is_plain

#: The `sandbox` of a frame that shows a message: its links open outside of it, and that is all.
SANDBOX = "allow-popups allow-popups-to-escape-sandbox"


def render(message: str, context: Mapping[str, Any] | None = None) -> Rendered:
    """The message as HTML, and what is found in it; `context` says which slots are filled.

    Raises `ConfigurationError` where nh3 or emoji is not installed.
    """
    walk = Walk.through(message, context)
    return Rendered(
        html=sanitized("".join(walk.out)), length=len(message), findings=tuple(walk.found)
    )


def check(message: str, context: Mapping[str, Any] | None = None) -> tuple[Finding, ...]:
    """What `render` finds, without the HTML: at once where a message is short and plain."""
    if is_plain(message):
        return ()
    return tuple(Walk.through(message, context).found)


def document(rendered: Rendered) -> str:
    """A page of its own, for the `srcdoc` of a frame with the `sandbox` of `SANDBOX`."""
    return f"{_HEAD}<body>{rendered.html}</body>"


_HEAD = (
    '<!doctype html><meta charset="utf-8"><meta http-equiv="Content-Security-Policy"'
    " content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    '<meta name="color-scheme" content="light dark"><style>'
    "body{margin:.75rem 1rem;font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}"
    "p{margin:.5em 0}ul{margin:.5em 0;padding-left:1.5rem}"
    "mark{background:light-dark(#fde68a,#664d03);color:inherit;border-radius:.2em;padding:0 .2em}"
    "code{background:light-dark(#fbe3e4,#5a1e22);border-radius:.2em;white-space:pre-wrap}"
    "a{color:light-dark(#0b57d0,#8ab4f8)}</style>"
)
