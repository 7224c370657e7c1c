"""What an answer means by its status and its headers, whichever vendor gave it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

from ..errors import (
    BadRequest,
    BadResponse,
    Concerns,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    RateLimited,
    RefusedByServer,
    ServerFailed,
)
from .http import Response
from .redaction import Sent, redact

# The vendor's error page names the wrong data centre as the first cause of a 401.
_CREDENTIAL_ADVICE = (
    "base_url may be another region's host than the credential's,"
    " or the credential is missing, expired or revoked"
)
# No code of either vendor has more than four digits; what is larger is none.
_LARGEST_CODE = 2**63
_BY_STATUS: Mapping[int, type[RefusedByServer]] = {
    401: NotAuthenticated,
    403: NotAllowed,
    404: NotFound,
    429: RateLimited,
    # 408 and 425: the server says that it did not process the request (RFC 9110, RFC 8470).
    **dict.fromkeys((400, 408, 409, 410, 411, 413, 414, 415, 422, 425, 431), BadRequest),
}


# A UUID has 36 characters, a trace context 55.
_LONGEST_ID = 200


def holds_error(content: Mapping[str, Any]) -> bool:
    """Whether a JSON object says that something failed, in any shape that either vendor uses."""
    said = [content.get(key) for key in ("error", "errors", "code")]
    return any(value is not False and is_filled(value) for value in said)


def is_filled(value: object) -> bool:
    """Whether a JSON value says anything."""
    return value not in (None, "", [], {})


def uncertain(response: Response, so: str) -> BadResponse:
    """The error of a status that says neither yes nor no; `so` says what follows from it."""
    redirect = 300 <= response.status < 400  # the next request would be sent elsewhere, too
    return BadResponse(
        f"HTTP {response.status}, {response.unclear}; {so}",
        concerns=Concerns.EVERYBODY if redirect else None,
    )


def undocumented(response: Response, so: str) -> BadResponse:
    """The error of a success whose body no document explains; `so` says what follows from it."""
    # In UTF-16 and UTF-32 there are zeros around the first character, and maybe a mark before it.
    page = response.body.lstrip(b"\xef\xbb\xbf\xff\xfe\0\t\n\r ").startswith(b"<")
    body = (
        "a web page: a proxy or a login page may have answered in the API's place"
        if page
        else "a body that the API does not document"
    )
    return BadResponse(f"HTTP {response.status}, with {body}; {so}")


def refusal(
    response: Response,
    *,
    code: str | int | None,
    message: str | None,
    kind: type[RefusedByServer] | None = None,
) -> RefusedByServer:
    """The typed error of an answer that is not a success. `kind` wins over the status."""
    sent = response.sent()
    code = _shown_code(code, sent)
    words = f"HTTP {response.status}{f' {code}' if code is not None else ''}"
    said = redact(message or "", sent)
    text = f"{words}: {said}" if said else words
    kind = kind or kind_of(response.status)
    return kind(
        _with_advice(kind, text, response),
        status=response.status,
        code=code,
        retry_after=retry_after_seconds(response),
    )


def _shown_code(code: str | int | None, sent: Sent) -> str | int | None:
    """The code as it came, if it is one: a text may repeat the request, a number has no bound."""
    if isinstance(code, str):
        return redact(code, sent) or None
    is_code = isinstance(code, int) and not isinstance(code, bool) and abs(code) < _LARGEST_CODE
    return code if is_code else None


def kind_of(status: int) -> type[RefusedByServer]:
    """The class of a status that is not a success, by the number alone."""
    if status >= 500:
        return ServerFailed
    return _BY_STATUS.get(status, RefusedByServer)


def _with_advice(kind: type[RefusedByServer], text: str, response: Response) -> str:
    if 300 <= response.status < 400:
        return f"{text}: a redirect, which is never followed; check base_url"
    if kind is NotAuthenticated:
        return f"{text}; {_CREDENTIAL_ADVICE}"
    if kind is ServerFailed:
        return f"{text}; the request may have been processed or not"
    return text


# Seconds. One broken header must not stop everybody for years; after an hour it costs one request
# to ask again.
MOST_WAIT = 3600.0


def retry_after_seconds(response: Response) -> float | None:
    """`Retry-After` in seconds, at most an hour; None if it is unusable.

    It may be a number or a date. A date is counted from the answer's own `Date`, so a wrong clock
    on either side is harmless.
    """
    text = response.headers.get("retry-after")
    if text is None:
        return None
    if re.fullmatch(r"\s*[0-9]+(\.[0-9]+)?\s*", text):
        return min(float(text), MOST_WAIT)
    until = http_date(text)
    sent = http_date(response.headers.get("date")) or response.received
    if until is None or sent is None:
        return None
    return min(max(0.0, (until - sent).total_seconds()), MOST_WAIT)


def http_date(text: str | None) -> datetime | None:
    """The time that a header names, aware; None where it names none."""
    try:
        date = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    # RFC 9110 dates are GMT; "-0000" parses as naive.
    return date if date.tzinfo else None


def request_id(response: Response) -> str | None:
    """The server's id of the request, under any of the names seen in the wild, printable."""
    look_up = response.headers.get
    found = (
        look_up("x-moveworks-root-uuid") or look_up("x-request-id") or look_up("x-correlation-id")
    )
    return found[:_LONGEST_ID] if found else None


# What an answer says of itself, of the limit, and of the endpoint's end: RFC 9110, 9745 and 8594,
# and the draft "RateLimit header fields for HTTP". Every other header is somebody's business.
_KEPT = (
    "date",
    "server",
    "via",
    "retry-after",
    "ratelimit",
    "ratelimit-policy",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "deprecation",
    "sunset",
    "x-moveworks-root-uuid",
    "x-request-id",
    "x-correlation-id",
)


def kept_headers(response: Response) -> dict[str, str]:
    """The headers that are safe to keep: by their names, and by what stands in them."""
    found = {name: value for name in _KEPT if (value := response.headers.get(name))}
    asked = response.asked
    secrets = [] if asked is None else [*asked.query.values(), *asked.headers.values()]
    secrets = [secret.removeprefix("Bearer ") for secret in secrets]
    return {
        name: value
        for name, value in found.items()
        if _says_nothing_of_people(value) and not any(s and s in value for s in secrets)
    }


@lru_cache(maxsize=64)  # most come with every answer
def _says_nothing_of_people(value: str) -> bool:
    return len(value) <= _LONGEST_ID and redact(value) == value


def text_of(value: object) -> str | None:
    """`value` if it is text with something in it."""
    return value if isinstance(value, str) and value.strip() else None
