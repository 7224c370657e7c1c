"""The SHIFT side: messages, and OAuth tokens whose refresh token works once. Pure."""

from __future__ import annotations

import secrets
import uuid
from typing import Any

from attrs import define, field

from .decisions import Answer, Decision, json_answer, shift_error
from .moveworks import read_form
from .options import Options
from .routes import Incoming
from .rules import Refusal
from .shift_rules import UNKNOWN, ShiftPost, check_post

NOT_FOUND = 4040
_NO_STORE = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))
_USER = "shift-user"


def _new_token() -> str:
    """As many characters as in the vendor's samples: 40."""
    return secrets.token_hex(20)


@define(eq=False)
class ShiftVendor:
    """One application and one user who has let it in."""

    options: Options
    #: Access token -> the time at which it dies.
    _access: dict[str, float] = field(factory=dict, init=False, repr=False)
    _refresh: set[str] = field(factory=set, init=False, repr=False)

    def handle(self, request: Incoming) -> Decision:
        """Decide about one request and do what it asks for."""
        if request.route.family == "shift-token":
            return self._token(request)
        refusal = self._refuse_credential(request)
        if refusal is not None:
            return Decision(answer=refusal)
        return self._post(
            request, self.options.shift_client_id if request.bearer() is None else _USER
        )

    def issue_tokens(self, now: float) -> tuple[str, str]:
        """Make an access token and the refresh token that goes with it."""
        access, refresh = _new_token(), _new_token()
        self._access[access] = now + self.options.token_lifetime
        self._refresh.add(refresh)
        return access, refresh

    def expire_tokens(self, now: float) -> None:
        """End every access token that lives; refresh tokens go on."""
        self._access = {token: min(end, now) for token, end in self._access.items()}

    def expired(self) -> Answer:
        """The answer to an expired or unknown access token."""
        return shift_error(
            self.options.variants, 401, 4012, "OAuth authorization error.", reason="access_denied"
        )

    def _refuse_credential(self, request: Incoming) -> Answer | None:
        token = request.bearer()
        if token is not None:
            return None if request.now < self._access.get(token, request.now) else self.expired()
        query = request.query
        if self._is_app(query.get("client_id"), query.get("client_secret")):
            return None
        return shift_error(self.options.variants, 401, 4010, "Not authorized")

    def _is_app(self, client_id: str | None, client_secret: str | None) -> bool:
        return (client_id, client_secret) == (
            self.options.shift_client_id,
            self.options.shift_client_secret,
        )

    def _post(self, request: Incoming, caller: str) -> Decision:
        try:
            post = check_post(request.body)
            self._look_up(post)
        except Refusal as refusal:
            answer = shift_error(
                self.options.variants, refusal.status, refusal.code, refusal.message
            )
            return Decision(answer=answer, credential=caller)
        message = _message(post, caller, request.epoch)
        answer = json_answer(200, {"meta": {}, "data": [message], "time": 0.001})
        return Decision(answer=answer, processed=True, credential=caller, told=post.told())

    def _look_up(self, post: ShiftPost) -> None:
        if self.options.unknown_ids.intersection(post.teams):
            raise Refusal(NOT_FOUND, "Not found", 404)
        if self.options.unknown_ids.intersection(post.ids):
            raise Refusal(UNKNOWN, "Unknown error")

    def _token(self, request: Incoming) -> Decision:
        try:
            fields = read_form(request.body)
        except Refusal:
            fields = {}
        error = self._refuse_token(fields)
        if error is not None:
            return Decision(answer=json_answer(400, {"error": error}, headers=_NO_STORE))
        # The old refresh token dies before the answer goes out, lost or not.
        self._refresh.discard(fields.get("refresh_token", ""))
        body = self._token_body(*self.issue_tokens(request.now))
        answer = json_answer(200, body, headers=_NO_STORE)
        return Decision(answer=answer, processed=True, credential=self.options.shift_client_id)

    def _refuse_token(self, fields: dict[str, str]) -> str | None:
        """The OAuth error code, or None. Nobody logs in here, so no code can be exchanged."""
        grant = fields.get("grant_type")
        if grant is None:
            return "invalid_request"
        if grant != "refresh_token":
            return "unsupported_grant_type"
        if not self._is_app(fields.get("client_id"), fields.get("client_secret")):
            return "invalid_client"
        return None if fields.get("refresh_token") in self._refresh else "invalid_grant"

    def _token_body(self, access: str, refresh: str) -> dict[str, Any]:
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": self.options.promised_seconds(),
            "refresh_token": refresh,
        }


#: Fields of a new message that this sandbox never fills; the vendor's answer has them all.
_BLANK: dict[str, Any] = {
    "subject": None,
    "resurface_html": False,
    "unread_sidebar": False,
    "unread_reply": False,
    "unread_since": None,
    "muted": False,
    "is_muted": False,
    "user_high_fived": False,
    "num_high_fives": 0,
    "user_replied": False,
    "user_replied_to_sidebar": False,
    "num_replies": 0,
    "sidebars": [],
    "events": [],
    "tags": ["_inbox", "_sent"],
    "read": True,
    "subscribed_to": True,
}
_AUTHOR: dict[str, Any] = {
    "id": "5b1c1a52-6f0e-4f6b-9f3c-2f0d6a7f0c11",
    "first_name": "Sandy",
    "last_name": "Box",
    "email": "sandy.box@example.com",
    "title": "",
    "relationship": 0,
    "active": True,
    "online": False,
    "images": [],
}


def _message(post: ShiftPost, caller: str, epoch: float) -> dict[str, Any]:
    """The message as SHIFT returns it; the times are milliseconds exact."""
    by_user = caller == _USER
    return {
        **_BLANK,
        "id": str(uuid.uuid4()),
        "text": post.shown_text(),
        "author": _AUTHOR if by_user else None,
        "author_type": "user" if by_user else "application",
        "via_app": None if by_user else caller,
        "addressed_teams": post.teams,
        "addressed_users": post.ids + post.emails,
        "attachments": post.attachments,
        "mentions": post.mentions,
        "created_at": round(epoch, 3),
        "updated_at": round(epoch, 3),
    }
