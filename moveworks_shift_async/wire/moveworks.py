"""The Moveworks API's rules: its paths, its limits, its bodies in every documented variant.

Sources: the vendor's reference of 2023-11-13, its OpenAPI file and its error pages. Where they
contradict each other, every variant is accepted. An answer means what it says only if one of them
explains it; with any other status below 400, or any other body, it is unknown what became of the
request.

=============  ==================  ================================================================
operation      status              body
=============  ==================  ================================================================
send, both     200, 201, 202, 204  none; `null`; an object in which nothing is filled, as `{}`,
endpoints                          `{"data": null}`, `{"data": {}}`; or one that says `RECEIVED`
                                   under `status` or `data.status`, and nothing else there
auth test      200, 201, 202       an object with a text under `Message` or `message`, or in `data`
token          200, 201, 202       an object with `access_token`, or with one in `data`
=============  ==================  ================================================================

"None" is a body that the head calls empty, or a 204. Further keys are the vendor's to add and
change nothing, but for `error`, `errors` and `code`: with one of them filled it is no success.
`Content-Type` decides nothing, for servers name some type even for no body. A refusal may have any
body; its message and code are read flat or from `error`.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any

from attrs import field, frozen

from ..errors import InvalidInput, NotAuthenticated, RefusedByServer
from ..models import Receipt
from ..settings import ClientCredentials, TokenForm
from .http import (
    JSON_TYPE,
    Effect,
    Request,
    Response,
    Route,
    form_request,
    json_request,
    written,
)
from .recipients import CheckedRecipients
from .redaction import redact
from .status import (
    holds_error,
    is_filled,
    kept_headers,
    kind_of,
    refusal,
    request_id,
    text_of,
    uncertain,
    undocumented,
)
from .token import Token

# Reference: message 1..20000 characters (their unit is not stated: code points here).
MAX_MESSAGE = 20_000

TO_EVENT = Route("events.send", "POST", "/rest/v1/events/{event_id}/messages/send")
LEGACY = Route("messages.send", "POST", "/rest/v1/messages/send")
AUTH_TEST = Route("auth.test", "GET", "/rest/v1/auth/test", Effect.NONE)
TOKEN = Route("token", "POST", "/oauth/v1/token", Effect.NONE)

Context = Mapping[str, Any]

_TOLD_OR_NOT = "told or not told"
_NOT_TESTED = "the credential was not tested"


def _written(context: object) -> str | None:
    """The context as JSON; raises `InvalidInput` for what is none."""
    if context is None:
        return None
    if not isinstance(context, Mapping):
        raise InvalidInput(
            f'context must be a mapping like {{"slots": {{...}}}}, not {type(context).__name__}'
        )
    try:
        written = json.dumps(
            dict(context), allow_nan=False, ensure_ascii=False, separators=(",", ":")
        )
        written.encode()  # a lone surrogate is no character
    except (TypeError, ValueError, RuntimeError):  # too deep, or changed by another thread
        raise InvalidInput("context holds a value that JSON cannot express") from None
    # JSON would make texts of other keys, and one of two that then are equal.
    if not _keys_are_texts(context):
        raise InvalidInput("context has a key that is no text")
    return written


def _keys_are_texts(context: Mapping[Any, Any]) -> bool:
    """Whether all keys in a tree without circles are."""
    nodes: list[object] = [context]
    while nodes:
        match nodes.pop():
            case Mapping() as inner:
                if not all(isinstance(key, str) for key in inner):
                    return False
                nodes += inner.values()
            case list() | tuple() as parts:
                nodes += parts
    return True


def _plain(message: Any) -> Any:
    """A text as what is sent of it: a class of the caller's may call two of them equal."""
    return str.__str__(message) if isinstance(message, str) else message


@frozen(kw_only=True)
class Content:
    """What one message says, to an event, or without one through the legacy endpoint.

    The context is written down when this is made, so what its owner changes later changes nothing
    here. Raises `InvalidInput` for a context that is none.
    """

    event_id: str | uuid.UUID | None
    message: str = field(repr=False, converter=_plain)
    _context: str | None = field(default=None, converter=_written, repr=False)

    @property
    def context(self) -> Context | None:
        """A copy of it."""
        return None if self._context is None else json.loads(self._context)

    @cached_property
    def _path_and_frame(self) -> tuple[str, str, str]:
        """Where it goes, and what stands before and after the recipients in its JSON."""
        path = send_path(self.event_id)
        check_message(self.message)
        context = "" if self._context is None else f',"context":{self._context}'
        before = f'{{"message":{written(self.message)},"recipients":'
        return path, before, f"{context}}}"

    def check(self) -> None:
        """Raise `InvalidInput` for what the vendor would refuse."""
        self._path_and_frame  # noqa: B018 - made once, when it is checked

    def key(self) -> tuple[str, str, str]:
        """Equal for what may share a request; raises `InvalidInput` as `check` does."""
        path, _, _ = self._path_and_frame
        return path, self.message, json.dumps(self.context, sort_keys=True)

    def request(self, recipients: CheckedRecipients) -> Request:
        """The POST that tells them; raises `InvalidInput` as `check` does."""
        path, before, after = self._path_and_frame
        return Request(
            route=LEGACY if self.event_id is None else TO_EVENT,
            path=path,
            headers=JSON_TYPE,
            body=f"{before}{recipients.written()}{after}".encode(),
            recipients=len(recipients),
        )


def send_path(event_id: str | uuid.UUID | None) -> str:
    """The endpoint's path; raises `InvalidInput` if the event id is no UUID."""
    if event_id is None:
        return LEGACY.template
    return _event_path(_plain(str(event_id)))


@lru_cache(maxsize=8)  # a program sends to few events
def _event_path(event_id: str) -> str:
    try:
        return TO_EVENT.template.format(event_id=uuid.UUID(event_id))
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
    try:
        message.encode()
    except UnicodeEncodeError:
        raise InvalidInput("message holds half a character (a lone surrogate)") from None
    _written(context)


def auth_test_request() -> Request:
    """The GET that checks the credential and does nothing else."""
    return Request(route=AUTH_TEST)


def token_request(credentials: ClientCredentials, form: TokenForm | None = None) -> Request:
    """The POST that asks for an access token; without `form` as the credentials say."""
    content = {
        "client_id": credentials.client_id,
        "client_secret": credentials.client_secret,
        "grant_type": "client_credentials",
    }
    as_json = (form or credentials.token_request) == "json"
    return json_request(TOKEN, content) if as_json else form_request(TOKEN, content)


def parse_receipt(response: Response, attempts: int = 1) -> Receipt:
    """The receipt of a send, or the typed error that the answer stands for."""
    raise_for_status(response)
    return Receipt(
        status=response.status,
        state=_state(response.status, bytes(response.body)),  # a transport may give a bytearray
        recipients=0 if response.asked is None else response.asked.recipients,
        attempts=attempts,
        request_id=request_id(response),
        headers=kept_headers(response),
    )


@lru_cache(maxsize=8)  # a server says the same each time; reading it is a tenth of a send's work
def _state(status: int, body: bytes) -> str | None:
    """The vendor's word for an accepted send, if it has one; raises what explains nothing."""
    response = Response(status=status, body=body)
    if response.says_nothing:
        return None
    levels = _levels(response, so=_TOLD_OR_NOT)
    said = {str(level["status"]) for level in levels if is_filled(level.get("status"))}
    if said == {"RECEIVED"}:
        return "RECEIVED"
    if any(is_filled(value) for level in levels for value in level.values()):
        raise undocumented(response, so=_TOLD_OR_NOT)
    return None


def _levels(response: Response, *, so: str) -> list[Mapping[str, Any]]:
    """The object of a success, then the one in its `data` if there is one, taken out of it.

    Raises `BadResponse` for anything else than an object, and for one that tells of an error.
    """
    content = response.json()
    if not isinstance(content, Mapping):
        raise undocumented(response, so)
    levels = [content]
    if isinstance(inner := content.get("data"), Mapping):
        levels = [{key: value for key, value in content.items() if key != "data"}, inner]
    if any(map(holds_error, levels)):
        raise undocumented(response, so)
    return levels


def parse_auth_test(response: Response) -> str:
    """The vendor's text on one line, whatever the case of its key."""
    raise_for_status(response)
    for level in _levels(response, so=_NOT_TESTED):
        if found := text_of(level.get("Message")) or text_of(level.get("message")):
            return redact(found, response.sent())
    raise undocumented(response, so=_NOT_TESTED)


def parse_token(response: Response) -> Token:
    """The token of the answer, or the typed error that the answer stands for."""
    raise_for_status(response)
    return Token.from_wire(_levels(response, so="it holds no access_token")[-1])


def raise_for_status(response: Response) -> None:
    """Raise the typed error of an answer that is not a success."""
    if response.unclear:
        raise uncertain(response, so=_TOLD_OR_NOT)
    if not response.succeeded:
        raise error_of(response)


def error_of(response: Response) -> RefusedByServer:
    """The typed error of a refusal; its body may be flat, nested, a bare text, HTML or empty."""
    content = response.json()
    outer = content if isinstance(content, Mapping) else {}
    body = inner if isinstance(inner := outer.get("error"), Mapping) else outer
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
