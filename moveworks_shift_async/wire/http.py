"""One HTTP request and one HTTP response as values."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from attrs import evolve, field, frozen

from ..text import one_line
from .redaction import NOTHING, Sent

_NONE: Mapping[str, str] = MappingProxyType({})


class Effect(enum.Enum):
    """What a request may do to people, and so whether it may be repeated when it is unknown."""

    #: Nobody can be told by it: the auth test, a token.
    NONE = "none"
    #: It may tell people.
    MAY_TELL = "may tell"


@frozen
class Route:
    """One endpoint of a vendor: what all of its requests have in common."""

    #: As the client's methods are called, `"events.send"`.
    name: str
    method: str
    #: The path below the base URL, with braces around what differs from request to request.
    template: str
    effect: Effect = Effect.MAY_TELL


@frozen(kw_only=True)
class Request:
    """What the transport sends. Everything that may hold personal data stays out of the repr."""

    route: Route
    #: Below the base URL, with its first slash.
    path: str = field()
    query: Mapping[str, str] = field(factory=dict, repr=False)
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    #: How many people it tells, as far as it names them.
    recipients: int = 0
    #: The server, without a slash at the end; empty until it is `ready`.
    base_url: str = ""

    @path.default
    def _without_what_differs(self) -> str:
        return self.route.template

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.route.method

    @property
    def effect(self) -> Effect:
        """What it may do to people."""
        return self.route.effect

    @property
    def url(self) -> str:
        """Where it is sent to, without the query."""
        return self.base_url + self.path

    def sent(self) -> Sent:
        """What it carries that no text may show."""
        return Sent.of(self.query, self.headers.get("Authorization", ""), self.body)

    def ready(
        self, base_url: str, *, headers: Mapping[str, str] = _NONE, query: Mapping[str, str] = _NONE
    ) -> Request:
        """The same for that server, with the credential in its headers or its query."""
        return Request(
            route=self.route,
            path=self.path,
            query={**self.query, **query},
            headers={**self.headers, **headers},
            body=self.body,
            recipients=self.recipients,
            base_url=base_url,
        )


class _Readable(dict[str, str]):
    """Headers with names in lower case, and values that can be printed and written anywhere."""


def _readable(headers: Mapping[str, str]) -> Mapping[str, str]:
    """A header may hold any bytes; what is no UTF-8 comes as halves of surrogate pairs."""
    if isinstance(headers, _Readable):
        return headers
    return _Readable(
        (_name(name), value if value.isprintable() else one_line(value))
        for name, value in headers.items()
    )


@lru_cache(maxsize=64)  # the same few come with every answer
def _name(name: str) -> str:
    plain = name.isprintable() and " " not in name
    return name.lower() if plain else one_line(name).lower()


@frozen(kw_only=True)
class Response:
    """What the transport received, whole."""

    status: int
    #: Names in lower case, values printable.
    headers: Mapping[str, str] = field(factory=dict, repr=False, converter=_readable)
    body: bytes = field(default=b"", repr=False)
    #: The request that it answers: what a text repeats of it is not shown.
    asked: Request | None = field(default=None, repr=False)
    #: When it came, aware; for a `Retry-After` date in an answer that has no `Date` of its own.
    received: datetime | None = None

    def to(self, request: Request) -> Response:
        """The same as the answer to `request`."""
        return evolve(self, asked=request)

    def sent(self) -> Sent:
        """What the request carried that no text may show."""
        return NOTHING if self.asked is None else self.asked.sent()

    def json(self) -> Any:
        """The body as JSON in UTF-8, or None where it is empty, HTML or broken.

        Stricter than Python's own reading: a key that stands twice in an object, or NaN, is broken
        (RFC 8259). Every text in it can be written as UTF-8.
        """
        try:
            text = self.body.decode("utf-8-sig")
            content = _JSON.decode(text)
            return _writable(content) if "\\u" in text else content
        except (ValueError, RecursionError):
            return None

    def text(self) -> str | None:
        """The body where it is plain text: neither JSON nor HTML nor empty."""
        text = self.body.decode("utf-8-sig", "replace").strip()
        other = text == "null" or "\0" in text or text.startswith(("<", "{", "["))
        return text if text and not other else None

    @property
    def succeeded(self) -> bool:
        """Status 200, 201, 202 or 204: the ones that mean done or scheduled."""
        return self.status in (200, 201, 202, 204)

    @property
    def says_nothing(self) -> bool:
        """The body is empty, or `null`."""
        return self.body.strip() in (b"", b"null")

    @property
    def unclear(self) -> str | None:
        """Why this may or may not mean that the request was processed; None where it is clear.

        Clear are a success, a plain redirect (the same request belongs elsewhere) and 400 upwards.
        """
        if self.status in (302, 303):
            return "a redirect that often follows a processed request; check base_url"
        if self.status < 400 and not self.succeeded and self.status not in (301, 307, 308):
            return "which the API does not document"
        return None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a key stands twice: which of the two values counts is anybody's guess")
    return content


def _not_json(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


_JSON = json.JSONDecoder(object_pairs_hook=_each_once, parse_constant=_not_json)


def _writable(content: Any) -> Any:
    """The same with "?" for each half of a surrogate pair, which UTF-8 cannot express."""
    text = json.dumps(content, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.loads(text.encode(errors="replace"))
    return content


JSON_TYPE: Mapping[str, str] = MappingProxyType({"Content-Type": "application/json"})
FORM_TYPE: Mapping[str, str] = MappingProxyType(
    {"Content-Type": "application/x-www-form-urlencoded"}
)


#: A value as JSON, in ASCII and without spare spaces.
written: Callable[[Any], str] = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def json_request(route: Route, content: Any) -> Request:
    """A request of `content` as JSON."""
    return Request(route=route, headers=JSON_TYPE, body=written(content).encode())


def form_request(route: Route, content: Mapping[str, str]) -> Request:
    """A request of `content` as a form."""
    return Request(route=route, headers=FORM_TYPE, body=urlencode(content).encode())
