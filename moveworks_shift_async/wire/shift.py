"""The SHIFT API's rules: POST /v1/messages, its envelope, its error codes, its token endpoint.

Source: the vendor's messages page and the public record of 2012 and 2013. Its documents contradict
each other on `addressed_users` (a list, or an object of ids and emails); both can be sent.
`mentions` is sent as a list, as in every example.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

from ..addresses import first_fault
from ..errors import (
    BadRequest,
    InvalidInput,
    NotAuthenticated,
    NotFound,
    RefusedByServer,
)
from ..models import AppObject, ShiftMessage
from ..settings import OAuthTokens
from .http import Effect, Request, Response, Route, form_request, json_request
from .status import holds_error, kind_of, refusal, text_of, uncertain, undocumented
from .token import Token

if TYPE_CHECKING:
    from cattrs import Converter

# Every code that is public. 4001 says "Unknown error" and is permanent all the same.
_BY_CODE: Mapping[int, type[RefusedByServer]] = {
    4001: BadRequest,
    4004: BadRequest,
    4010: NotAuthenticated,
    4012: NotAuthenticated,
    4040: NotFound,
}

MESSAGES = Route("shift.messages.create", "POST", "/v1/messages")
TOKEN = Route("shift.token", "POST", "/v1/oauth2/token", Effect.NONE)

_CREATED_OR_NOT = "it may have been created or not"

#: How `addressed_users` is written: `{"ids": [...], "emails": [...]}`, or a plain list of ids.
AddressedUsers = Literal["object", "list"]


def message_request(
    *,
    text: str | None,
    team: str | uuid.UUID | None,
    users: Sequence[str | uuid.UUID],
    emails: Sequence[str],
    mention: AppObject | None,
    attachments: object,
    addressed_users: AddressedUsers,
) -> Request:
    """The POST that creates a message; raises `InvalidInput` for what the vendor would refuse."""
    team_id = None if team is None else _id(team, "team")
    user_ids = [_id(user, f"users[{i}]") for i, user in enumerate(_listed(users, "users"))]
    addresses = _listed(emails, "emails")
    _check_addressees(team_id, user_ids, addresses, addressed_users)
    _check_content(text, mention, attachments)
    content: dict[str, Any] = {"addressed_teams": [] if team_id is None else [team_id]}
    ids_and_emails = {"ids": user_ids, "emails": addresses}
    content["addressed_users"] = user_ids if addressed_users == "list" else ids_and_emails
    content |= {"text": text} if text else {}
    content |= {"attachments": attachments} if attachments else {}
    if mention is not None:
        content["mentions"] = [{"type": "appobject", "id": mention.id, "name": mention.name}]
    try:
        return json_request(MESSAGES, content)
    except (TypeError, ValueError, RecursionError):
        raise InvalidInput("attachments hold a value that JSON cannot express") from None


def _id(value: str | uuid.UUID, name: str) -> str:
    try:
        return str(uuid.UUID(str(value)))
    except ValueError:
        raise InvalidInput(f"{name} must be a UUID") from None


def _listed(value: Sequence[Any], name: str) -> list[Any]:
    """Read once: an iterator gives its entries only once."""
    if isinstance(value, (str, bytes)):
        raise InvalidInput(f"{name} must be a list, not one text")
    if not isinstance(value, Iterable):
        raise InvalidInput(f"{name} must be a list, not {type(value).__name__}")
    return list(value)


def _check_addressees(
    team: str | None, users: Sequence[str], emails: Sequence[str], form: AddressedUsers
) -> None:
    if team is None and not users and not emails:
        raise InvalidInput("address somebody: give a team, users or emails")
    if team is not None and (users or emails):
        raise InvalidInput("a message to a team cannot address users as well")
    if emails and form == "list":
        raise InvalidInput('emails need addressed_users="object": a plain list holds ids only')
    if (found := first_fault(emails)) is not None:
        raise InvalidInput(f"emails[{found[0]}] is no address: {found[1]}")


def _check_content(text: str | None, mention: AppObject | None, attachments: object) -> None:
    if text is not None and not isinstance(text, str):
        raise InvalidInput(f"text must be text, not {type(text).__name__}")
    try:
        (text or "").encode()
    except UnicodeEncodeError:
        raise InvalidInput("text holds half a character (a lone surrogate)") from None
    if not text and not attachments:
        raise InvalidInput("text or attachments cannot both be empty")
    if mention is not None and not (
        isinstance(mention, AppObject)
        and all(isinstance(part, str) for part in (mention.id, mention.name))
    ):
        raise InvalidInput("a mention is an AppObject; it needs an id and a name, both text")
    if ("{0}" in (text or "")) != (mention is not None):
        raise InvalidInput(
            "write {0} in the text where the mention goes"
            if mention is not None
            else "the text holds {0}, so it needs a mention"
        )


def refresh_request(credentials: OAuthTokens, refresh_token: str) -> Request:
    """The POST that trades the refresh token for a new pair. It must not be repeated blindly."""
    content = {
        "grant_type": "refresh_token",
        "client_id": credentials.client_id,
        "client_secret": credentials.client_secret,
        "refresh_token": refresh_token,
    }
    return form_request(TOKEN, content)


def parse_message(response: Response) -> ShiftMessage:
    """The created message, or the typed error that the answer stands for."""
    body = _raise_for_errors(response)
    data = body.get("data")
    first = data[0] if isinstance(data, list) and data else None
    if not _is_message(first):
        raise undocumented(response, so=_CREATED_OR_NOT)
    return _structure(first)


def parse_tokens(response: Response) -> Token:
    """The new pair of a refresh. This endpoint has no envelope and its own error body."""
    return Token.from_wire(_raise_for_errors(response, so="it holds no access_token"))


def _raise_for_errors(response: Response, so: str = _CREATED_OR_NOT) -> Mapping[str, Any]:
    """Return the object of a success; `errors` is an error whatever the final status."""
    body = response.json()
    errors = body.get("errors") if isinstance(body, Mapping) else None
    told = errors and response.status >= 200
    if not told and response.unclear:
        raise uncertain(response, so)
    if told or not response.succeeded:
        raise error_of(response, errors, body)
    if not isinstance(body, Mapping) or holds_error(body):
        raise undocumented(response, so)
    return body


def error_of(response: Response, errors: object, body: object) -> RefusedByServer:
    """The typed error of an answer, by its code if that is public, else by its status."""
    first = errors[0] if isinstance(errors, list) and errors else errors
    fields_of = first if isinstance(first, Mapping) else {}
    code, message = fields_of.get("code"), text_of(fields_of.get("message")) or text_of(first)
    if isinstance(body, Mapping) and isinstance(body.get("error"), str):
        code = body["error"]  # the token endpoint's {"error": "invalid_grant"}
    code = code if isinstance(code, (int, str)) else None
    kind = _BY_CODE.get(code) if isinstance(code, int) else _TOKEN_ERRORS.get(code or "")
    if response.status >= 500:  # a code that blames the request proves nothing here
        kind = None
    return refusal(response, code=code, message=message, kind=kind or kind_of(response.status))


# RFC 6749, section 5.2: the credential or the refresh token itself is refused. HTTP 400 here.
_TOKEN_ERRORS = {"invalid_client": NotAuthenticated, "invalid_grant": NotAuthenticated}


def _is_message(content: object) -> TypeGuard[Mapping[str, Any]]:
    """Only `id` must be there: a message that was created must not look as if it might not be."""
    found = content.get("id") if isinstance(content, Mapping) else None
    return bool(text_of(found)) or (isinstance(found, int) and not isinstance(found, bool))


def _structure(content: Mapping[str, Any]) -> ShiftMessage:
    """Known keys typed; unknown ones, and known ones of another shape, kept in `extra`."""
    typed: dict[str, Any] = {"id": str(content["id"])}
    extra: dict[str, Any] = {}
    for key, value in content.items():
        fits = _SHAPES.get(key)
        if fits is not None and fits(value):
            typed[key] = value
        elif key != "id" and not (key in _SHAPES and value is None):
            extra[key] = value
    return _converter().structure({**typed, "extra": extra}, ShiftMessage)


def _is(kind: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, kind)


def _is_list_of(kind: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(isinstance(one, kind) for one in value)


def _is_time(value: object) -> bool:
    try:
        return not isinstance(value, bool) and bool(_time(value, None))
    except (TypeError, ValueError, OverflowError, OSError):
        return False


#: What each documented key of a message must look like to be typed.
_SHAPES: Mapping[str, Callable[[object], bool]] = {
    "text": _is(str),
    "subject": _is(str),
    "author": _is(Mapping),
    "addressed_teams": _is_list_of(str),
    "addressed_users": _is(list),
    "attachments": _is(list),
    "mentions": _is_list_of(Mapping),
    "created_at": _is_time,
    "updated_at": _is_time,
}


def _time(value: Any, _: object) -> datetime:
    """Epoch seconds, int or float, in UTC."""
    return datetime.fromtimestamp(value, UTC)


@cache
def _converter() -> Converter:
    from cattrs import Converter  # noqa: PLC0415 - most users never send to SHIFT

    converter = Converter(detailed_validation=False)
    converter.register_structure_hook(datetime, _time)
    return converter
