"""While a request of ours is out, instrumentation of HTTP clients keeps still.

It would write a second span for each attempt, and the whole URL into it: a SHIFT URL carries a
secret. So it is told, whether our own spans are written or not. OpenTelemetry is looked for among
what is loaded: where it is not, nothing of it watches.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager

# Private names, which the instrumentation of the project itself reads. That of aiohttp looks at the
# second one from its version 0.54 on, before at the first one only.
_KEYS = ("_SUPPRESS_INSTRUMENTATION_KEY", "_SUPPRESS_HTTP_INSTRUMENTATION_KEY")
_NOTHING = contextlib.nullcontext()


def others_silenced() -> AbstractContextManager[None]:
    """Tell instrumentation of HTTP clients to keep still meanwhile."""
    return _silenced() if "opentelemetry.context" in sys.modules else _NOTHING


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    from opentelemetry import context  # noqa: PLC0415 - it is loaded

    now = context.get_current()
    for key in filter(None, (getattr(context, name, None) for name in _KEYS)):
        now = context.set_value(key, True, now)
    token = context.attach(now)
    try:
        yield
    finally:
        context.detach(token)
