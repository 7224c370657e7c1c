"""The Moveworks side: credentials, tokens and the three API endpoints. Pure."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from attrs import define, field

from .decisions import (
    Answer,
    Decision,
    json_answer,
    moveworks_error,
    scheduled,
)
from .options import Options
from .routes import Incoming
from .rules import (
    BAD_REQUEST,
    INVALID_EVENT,
    UNAUTHORIZED,
    Refusal,
    check_message,
    parse_object,
    read_message,
)

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def is_uuid(text: str) -> bool:
    """True for the usual written form of a UUID."""
    return _UUID.fullmatch(text) is not None


@define(eq=False)
class MoveworksVendor:
    """One organisation with one API key, one OAuth client and one event."""

    options: Options
    #: Token -> the time at which it dies.
    _tokens: dict[str, float] = field(factory=dict, init=False, repr=False)

    def handle(self, request: Incoming) -> Decision:
        """Decide about one request and do what it asks for."""
        if request.route.family == "token":
            return self._issue(request)
        refusal = self._refuse_credential(request)
        if refusal is not None:
            return Decision(answer=refusal)
        caller = "api-key" if request.bearer() == self.options.api_key else self.options.client_id
        if request.route.family == "auth":
            text = {self.options.variants.auth_key: "Auth tested successfully"}
            return Decision(answer=json_answer(200, text), processed=True, credential=caller)
        return self._send(request, caller)

    def issue_token(self, now: float) -> str:
        """Make a token that works from now on for its lifetime."""
        token = "mwt_" + secrets.token_hex(32)
        self._tokens[token] = now + self.options.token_lifetime
        return token

    def expire_tokens(self, now: float) -> None:
        """End every token that lives; they answer as expired from now on."""
        self._tokens = {token: min(end, now) for token, end in self._tokens.items()}

    def expired(self) -> Answer:
        """The answer to an expired token."""
        status = self.options.variants.expired_status
        code = UNAUTHORIZED if status == 401 else "EXPIRED_TOKEN"
        return moveworks_error(self.options.variants, status, code, "The access token is expired")

    def _refuse_credential(self, request: Incoming) -> Answer | None:
        token = request.bearer()
        if token == self.options.api_key:
            return None
        end = self._tokens.get(token or "")
        if end is None:
            return moveworks_error(
                self.options.variants, 401, UNAUTHORIZED, "Token validation failed"
            )
        return None if request.now < end else self.expired()

    def _send(self, request: Incoming, caller: str) -> Decision:
        event_id = request.route.event_id
        if event_id is not None and not self._knows(event_id):
            answer = moveworks_error(self.options.variants, 404, INVALID_EVENT, "Event not found")
            return Decision(answer=answer, credential=caller)
        try:
            told = check_message(request.body)
        except Refusal as refusal:
            return self._refuse(400, refusal.code, refusal.message, caller)
        if self.options.on_told is not None:
            self.options.on_told(read_message(request.body, event_id))
        answer = scheduled(self.options.variants, legacy=event_id is None)
        return Decision(answer=answer, processed=True, credential=caller, told=told)

    def _knows(self, event_id: str) -> bool:
        return event_id == self.options.event_id or (self.options.any_event and is_uuid(event_id))

    def _issue(self, request: Incoming) -> Decision:
        try:
            fields = _token_fields(request)
        except Refusal as refusal:
            return self._refuse(400, refusal.code, refusal.message)
        if not all(isinstance(value, str) for value in fields.values()):
            return self._refuse(400, BAD_REQUEST, "A field has an incorrect data type")
        if not all(fields.get(name) for name in ("grant_type", "client_id", "client_secret")):
            return self._refuse(400, "INVALID_REQUEST", "A required field is missing")
        if fields["grant_type"] != "client_credentials":
            return self._refuse(400, "UNSUPPORTED_GRANT_TYPE", "Unknown grant type")
        known = self.options.client_id, self.options.client_secret
        if (fields["client_id"], fields["client_secret"]) != known:
            return self._refuse(401, "INVALID_CLIENT", "Client authentication failed")
        answer = json_answer(200, self._token_body(self.issue_token(request.now)))
        return Decision(answer=answer, processed=True, credential=self.options.client_id)

    def _token_body(self, token: str) -> dict[str, Any]:
        body = {
            "access_token": token,
            "expires_in": self.options.promised_seconds(),
            "token_type": "Bearer",
        }
        wrapped = self.options.variants.token_body == "wrapped"  # noqa: S105 - a shape
        return {"data": body} if wrapped else body

    def _refuse(
        self, status: int, code: str | int, message: str, caller: str | None = None
    ) -> Decision:
        answer = moveworks_error(self.options.variants, status, code, message)
        return Decision(answer=answer, credential=caller)


def _token_fields(request: Incoming) -> Mapping[str, Any]:
    """The fields of a token request, form or JSON by its content type."""
    if "json" in request.content_type:
        return parse_object(request.body)
    return read_form(request.body)


def read_form(body: bytes) -> dict[str, str]:
    """The fields of a form body. Raises `Refusal` if it is not text."""
    try:
        return dict(parse_qsl(body.decode()))
    except ValueError:
        raise Refusal(BAD_REQUEST, "The form cannot be read") from None
