"""Which address of the sandbox is which endpoint. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from attrs import field, frozen

#: Routes that share a fault script and fault rates.
Family = Literal["send", "auth", "token", "shift", "shift-token"]
FAMILIES: tuple[Family, ...] = get_args(Family)

_EVENT_PREFIX = "/rest/v1/events/"
_EVENT_SUFFIX = "/messages/send"


@frozen(kw_only=True)
class Route:
    """One endpoint."""

    family: Family
    #: Its name in the records.
    name: str
    #: The id in the path, for an event message.
    event_id: str | None = None


_FIXED = {
    ("POST", "/rest/v1/messages/send"): Route(family="send", name="messages.send"),
    ("GET", "/rest/v1/auth/test"): Route(family="auth", name="auth.test"),
    ("POST", "/oauth/v1/token"): Route(family="token", name="token"),
    ("POST", "/v1/messages"): Route(family="shift", name="shift.messages"),
    ("POST", "/v1/oauth2/token"): Route(family="shift-token", name="shift.token"),
}


def find_route(method: str, path: str) -> Route | None:
    """The endpoint at that address, or None."""
    fixed = _FIXED.get((method, path))
    if fixed is not None or method != "POST":
        return fixed
    event_id = path.removeprefix(_EVENT_PREFIX).removesuffix(_EVENT_SUFFIX)
    if "/" in event_id or path != _EVENT_PREFIX + event_id + _EVENT_SUFFIX:
        return None
    return Route(family="send", name="events.send", event_id=event_id)


def other_method(path: str) -> str | None:
    """The method that an endpoint at that address takes; None where there is none."""
    return next((method for method in ("GET", "POST") if find_route(method, path)), None)


@frozen(kw_only=True)
class Incoming:
    """One request as the pure parts see it, its body read."""

    route: Route
    #: The header, or "".
    authorization: str = field(default="", repr=False)
    #: The header, or "".
    content_type: str = ""
    query: Mapping[str, str] = field(factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    #: Seconds of the sandbox's clock.
    now: float
    #: Seconds since 1970, for the times that SHIFT prints.
    epoch: float = 0.0

    def bearer(self) -> str | None:
        """The token of `Authorization: Bearer`, or None where there is no such header."""
        scheme, _, token = self.authorization.partition(" ")
        return token.strip() if scheme == "Bearer" else None
