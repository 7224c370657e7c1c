"""Whatever a server sends, it is a value or one of our errors, and can be printed and written."""

from __future__ import annotations

import copy
import json
import pickle
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from moveworks_shift_async.errors import MoveworksError, RefusedByServer
from moveworks_shift_async.settings import ClientCredentials, OAuthTokens
from moveworks_shift_async.wire.http import Request, Response, json_request
from moveworks_shift_async.wire.moveworks import (
    LEGACY,
    auth_test_request,
    parse_auth_test,
    parse_receipt,
    parse_token,
    token_request,
)
from moveworks_shift_async.wire.shift import parse_message, parse_tokens, refresh_request
from moveworks_shift_async.wire.token import Token

PAIR = OAuthTokens(client_id="an-app", client_secret="hush-hush-1", refresh_token="refresh-12")
CLIENT = ClientCredentials("a-client", "hush-hush-2")
SEND = json_request(LEGACY, {"message": "private words", "context": {"slots": {"a": "\ud800"}}})

#: Every decoder, with a request that it reads the answers of.
DECODERS: list[tuple[Callable[[Response], object], Request]] = [
    (parse_receipt, SEND),
    (parse_auth_test, auth_test_request()),
    (parse_token, token_request(CLIENT)),
    (parse_token, token_request(CLIENT, "json")),
    (parse_message, SEND),
    (parse_tokens, refresh_request(PAIR, "refresh-12")),
]
STATUSES = st.sampled_from((200, 201, 202, 204, 101, 302, 400, 401, 403, 404, 429, 500))
STATUSES |= st.integers(0, 999)

TEXTS = st.text(st.characters() | st.characters(categories=["Cs", "Cc", "Cf"]))
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**4299, -(10**400), 2**63, 1e17, -1e300])
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS | st.just("RECEIVED")
KEYS = st.sampled_from(
    [
        *("data", "error", "errors", "code", "message", "Message", "status", "access_token"),
        *("expires_in", "refresh_token", "id", "text", "author", "mentions", "created_at"),
    ]
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | TEXTS, inner, max_size=4),
    max_leaves=10,
)


def _bytes(content: object, *, ascii_only: bool) -> bytes:
    text = json.dumps(content, ensure_ascii=ascii_only)
    return text.encode(errors="surrogatepass")


def _object(pairs: list[tuple[str, object]]) -> bytes:
    """A JSON object in which keys may stand twice."""
    inner = ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in pairs)
    return f"{{{inner}}}".encode()


BODIES = st.one_of(
    st.binary(),
    st.builds(_bytes, JSON, ascii_only=st.booleans()),
    st.lists(st.tuples(KEYS, JSON), max_size=4).map(_object),
    # Spellings of a text that are no UTF-8, and documents that are cut.
    st.builds(
        lambda content, code, cut: json.dumps(content).encode(code)[: -cut or None],
        JSON,
        st.sampled_from(["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-7"]),
        st.integers(0, 3),
    ),
)
HEADERS = st.dictionaries(
    st.sampled_from(["Retry-After", "Date", "X-Request-Id", "Content-Type"]),
    TEXTS | st.from_regex(r"(Mon|Tue), ?\d+ (Jan|Feb) \d+ \d+:\d+:?\d*( GMT| [+-]\d+)?"),
)


def decode(
    status: int, headers: dict[str, str], body: bytes, decoder: Callable[[Response], object]
) -> object:
    """What a decoder makes of an answer: its value, or the error that it raised."""
    response = Response(status=status, headers=headers, body=body)
    try:
        return decoder(response)
    except MoveworksError as error:
        return error


def check_text(text: str) -> None:
    """It is short, on one line, and goes through UTF-8."""
    assert text.isprintable()
    assert len(text) < 1000
    text.encode()


@given(STATUSES, HEADERS, BODIES, st.sampled_from(DECODERS))
@example(200, {}, b"[" * 100_000, DECODERS[0])
@example(400, {}, b'{"error":' * 100_000, DECODERS[0])
@example(400, {}, b'{"errors":' + b"[" * 900 + b"]" * 900 + b"}", DECODERS[4])
@example(200, {}, b'{"data":[{"id":"m","extra":' + b"[" * 900 + b"]" * 900 + b"}]}", DECODERS[4])
@example(400, {}, b'{"code":' + b"9" * 4000 + b"}", DECODERS[0])
@example(200, {}, b'{"access_token":"t","refresh_token":"\\ud800"}', DECODERS[5])
@example(200, {}, b'{"data":[{"id":"\\ud800","text":"\\ud800","a":["\\udc00"]}]}', DECODERS[4])
@example(429, {"Retry-After": "Tue, 1 Jan 1 1:1", "Date": "0"}, b"", DECODERS[0])
def test_any_answer_is_a_value_or_our_error(
    status: int,
    headers: dict[str, str],
    body: bytes,
    decoder: tuple[Callable[[Response], object], Request],
) -> None:
    """Bytes, deep and huge JSON, NaN, keys twice, half characters: never a bare error."""
    parse, request = decoder
    found = decode(status, headers, body, lambda response: parse(response.to(request)))
    if isinstance(found, MoveworksError):
        check_text(str(found))
        check_text(repr(found))
        json.dumps(found.__dict__, default=str, ensure_ascii=False).encode()
        assert str(pickle.loads(pickle.dumps(found))) == str(found)  # noqa: S301 - our own
        assert str(copy.copy(found)) == str(found)
    else:
        assert status in (200, 201, 202, 204)
        repr(found).encode()
    if isinstance(found, RefusedByServer):
        assert found.status == status
        check_text(str(found.code))
        assert found.retry_after is None or 0 <= found.retry_after <= 3600
    if isinstance(found, Token):
        refresh_request(PAIR, found.refresh_token or "none")


@given(HEADERS, JSON, JSON)
def test_a_message_can_be_written_as_it_is(headers: dict[str, str], text: Any, extra: Any) -> None:
    """Whatever a created message holds, its values are JSON in UTF-8."""
    content = {"data": [{"id": "m1", "text": text, "author": extra, "else": extra}]}
    body = json.dumps(content).encode()
    found = decode(200, headers, body, parse_message)
    if not isinstance(found, MoveworksError):
        values = {name: getattr(found, name) for name in ("id", "text", "author", "extra")}
        json.dumps(values, ensure_ascii=False).encode()


LARGE = 500_000


@pytest.mark.parametrize(
    "unit",
    [
        *(b"[", b'{"a":', b'{"data":', b"{", b"0", b"1e9", b'"', b"\\", b"a", b"a@", b"?", b"&#9"),
        *(b" ", b"<", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"bearer ", b"%25", b"-"),
    ],
)
@pytest.mark.parametrize("shell", [b"%s", b'{"message":"%s"}', b'{"errors":[%s0]}', b"[%s0]"])
@pytest.mark.parametrize("status", [200, 403])
def test_time_grows_with_the_answer_alone(unit: bytes, shell: bytes, status: int) -> None:
    """Half a megabyte of anything costs a moment of processor time, however busy the machine."""
    body = shell % (unit * (LARGE // len(unit)))
    began = time.thread_time()
    for parse, request in (DECODERS[0], DECODERS[4]):
        decode(status, {}, body, lambda response: parse(response.to(request)))  # noqa: B023
    assert time.thread_time() - began < 10


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"{}," * 200_000 + b"0]",
        b'{"data":[{"id":"m",%s"a":0}]}' % b"".join(b'"k%d":0,' % i for i in range(80_000)),
        b'{"data":[{"id":"m","a":"%s"}]}' % (b"\\ud800" * 100_000),
        b'{"message":"%s"}' % (b"\\ud83d\\ude00" * 150_000),
        b"[" + (b"9" * 4000 + b",") * 100 + b"0]",
    ],
    ids=["objects", "keys", "halves", "pairs", "numbers"],
)
def test_well_formed_answers_of_any_size_cost_a_moment(body: bytes) -> None:
    """The same for megabytes of JSON that can be read."""
    began = time.thread_time()
    for parse, request in DECODERS:
        decode(200, {}, body, lambda response: parse(response.to(request)))  # noqa: B023
    assert time.thread_time() - began < 20
