"""The answers that faults and the limit give, for either vendor. Pure."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus

from .decisions import Answer, Variants, json_answer, moveworks_error
from .options import RetryAfter

Headers = tuple[tuple[str, str], ...]


def server_error(variants: Variants, status: int, form: str, *, shift: bool) -> Answer:
    """A 5xx with a body of JSON, HTML (as gateways send it), or nothing."""
    reason = HTTPStatus(status).phrase
    if form == "html":
        page = f"<html><head><title>{status} {reason}</title></head><body></body></html>"
        return Answer(status=status, body=page.encode(), content_type="text/html")
    if form == "empty":
        return Answer(status=status, content_type="text/plain")
    return _error(variants, status, "INTERNAL_ERROR", reason, shift=shift)


def throttled(variants: Variants, headers: Headers, *, shift: bool) -> Answer:
    """A 429."""
    text = "Rate limit exceeded"
    return _error(variants, 429, "RATE_LIMIT_EXCEEDED", text, headers, shift=shift)


def forbidden(variants: Variants, *, shift: bool) -> Answer:
    """A 403 that says nothing of the token."""
    return _error(variants, 403, "FORBIDDEN", "Not allowed to do this", shift=shift)


def redirect(status: int, location: str) -> Answer:
    """An answer that points somewhere else."""
    return Answer(status=status, content_type="text/plain", headers=(("Location", location),))


def malformed() -> Answer:
    """A success that breaks off inside its JSON, though all announced bytes are there."""
    return Answer(status=200, body=b'{"data": {"status": ')


def retry_after(style: RetryAfter | None, wait: float, today: datetime) -> Headers:
    """The header for a wait in seconds, rounded up to whole seconds; none without a style."""
    if style is None:
        return ()
    if style == "seconds":
        return (("Retry-After", str(max(1, math.ceil(wait)))),)
    # An HTTP date has no fractions: the next whole second keeps the promise.
    end = today + timedelta(seconds=wait + 1, microseconds=-1)
    return (("Retry-After", format_datetime(end.replace(microsecond=0), usegmt=True)),)


def _error(
    variants: Variants, status: int, code: str, text: str, headers: Headers = (), *, shift: bool
) -> Answer:
    if not shift:
        return moveworks_error(variants, status, code, text, headers=headers)
    # Not one of the vendor's codes: they follow the pattern status * 10.
    error = {"message": HTTPStatus(status).phrase, "code": status * 10}
    return json_answer(status, {"errors": [error]}, headers=headers)
