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

_NOTHING = contextlib.nullcontext()


def others_silenced() -> AbstractContextManager[None]:
    """Tell instrumentation of HTTP clients to keep still meanwhile."""
    return _silenced() if "opentelemetry.context" in sys.modules else _NOTHING


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    from opentelemetry import context  # noqa: PLC0415 - it is loaded

    # The name is private, and every instrumentation of the project reads it.
    key = getattr(context, "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", "suppress_http_instrumentation")
    token = context.attach(context.set_value(key, True))
    try:
        yield
    finally:
        context.detach(token)
