"""What the sandbox decides and says, as values, and the documented ways in which answers differ.

The vendor's public pages contradict each other about the shape of nearly every body, so each
shape is a choice. Pure.
"""

from __future__ import annotations

import json
from typing import Any, Literal, get_args

from attrs import field, frozen, validators

from .rules import Told

Shape = Literal["flat", "wrapped"]
ErrorShape = Literal["flat", "nested"]
SuccessBody = Literal["received", "data-null", "null", "empty-object", "empty"]

#: The bodies of an accepted message that public pages and public code show or allow.
SUCCESS_BODIES: dict[SuccessBody, bytes] = {
    "received": b'{"data":{"status":"RECEIVED"}}',
    "data-null": b'{"data":null}',
    "null": b"null",
    "empty-object": b"{}",
    "empty": b"",
}
SUCCESS_STATUSES = (200, 201, 202, 204)


@frozen(kw_only=True)
class Answer:
    """One HTTP answer, as bytes."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


@frozen(kw_only=True)
class Decision:
    """What a vendor decides about one request. A refusal has changed nothing."""

    answer: Answer
    #: True where the request took effect: a message out, a token issued, a credential tested.
    processed: bool = False
    #: Who asked, by public name; never a secret.
    credential: str | None = None
    #: The message that went out by this request.
    told: Told | None = None


@frozen(kw_only=True)
class Variants:
    """Which side the sandbox takes where public documents disagree."""

    #: The token bare, or inside `data`.
    token_body: Shape = field(default="flat", validator=validators.in_(get_args(Shape)))
    #: Code and message at the top, or inside `error`.
    error_body: ErrorShape = field(default="flat", validator=validators.in_(get_args(ErrorShape)))
    #: Success of the event endpoint.
    event_status: int = field(default=200, validator=validators.in_(SUCCESS_STATUSES))
    event_body: SuccessBody = field(
        default="received", validator=validators.in_(get_args(SuccessBody))
    )
    #: Success of the legacy endpoint.
    legacy_status: int = field(default=204, validator=validators.in_(SUCCESS_STATUSES))
    legacy_body: SuccessBody = field(
        default="empty", validator=validators.in_(get_args(SuccessBody))
    )
    #: What a dead token gets: 401 everywhere, or the 403 of the legacy endpoint's page.
    expired_status: int = field(default=401, validator=validators.in_((401, 403)))
    #: The key of the auth test's text.
    auth_key: Literal["Message", "message"] = field(
        default="Message", validator=validators.in_(("Message", "message"))
    )
    #: SHIFT's errors come with status 200; its documents never name a status.
    shift_errors_as_200: bool = False


def json_answer(status: int, value: Any, *, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """An answer whose body is `value` as JSON."""
    return Answer(status=status, body=json.dumps(value).encode(), headers=headers)


def moveworks_error(
    variants: Variants,
    status: int,
    code: str | int,
    message: str,
    *,
    headers: tuple[tuple[str, str], ...] = (),
) -> Answer:
    """An error of Moveworks, flat or nested."""
    error = {"code": code, "message": message}
    nested = variants.error_body == "nested"
    return json_answer(status, {"error": error} if nested else error, headers=headers)


def scheduled(variants: Variants, *, legacy: bool) -> Answer:
    """The answer to an accepted message."""
    status = variants.legacy_status if legacy else variants.event_status
    name = variants.legacy_body if legacy else variants.event_body
    # RFC 9110: a 204 has no body, whatever was asked for.
    body = b"" if status == 204 else SUCCESS_BODIES[name]
    kind = "application/json" if name != "empty" else "text/plain"
    return Answer(status=status, body=body, content_type=kind)


def shift_error(
    variants: Variants, status: int, code: str | int, message: str, **more: str
) -> Answer:
    """An error of SHIFT: a list of one, with status 200 where the variant says so."""
    shown = 200 if variants.shift_errors_as_200 and status < 500 else status
    return json_answer(shown, {"errors": [{"message": message, "code": code, **more}]})
