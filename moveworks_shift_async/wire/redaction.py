"""What may be shown of a text that a server wrote. Pure.

Theory of operation. A server may repeat anything of the request that it refuses: the credential,
an address, the message. Its text is cut to a bounded length, and what percent signs, HTML entities
and backslashes spell in it is spelled out, as in what was sent, so that one spelling is left to
compare. Then this is taken out:

- what was sent as a credential or in the query, from 8 characters on;
- each run of 12 characters that is also in what was sent;
- what looks like an address, a bearer token, a secret or token of the vendor, or a query.

Shorter runs stay, for they are words: a first name, a credential of 7 characters. So does what no
longer reads as what was sent: its base64 or its hash, or in other letters. Each step takes time
proportional to the texts.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from attrs import field, frozen

from ..text import one_line

REMOVED = "[removed]"
# Enough for the vendor's sentence, too little for a page of HTML.
SHOWN = 300
# What is read of it: enough for SHOWN characters after long secrets were taken out of it.
_READ = 2000
# Bytes of a request's body. 20,000 characters and 500 addresses are at most 370,000 as JSON. Where
# there is more, nothing is compared, so nothing is shown.
_COMPARED = 500_000
# Credentials are 20 to 100 characters. Shorter than this they could be words.
_CREDENTIAL = 8
# Shorter runs of words are in every sentence; longer ones come from us.
_RUN = 12
# Keys under which a token request says who asks.
_CREDENTIAL_KEYS = ("client_id", "client_secret", "refresh_token")
# Values that are the API's own words.
_OWN_WORDS = ("grant_type",)


@frozen(kw_only=True)
class Sent:
    """What a request carried that no text may show."""

    credentials: tuple[str, ...] = field(default=(), repr=False)
    #: The texts of its body.
    texts: tuple[str, ...] = field(default=(), repr=False)
    #: There is more of it than is compared.
    unreadable: bool = False

    @classmethod
    def of(cls, query: Mapping[str, str], authorization: str, body: bytes | None) -> Sent:
        """What is in the query, in the `Authorization` header and in a body of JSON or a form."""
        credentials = [*query.values(), authorization.removeprefix("Bearer ")]
        body = body or b""
        if len(body) > _COMPARED:
            return cls(unreadable=True)
        try:
            content = _content(body.decode(errors="replace"))
        except RecursionError:
            return cls(unreadable=True)
        if isinstance(content, Mapping):
            credentials += [str(content[key]) for key in _CREDENTIAL_KEYS if key in content]
        return cls(credentials=tuple(map(_spelled_out, credentials)), texts=tuple(_texts(content)))


NOTHING = Sent()


def redact(text: str, sent: Sent = NOTHING) -> str:
    """The server's text on one line, short, without what was `sent` or looks like a secret."""
    if sent.unreadable:
        return ""
    said = _spelled_out(_beginning(text))
    said = _without(said, _marks(said, sent))
    said = re.sub(_ADDRESS, REMOVED, re.sub(_SENSITIVE, REMOVED, said))
    return said[:SHOWN]


# Printed secrets and tokens of the vendor start so; e-mail addresses may be quoted back at us.
_SENSITIVE = r"(?i)mw[st]_\w+|bearer +\S+|\?[^\s?=]*=\S*|(?:secret|token)=\S+"
# The look-behind and the possessive quantifier keep it linear: a text may be one long word.
_ADDRESS = r"(?<![^\s\"<>,;:@])[^\s\"<>,;:@]++@[^\s\"'<>,;:]+"


def _beginning(text: str) -> str:
    """What is read of it, without a last word that is cut: half an address looks like none."""
    if len(text) <= _READ:
        return text
    words = text[:_READ].rsplit(maxsplit=1)
    return words[0] if len(words) > 1 else REMOVED


def _content(body: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return dict(parse_qsl(body))


def _texts(content: Any) -> Iterator[str]:
    """Each text in JSON, spelled out."""
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield _spelled_out(value)
        elif isinstance(value, Mapping):
            waiting += [inner for key, inner in value.items() if key not in _OWN_WORDS]
        elif isinstance(value, list):
            waiting += value


# Spellings within spellings. A gateway adds one, a page another; each costs one round.
_LAYERS = 8
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([nrt])|(.))")


def _spelled_out(text: str) -> str:
    """On one line, with what percent signs, HTML entities and backslashes spell; they may nest."""
    for _ in range(_LAYERS):
        before = text
        text = _ESCAPE.sub(_character, unquote(text))
        try:
            text = html.unescape(text)
        except ValueError:  # a number of more digits than Python reads
            text = text.replace("&#", " ")
        if text == before:
            break
    return one_line(text)


def _character(found: re.Match[str]) -> str:
    four, two, space, itself = found.groups()
    if four or two:
        return chr(int(four or two, 16))
    return " " if space else itself


def _marks(said: str, sent: Sent) -> bytearray:
    """For each character of `said`, 1 if it was sent."""
    marks = bytearray(len(said))
    for credential in sent.credentials:
        if len(credential) >= _CREDENTIAL:
            for found in re.finditer(re.escape(credential), said):
                marks[found.start() : found.end()] = b"\x01" * len(credential)
    runs: dict[str, list[int]] = {}
    for start in range(len(said) - _RUN + 1):
        runs.setdefault(said[start : start + _RUN], []).append(start)
    for text in (*sent.credentials, *sent.texts) if runs else ():
        for run in {text[i : i + _RUN] for i in range(len(text) - _RUN + 1)} & runs.keys():
            for start in runs.pop(run):
                marks[start : start + _RUN] = b"\x01" * _RUN
    return marks


def _without(said: str, marks: bytearray) -> str:
    """`said` with each marked run replaced by one word."""
    parts, end = [], 0
    for marked in re.finditer(b"\x01+", marks):
        parts += [said[end : marked.start()], REMOVED]
        end = marked.end()
    return "".join(parts) + said[end:]
