"""What Moveworks accepts in a message: the documented limits and codes. Pure.

Recipients travel as one text, an address a line: the check of 500 addresses is then one match,
and a record of ten million people is small.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

#: Characters of a message; the vendor's reference says 1 to 20000. Counted as code points.
MESSAGE_MAX = 20_000
#: Recipients of a request; the vendor's reference says 1 to 500.
RECIPIENTS_MAX = 500

#: Lists and objects in one another. No message of either vendor needs so many, and what Python can
#: still read it cannot always write.
DEPTH_MAX = 100

# Bytes of a body that is looked into although it was refused; the largest good one is smaller.
_GLIMPSE_MAX = 1024**2

TOO_LONG = "INVALID_VALUE_SIZE_TOO_LONG"
TOO_SHORT = "INVALID_VALUE_SIZE_TOO_SHORT"
BAD_REQUEST = "BAD_REQUEST"
INVALID_EVENT = "INVALID_EVENT_ID"
UNAUTHORIZED = "Unauthorized"

# A local part of at most 64 characters without a dot at either end, and a domain of two labels
# or more (RFC 5321 sizes). Possessive, so that no input makes it slow, but for its groups, which
# Python 3.11.2 would get wrong; `plausible` looks for double dots. The first form is several times
# faster and serves nearly every list.
_SPECIALS = r"@,;:<>()\[\]\\\"\x00-\x20\x7f"


def _addresses(local: str, label: str) -> re.Pattern[str]:
    address = rf"(?!\.){local}{{1,64}}+(?<!\.)@{label}(?:\.{label})+"
    return re.compile(rf"{address}(?:\n{address})*")


_ASCII_ADDRESSES = _addresses(rf"[^{_SPECIALS}]", r"(?!-)[A-Za-z0-9-]{1,63}+(?<!-)")
_UNICODE_ADDRESSES = _addresses(rf"[^\s{_SPECIALS}]", r"(?!-)(?:[^\W_]|-){1,63}(?<!-)")


class Refusal(Exception):
    """A request that breaks a rule, and the status, code and text to refuse it with.

    Moveworks has words for codes, SHIFT numbers.
    """

    def __init__(self, code: str | int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


@frozen(kw_only=True)
class Told:
    """A message that keeps the rules."""

    #: One address a line.
    addresses: str = field(repr=False)
    #: The text.
    message: str = field(repr=False)
    #: The context as canonical JSON; None where there was none.
    context: str | None = field(default=None, repr=False)


@frozen(kw_only=True)
class Asked:
    """What a request wanted to say that told nobody, as far as it can be read."""

    message: str = field(repr=False)
    #: As canonical JSON; None where there was none.
    context: str | None = field(repr=False)
    #: For how many people it was.
    people: int


@frozen(kw_only=True)
class Message:
    """A message in full, for whoever wants to see what people see."""

    #: Whom one request told, as it named them.
    to: tuple[str, ...] = field(repr=lambda to: f"<{len(to)} recipients>")
    #: The text.
    message: str = field(repr=False)
    #: None where there was none.
    context: Mapping[str, Any] | None = field(repr=False)
    #: None for the legacy endpoint.
    event_id: str | None


def read_message(body: bytes, event_id: str | None) -> Message:
    """What a body says that `check_message` has taken."""
    payload = parse_object(body)
    return Message(
        to=tuple(payload["recipients"]),
        message=payload["message"],
        context=payload.get("context"),
        event_id=event_id,
    )


def plausible(addresses: str) -> bool:
    """True where every line is a syntactically good address."""
    pattern = _ASCII_ADDRESSES if addresses.isascii() else _UNICODE_ADDRESSES
    return ".." not in addresses and pattern.fullmatch(addresses) is not None


def is_address(text: str) -> bool:
    """True for one syntactically good address."""
    return "\n" not in text and plausible(text)


def read_json(body: bytes) -> Any:
    """The body as JSON; `ValueError` for what is none, or is nested too deeply to be handled."""
    try:
        value = json.loads(body, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if body.count(b"[") + body.count(b"{") > DEPTH_MAX and _depth(value) > DEPTH_MAX:
        raise ValueError("nested too deeply")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _depth(value: object) -> int:
    level, depth = [value], 0
    while level := [item for item in level if isinstance(item, dict | list)]:
        inner = (item.values() if isinstance(item, dict) else item for item in level)
        level, depth = [item for items in inner for item in items], depth + 1
    return depth


def parse_object(body: bytes) -> dict[str, Any]:
    """The body as a JSON object. Raises `Refusal` if it is none."""
    try:
        value = read_json(body)
    except ValueError:
        raise Refusal(BAD_REQUEST, "Parsing of json payload failed") from None
    if not isinstance(value, dict):
        raise Refusal(BAD_REQUEST, "The payload is not a json object")
    return value


def check_message(body: bytes) -> Told:
    """Check the body of either send endpoint. Raises `Refusal` with the code the vendor lists."""
    payload = parse_object(body)
    text = _text(payload.get("message"))
    addresses = _recipients(payload.get("recipients"))
    return Told(addresses=addresses, message=text, context=_context(payload))


def glimpse(body: bytes) -> Asked | None:
    """What a body of either vendor would say, good or not; None where it says nothing."""
    if len(body) > _GLIMPSE_MAX:
        return None
    try:
        payload = parse_object(body)
    except Refusal:
        return None
    text, context = payload.get("message", payload.get("text")), payload.get("context")
    if not isinstance(text, str):
        return None
    people = payload.get("recipients")
    return Asked(
        message=text,
        context=canonical(context) if isinstance(context, dict) else None,
        people=len(people) if isinstance(people, list) else 0,
    )


def _text(value: object) -> str:
    # A missing field reads as an empty one, as it does in most typed JSON decoders.
    text = "" if value is None else value
    if not isinstance(text, str):
        raise _wrong_type("message")
    _size("message", len(text), MESSAGE_MAX)
    return text


def _recipients(value: object) -> str:
    people = [] if value is None else value
    if not isinstance(people, list):
        raise _wrong_type("recipients")
    _size("recipients", len(people), RECIPIENTS_MAX)
    try:
        addresses = "\n".join(people)
    except TypeError:
        raise _wrong_type("recipients") from None
    # The vendor checks the syntax of all addresses first and is not known to name the bad one.
    if addresses.count("\n") != len(people) - 1 or not plausible(addresses):
        raise Refusal(BAD_REQUEST, "One or more recipients are not valid email addresses")
    return addresses


def _context(payload: dict[str, Any]) -> str | None:
    """As canonical JSON. The vendor's file has objects for it and its slots, and no null."""
    if "context" not in payload:
        return None
    value = payload["context"]
    if not isinstance(value, dict) or not isinstance(value.get("slots", {}), dict):
        raise _wrong_type("context")
    return canonical(value)


def canonical(value: Any) -> str:
    """The same text for the same JSON."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _size(name: str, size: int, most: int) -> None:
    if size < 1:
        raise Refusal(TOO_SHORT, f"Expected `{name}` field to be of min size: 1")
    if size > most:
        raise Refusal(TOO_LONG, f"Expected `{name}` field to be of max size: {most}")


def _wrong_type(name: str) -> Refusal:
    return Refusal(BAD_REQUEST, f"Field `{name}` has an incorrect data type")
