"""The Moveworks API's rules: its paths, its limits, its bodies in every documented variant.

Sources: the vendor's reference of 2023-11-13, its OpenAPI file and its error pages. Where they
contradict each other, every variant is accepted: a token or an error flat or wrapped, a send
answered with 200, 201, 202 or 204 and any body, `Message` or `message`.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from attrs import field, frozen

from ..addresses import first_fault
from ..errors import BadResponse, Concerns, InvalidInput, NotAuthenticated, RefusedByServer
from ..models import Receipt
from ..settings import ClientCredentials
from .http import Effect, Request, Response, json_request, kind_of, refusal, request_id, text_of
from .token import Token

# Reference: message 1..20000 characters (their unit is not stated: code points here), recipients
# 1..500.
MAX_MESSAGE = 20_000
MAX_RECIPIENTS = 500

Context = Mapping[str, Any]


@frozen(kw_only=True)
class Content:
    """What one message says, to an event, or without one through the legacy endpoint."""

    event_id: str | uuid.UUID | None
    message: str = field(repr=False)
    context: Context | None = field(default=None, repr=False)

    def check(self) -> None:
        """Raise `InvalidInput` for what the vendor would refuse."""
        send_path(self.event_id)
        check_message(self.message, self.context)

    def key(self) -> tuple[str, str, str]:
        """Equal for what may share a request; raises `InvalidInput` as `check` does."""
        self.check()
        context = None if self.context is None else dict(self.context)
        return send_path(self.event_id), self.message, json.dumps(context, sort_keys=True)

    def request(self, recipients: Sequence[str]) -> Request:
        """The POST that tells `recipients`; raises `InvalidInput` for them, too."""
        return send_request(self.event_id, self.message, recipients, self.context)


def send_request(
    event_id: str | uuid.UUID | None,
    message: str,
    recipients: Sequence[str],
    context: Context | None,
) -> Request:
    """The POST that tells `recipients`; without an event id, the legacy endpoint's."""
    check_message(message, context)
    check_recipients(recipients)
    content: dict[str, Any] = {"message": message, "recipients": list(recipients)}
    if context is not None:
        content["context"] = dict(context)
    return json_request(send_path(event_id), content)


def send_path(event_id: str | uuid.UUID | None) -> str:
    """The endpoint's path; raises `InvalidInput` if the event id is no UUID."""
    if event_id is None:
        return "/rest/v1/messages/send"
    try:
        return f"/rest/v1/events/{uuid.UUID(str(event_id))}/messages/send"
    except ValueError:
        raise InvalidInput("event_id must be a UUID, as the Events Workspace shows it") from None


def check_message(message: object, context: object = None) -> None:
    """Raise `InvalidInput` unless the message and the context fit the vendor's limits."""
    if not isinstance(message, str):
        raise InvalidInput(f"message must be text, not {type(message).__name__}")
    if not 1 <= len(message) <= MAX_MESSAGE:
        raise InvalidInput(
            f"message has {len(message)} characters; the API takes 1 to {MAX_MESSAGE}"
        )
    _check_context(context)


def _check_context(context: object) -> None:
    if context is None:
        return
    if not isinstance(context, Mapping):
        raise InvalidInput(
            f'context must be a mapping like {{"slots": {{...}}}}, not {type(context).__name__}'
        )
    try:
        json.dumps(dict(context), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise InvalidInput("context holds a value that JSON cannot express") from None


def check_recipients(recipients: Sequence[str]) -> None:
    """Raise `InvalidInput` unless there are 1 to 500 plausible addresses. Positions are named."""
    if isinstance(recipients, (str, bytes)):
        raise InvalidInput("recipients must be a list of addresses, not one text")
    if not 1 <= len(recipients) <= MAX_RECIPIENTS:
        raise InvalidInput(
            f"{len(recipients)} recipients; one request takes 1 to {MAX_RECIPIENTS}:"
            " use send_bulk for any number"
        )
    if (found := first_fault(recipients)) is not None:
        raise InvalidInput(f"recipients[{found[0]}] is no address: {found[1]}")


def auth_test_request() -> Request:
    """The GET that checks the credential and does nothing else."""
    return Request(method="GET", path="/rest/v1/auth/test", effect=Effect.NONE)


def token_request(credentials: ClientCredentials) -> Request:
    """The POST that asks for an access token, as a form or as JSON."""
    content = {
        "client_id": credentials.client_id,
        "client_secret": credentials.client_secret,
        "grant_type": "client_credentials",
    }
    if credentials.token_request == "json":  # noqa: S105 - the name of a format
        return json_request("/oauth/v1/token", content, Effect.NONE)
    return Request(
        method="POST",
        effect=Effect.NONE,
        path="/oauth/v1/token",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        body=urlencode(content).encode(),
    )


def parse_receipt(response: Response, *, recipients: int) -> Receipt:
    """The receipt of a send, or the typed error that the answer stands for."""
    raise_for_status(response)
    data = unwrap(response.json(), "data")
    return Receipt(
        status=response.status,
        state=text_of(data.get("status")),
        recipients=recipients,
        attempts=1,
        request_id=request_id(response),
    )


def parse_auth_test(response: Response) -> str:
    """The vendor's text, whatever the case of its key; the plain body if it is no JSON."""
    raise_for_status(response)
    content = unwrap(response.json(), "data")
    found = text_of(content.get("Message")) or text_of(content.get("message"))
    return found or response.body.decode("utf-8", "replace").strip()


def parse_token(response: Response) -> Token:
    """The token of the answer, or the typed error that the answer stands for."""
    raise_for_status(response)
    return Token.from_wire(unwrap(response.json(), "data"))


def raise_for_status(response: Response) -> None:
    """Raise the typed error of an answer that is not a success."""
    if response.unclear:
        redirect = 300 <= response.status < 400  # the next request would be sent elsewhere, too
        raise BadResponse(
            f"HTTP {response.status}, {response.unclear}; told or not told",
            concerns=Concerns.EVERYBODY if redirect else None,
        )
    if not response.succeeded:
        raise error_of(response)


def error_of(response: Response) -> RefusedByServer:
    """The typed error of a refusal; its body may be flat, nested, a bare text, HTML or empty."""
    content = response.json()
    body = unwrap(content, "error")
    code = body.get("code")
    code = code if isinstance(code, (str, int)) else text_of(body.get("error"))
    message = text_of(body.get("message")) or text_of(body.get("Message"))
    message = message or text_of(content) or response.text()
    blames_token = response.status == 403 and _blames_token(f"{code} {message}")
    kind = NotAuthenticated if blames_token else kind_of(response.status)
    return refusal(response, code=code, message=message, kind=kind)


def _blames_token(words: str) -> bool:
    """Is this 403 really a dead token? The legacy endpoint documents that (code texts open)."""
    squeezed = re.sub(r"[^a-z]", "", words.lower())
    return "token" in squeezed and any(
        word in squeezed for word in ("expired", "invalid", "validationfailed")
    )


def unwrap(content: object, key: str) -> Mapping[str, Any]:
    """The mapping below `key` if there is one, else `content` itself, else an empty mapping."""
    if not isinstance(content, Mapping):
        return {}
    inner = content.get(key)
    return inner if isinstance(inner, Mapping) else content
