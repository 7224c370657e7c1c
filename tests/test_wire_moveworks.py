"""The Moveworks API's rules, and every variant that its documents contradict each other in."""

from __future__ import annotations

import json
import re
import types
import uuid
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moveworks_shift_async.errors import (
    BadRequest,
    BadResponse,
    Concerns,
    InvalidInput,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    RateLimited,
    RefusedByServer,
    ServerFailed,
)
from moveworks_shift_async.settings import ClientCredentials
from moveworks_shift_async.wire.http import Request, Response
from moveworks_shift_async.wire.moveworks import (
    Content,
    auth_test_request,
    check_message,
    error_of,
    parse_auth_test,
    parse_receipt,
    parse_token,
    raise_for_status,
    send_path,
    token_request,
)
from moveworks_shift_async.wire.recipients import CheckedRecipients

from .answers import HTML, JSON, SUCCESSES, answer, check_value_or_our_error

EVENT = uuid.UUID("15d8db87-9a06-4d5d-8e22-0b4e6c6c30a7")
PEOPLE = ["ann@example.com", "bob@example.com"]
WRAPPED = b'{"data": {"status": "RECEIVED"}}'

#: JSON objects with the keys that the vendor uses, holding anything.
KEYS = ("code", "message", "Message", "status", "access_token", "expires_in", "error", "data")
OBJECTS = st.recursive(
    JSON, lambda inner: st.dictionaries(st.sampled_from(KEYS), inner), max_leaves=10
)
BODIES = st.one_of(st.binary(), OBJECTS.map(lambda value: json.dumps(value).encode()))


def request_of(
    event_id: str | uuid.UUID | None, message: str, people: list[str], context: Any
) -> Request:
    """The POST that tells them."""
    return Content(event_id=event_id, message=message, context=context).request(
        CheckedRecipients.of(people)
    )


def body_of(request: Request) -> Any:
    """What a request's JSON says."""
    assert request.body is not None
    return json.loads(request.body)


# Requests


@pytest.mark.parametrize("event_id", [EVENT, str(EVENT), str(EVENT).upper(), EVENT.hex])
def test_an_event_is_named_in_the_path(event_id: str | uuid.UUID) -> None:
    """An event id is a UUID in any spelling; it is sent in the usual one."""
    request = request_of(event_id, "Hello", PEOPLE, {"slots": {"name": "x"}})
    assert request.method == "POST"
    assert request.path == f"/rest/v1/events/{EVENT}/messages/send"
    assert request.headers == {"Content-Type": "application/json"}
    assert body_of(request) == {
        "message": "Hello",
        "recipients": PEOPLE,
        "context": {"slots": {"name": "x"}},
    }


def test_without_an_event_it_is_the_legacy_endpoint() -> None:
    """No event id, the legacy path; no context, no such key."""
    request = request_of(None, "Hello", PEOPLE, None)
    assert request.path == "/rest/v1/messages/send"
    assert body_of(request) == {"message": "Hello", "recipients": PEOPLE}


@given(
    st.text(min_size=1, max_size=50),
    st.lists(st.just("ann@example.com") | st.just("böb@example.com"), min_size=1, max_size=5),
    st.none() | st.dictionaries(st.text(), st.text() | st.integers() | st.none()),
)
def test_what_is_encoded_decodes_to_the_same(
    message: str, people: list[str], context: dict[str, Any] | None
) -> None:
    """Texts, people and slots arrive as they were given."""
    expected = {"message": message, "recipients": people}
    if context is not None:
        expected["context"] = context  # type: ignore[assignment]
    assert body_of(request_of(EVENT, message, people, context)) == expected


@pytest.mark.parametrize("event_id", ["", "event", "15d8db87", "../auth/test", str(EVENT) + "/x"])
def test_an_event_id_is_a_uuid(event_id: str) -> None:
    """Anything else is refused before it gets into a path."""
    with pytest.raises(InvalidInput, match="event_id must be a UUID"):
        send_path(event_id)


@pytest.mark.parametrize("length", [1, 20_000])
def test_messages_of_the_documented_length_pass(length: int) -> None:
    """1 to 20000 characters, counted as code points."""
    check_message("x" * length)
    check_message("💸" * length)


@pytest.mark.parametrize("length", [0, 20_001])
def test_other_lengths_are_refused_by_number(length: int) -> None:
    """The error names the length and the vendor's limits, and not the message."""
    with pytest.raises(InvalidInput, match=rf"{length} characters; .* 1 to 20000") as caught:
        check_message("x" * length)
    assert "xx" not in str(caught.value)


@pytest.mark.parametrize("message", [None, b"bytes", 5])
def test_a_message_is_text(message: object) -> None:
    """Other types are refused by name."""
    with pytest.raises(InvalidInput, match=f"not {type(message).__name__}"):
        check_message(message)


@pytest.mark.parametrize("context", ["slots", ["slots"], 5])
def test_a_context_is_a_mapping(context: object) -> None:
    """The error shows the form that the API takes."""
    with pytest.raises(InvalidInput, match="slots"):
        check_message("x", context)


def circle() -> dict[str, Any]:
    """A mapping that holds itself."""
    inner: dict[str, Any] = {}
    inner["slots"] = inner
    return inner


def deep() -> dict[str, Any]:
    """A mapping too deep to be written."""
    inner: dict[str, Any] = {}
    for _ in range(100_000):
        inner = {"a": inner}
    return inner


class Changing(dict[str, int]):
    """What Python says of a mapping that another thread changes while it is read."""

    def items(self) -> Any:
        raise RuntimeError("dictionary changed size during iteration")


@pytest.mark.parametrize(
    "context",
    [{"a": {1, 2}}, {"a": float("nan")}, {("a",): 1}, circle(), {"slots": Changing(a=1)}],
)
def test_a_context_is_json(context: object) -> None:
    """What JSON cannot express is refused before the network."""
    with pytest.raises(InvalidInput, match="JSON cannot express"):
        check_message("x", context)


@pytest.mark.parametrize(
    "context",
    [
        {"slots": {"a": 1}, 7: "b"},
        {"slots": {None: "a"}},
        {"slots": {"a": [{"b": ({True: 1},)}]}},
        {"slots": {1: "a", "1": "b"}},
    ],
)
def test_the_keys_of_a_context_are_texts(context: Any) -> None:
    """Wherever it is given: JSON would make texts of others, and two keys one."""
    for give in (
        lambda: check_message("x", context),
        lambda: Content(event_id=None, message="x", context=context),
    ):
        with pytest.raises(InvalidInput, match="key that is no text"):
            give()


def test_a_content_is_what_it_was_when_it_was_made() -> None:
    """What becomes of the caller's mapping later, at any depth, is not sent."""
    context: dict[str, Any] = {"slots": {"name": "Ann", "list": [1, {"a": "b"}]}, "more": 1}
    content = Content(event_id=None, message="x", context=context)
    before = content.request(CheckedRecipients.of(PEOPLE)), content.key()
    context["slots"]["name"] = "Bob"
    context["slots"]["list"][1]["a"] = object()
    del context["more"]
    copy = content.context
    assert copy is not None
    copy["slots"]["name"] = "Cid"
    assert (content.request(CheckedRecipients.of(PEOPLE)), content.key()) == before
    assert body_of(before[0])["context"]["slots"] == {"name": "Ann", "list": [1, {"a": "b"}]}


def test_a_context_too_deep_is_refused() -> None:
    """The depth of a context raises no bare error."""
    with pytest.raises(InvalidInput, match="JSON cannot express"):
        check_message("x", deep())


def test_any_mapping_is_a_context() -> None:
    """A mapping that is no dict is sent like one."""
    context: Mapping[str, Any] = types.MappingProxyType({"slots": {"a": "b"}})
    assert body_of(request_of(None, "x", PEOPLE, context))["context"] == {"slots": {"a": "b"}}


@pytest.mark.parametrize("count", [1, 500])
def test_requests_of_the_documented_size_pass(count: int) -> None:
    """1 to 500 recipients."""
    CheckedRecipients.of([f"p{i}@example.com" for i in range(count)])


@pytest.mark.parametrize("count", [0, 501])
def test_other_sizes_point_to_send_bulk(count: int) -> None:
    """The error names the number, the limits and the way to send to more."""
    with pytest.raises(InvalidInput, match=rf"^{count} recipients; .* 1 to 500: use send_bulk"):
        CheckedRecipients.of([f"p{i}@example.com" for i in range(count)])


@pytest.mark.parametrize("text", ["ann@example.com", b"ann@example.com"])
def test_one_text_is_no_list(text: Any) -> None:
    """A single text would be read letter by letter."""
    with pytest.raises(InvalidInput, match="list of addresses"):
        CheckedRecipients.of(text)


def test_checked_recipients_are_not_checked_again() -> None:
    """Whoever makes them of addresses that were checked answers for them; a request trusts them."""
    people = CheckedRecipients(["nobody"])
    assert body_of(Content(event_id=None, message="x").request(people))["recipients"] == ["nobody"]
    assert CheckedRecipients.of(PEOPLE) == tuple(PEOPLE)


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_recipients_are_written_as_json_writes_them(texts: list[str]) -> None:
    """Whatever they hold of what JSON escapes, but for what no text that was checked can hold."""
    texts = [re.sub(r"[\x00-\x1f]", "", text) for text in texts]
    assert json.loads(CheckedRecipients(texts).written()) == texts


def test_a_bad_address_is_named_by_its_position() -> None:
    """The error says where and why, and does not quote the address."""
    with pytest.raises(InvalidInput, match=r"recipients\[2\] is no address: more than one @") as e:
        CheckedRecipients.of([*PEOPLE, "jane@doe@example.com", "nobody"])
    assert "jane" not in str(e.value)
    assert "doe" not in str(e.value)


def test_the_auth_test_is_a_get() -> None:
    """It has no body, so it changes nothing."""
    request = auth_test_request()
    assert (request.method, request.path, request.body) == ("GET", "/rest/v1/auth/test", None)


CONTENT = {"client_id": "an-id", "client_secret": "a&b=c %", "grant_type": "client_credentials"}


def test_the_token_request_as_a_form() -> None:
    """By default the credentials go as a form, percent-encoded."""
    request = token_request(ClientCredentials("an-id", "a&b=c %"))
    assert (request.method, request.path) == ("POST", "/oauth/v1/token")
    assert request.headers == {"Content-Type": "application/x-www-form-urlencoded"}
    assert request.body is not None
    assert parse_qs(request.body.decode()) == {key: [value] for key, value in CONTENT.items()}
    assert "a&b" not in repr(request)


def test_the_token_request_as_json() -> None:
    """On request they go as JSON, the other documented form; the argument wins."""
    credentials = ClientCredentials("an-id", "a&b=c %")
    request = token_request(credentials, "json")
    asked_for = ClientCredentials("an-id", "a&b=c %", token_request="json")
    assert token_request(asked_for) == request
    assert token_request(asked_for, "form") == token_request(credentials)
    assert (request.method, request.path) == ("POST", "/oauth/v1/token")
    assert request.headers == {"Content-Type": "application/json"}
    assert body_of(request) == CONTENT


# Answers: successes


#: What public pages and public code show of an accepted send, with the word that it is kept as.
SCHEDULED: list[tuple[bytes, str | None]] = [
    (b"", None),
    (b"\r\n", None),
    (b"null", None),
    (b"{}", None),
    (b'{"data": null}', None),
    (b'{"data": {}}', None),
    (b'{"data": {"status": null}}', None),
    (b'{"data": {}, "error": null, "meta": {}}', None),
    (WRAPPED, "RECEIVED"),
    (b"\xef\xbb\xbf" + WRAPPED, "RECEIVED"),
    (b'{"status": "RECEIVED", "message": "Event received successfully"}', "RECEIVED"),
    (b'{"data": {"status": "RECEIVED", "new": [1]}, "newer": true}', "RECEIVED"),
    (b'{"data": {"status": "RECEIVED"}, "error": false, "errors": [], "code": ""}', "RECEIVED"),
]
#: What no document explains, though the status says yes.
UNEXPLAINED: list[bytes] = [
    HTML,
    b"\xef\xbb\xbf" + HTML,
    HTML.decode().encode("utf-16"),
    HTML.decode().encode("utf-16-le"),
    HTML.decode().encode("utf-32"),
    b"  \n<!doctype html>",
    b"OK",
    b"Please log in",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\x1f\x8b\x08",
    WRAPPED.decode().encode("utf-16"),
    b'"RECEIVED"',
    b"[]",
    b"[{}]",
    b"0",
    b"true",
    b'{"data": {"status": ',
    b'{"data": {"status": "FAILED"}}',
    b'{"data": {"status": "received"}}',
    b'{"data": {"status": 1}}',
    b'{"data": {"status": ["RECEIVED"]}}',
    b'{"status": "FAILED", "data": {"status": "RECEIVED"}}',
    b'{"status": "FAILED", "status": "RECEIVED"}',
    b'{"data": {"status": "FAILED"}, "data": {"status": "RECEIVED"}}',
    b'{"data": {"status": "RECEIVED"}, "error": {"code": "X", "message": "no"}}',
    b'{"data": {"status": "RECEIVED"}, "errors": ["no"]}',
    b'{"data": {"status": "RECEIVED", "code": "X"}}',
    b'{"data": {"status": "RECEIVED", "n": NaN}}',
    b'{"error": {"code": "X", "message": "no"}}',
    b'{"error": "no"}',
    b'{"code": "X", "message": "no"}',
    b'{"message": "Please log in"}',
    b'{"success": false}',
    b'{"data": {"accepted": 0}}',
    b'{"data": "RECEIVED"}',
    b'{"data": [{"status": "RECEIVED"}]}',
    b'{"data": {"data": {"status": "RECEIVED"}}}',
    b"[" * 100_000,
    b'{"data":' * 100_000,
]


@pytest.mark.parametrize("status", SUCCESSES)
@pytest.mark.parametrize(("body", "state"), SCHEDULED)
def test_any_documented_success_is_a_receipt(status: int, body: bytes, state: str | None) -> None:
    """200, 201, 202 and 204 with a documented body mean scheduled; the state is kept."""
    response = answer(status, body, **{"X-Request-ID": "r1"})
    asked = request_of(None, "x", ["a@example.com", "b@example.com"], None)
    receipt = parse_receipt(response.to(asked))
    assert (receipt.status, receipt.state, receipt.recipients) == (status, state, 2)
    assert (receipt.attempts, receipt.request_id) == (1, "r1")


def test_a_receipt_keeps_the_headers_that_are_safe() -> None:
    """By their names; one that repeats a credential, an address or a token is not kept at all."""
    headers = {
        "Date": "Sun, 29 Nov 2026 19:00:00 GMT",
        "X-RateLimit-Remaining": "119",
        "Sunset": "Fri, 01 Jan 2027 00:00:00 GMT",
        "X-Request-Id": "for ann@example.com",
        "X-Correlation-Id": "the key is k-1234567",
        "Server": "x" * 201,
        "Via": "1.1 mwt_abc",
        "Set-Cookie": "session=1",
        "X-Powered-By": "nobody",
    }
    asked = request_of(None, "x", PEOPLE, None).ready(
        "https://x.test", headers={"Authorization": "Bearer k-1234567"}, query={"a": ""}
    )
    receipt = parse_receipt(answer(204, **headers).to(asked))
    assert receipt.headers == {
        "date": headers["Date"],
        "x-ratelimit-remaining": "119",
        "sunset": headers["Sunset"],
    }
    assert parse_receipt(answer(204)).headers == {}
    assert hash(receipt) == hash(receipt)
    assert "GMT" not in repr(receipt)


@pytest.mark.parametrize("status", SUCCESSES)
@pytest.mark.parametrize("body", UNEXPLAINED, ids=lambda body: repr(body[:40]))
def test_what_no_document_explains_is_unknown(status: int, body: bytes) -> None:
    """A page of a proxy, a status that is not RECEIVED, an error: nobody knows who was told."""
    with pytest.raises(BadResponse, match=rf"^HTTP {status}, .*told or not told$") as caught:
        parse_receipt(answer(status, body))
    assert caught.value.outcome == "unknown"


VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", {}, [], False, 0, "RECEIVED", "FAILED", ["RECEIVED"]]
)
SAYING = st.dictionaries(st.sampled_from([*KEYS, "errors", "new"]), VALUES, max_size=3)
SENDS = st.one_of(
    BODIES,
    st.builds(lambda top, data: json.dumps({**top, "data": data}).encode(), SAYING, SAYING),
    SAYING.map(lambda value: json.dumps(value).encode()),
)


def _is_explained(body: bytes) -> bool:
    """The module's table by other means: every key with its path, and what may stand there."""
    try:
        content = json.loads(body.decode("utf-8-sig"), parse_constant=int)
    except (ValueError, RecursionError):
        return not body.strip()
    if not isinstance(content, dict):
        return content is None
    inner = content.pop("data") if isinstance(content.get("data"), dict) else {}
    said = [
        pair for pair in [*content.items(), *inner.items()] if pair[1] not in (None, "", [], {})
    ]
    if any(key in ("error", "errors", "code") and value is not False for key, value in said):
        return False
    states = [value for key, value in said if key == "status"]
    return states in (["RECEIVED"], ["RECEIVED", "RECEIVED"]) or not said


@given(st.sampled_from(SUCCESSES), SENDS)
def test_only_what_is_documented_is_accepted(status: int, body: bytes) -> None:
    """Of arbitrary bytes and JSON, exactly the documented bodies are receipts."""
    try:
        receipt = parse_receipt(answer(status, body))
    except BadResponse:
        assert not _is_explained(body)
    else:
        assert _is_explained(body)
        assert receipt.state in (None, "RECEIVED")


@pytest.mark.parametrize(
    "status", [99, 101, 103, 199, 203, 205, 206, 207, 226, 299, 300, 302, 303, 304, 305, 306, 399]
)
@pytest.mark.parametrize("parse", [parse_token, parse_auth_test, raise_for_status])
def test_an_undocumented_success_is_unclear(
    status: int, parse: Callable[[Response], object]
) -> None:
    """What only 200, 201, 202, 204, a plain redirect or 4xx would say, no other status says."""
    with pytest.raises(BadResponse, match=f"HTTP {status}") as caught:
        parse(answer(status, WRAPPED))
    elsewhere = 300 <= status < 400
    assert (caught.value.concerns is Concerns.EVERYBODY) == elsewhere
    with pytest.raises(BadResponse):
        parse_receipt(answer(status, WRAPPED))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"Message": "Auth tested successfully"}', "Auth tested successfully"),
        (b'{"message": "Auth tested successfully"}', "Auth tested successfully"),
        (b'{"data": {"Message": "fine"}}', "fine"),
        (b'{"Message": " ", "message": "fine"}', "fine"),
        (b'{"Message": "two\\n lines \\ud83d", "new": 1}', "two lines ?"),
    ],
)
def test_the_auth_test_gives_the_vendors_text(body: bytes, text: str) -> None:
    """Whatever the case of its key, on one line."""
    assert parse_auth_test(answer(200, body)) == text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"{}",
        b"fine",
        b'"fine"',
        b'{"Message": 5}',
        b'{"Message": " "}',
        b'{"code": "Unauthorized", "message": "no"}',
        b'{"error": {"message": "no"}, "message": "fine"}',
        *UNEXPLAINED[:8],
    ],
)
def test_the_auth_test_says_so_or_says_nothing(body: bytes) -> None:
    """Without the vendor's text the credential was not tested, whatever the status."""
    with pytest.raises(BadResponse, match="HTTP 200"):
        parse_auth_test(answer(200, body))


@pytest.mark.parametrize("wrap", [lambda body: body, lambda body: {"data": body}])
@pytest.mark.parametrize(("life", "seconds"), [(3600, 3600.0), (60, 60.0), (0, 0.0), ("60", 60.0)])
def test_tokens_come_flat_or_wrapped(
    wrap: Callable[[object], object], life: object, seconds: float
) -> None:
    """Both documented shapes, and whatever life they name."""
    body = {"access_token": "mwt_abc", "expires_in": life, "token_type": "Bearer"}
    token = parse_token(answer(200, wrap(body)))
    assert (token.access_token, token.expires_in) == ("mwt_abc", seconds)


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b'{"data": {}}', b'"mwt_abc"', b"[]", HTML])
def test_a_success_without_a_token_is_a_bad_response(body: bytes) -> None:
    """A token endpoint that says yes and gives nothing is not what the API documents."""
    with pytest.raises(BadResponse, match="no access_token"):
        parse_token(answer(200, body))


@pytest.mark.parametrize(
    "more", [{"error": "invalid_client"}, {"error": {"code": "X"}}, {"code": "X"}, {"errors": [1]}]
)
def test_a_token_beside_an_error_is_no_token(more: dict[str, object]) -> None:
    """An answer that says both yes and no is none."""
    with pytest.raises(BadResponse, match="HTTP 200"):
        parse_token(answer(200, {"access_token": "mwt_abc", **more}))


# Answers: refusals


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({"code": "BAD", "message": "so bad"}, "BAD", "HTTP 400 BAD: so bad"),
        ({"error": {"code": "BAD", "message": "so bad"}}, "BAD", "HTTP 400 BAD: so bad"),
        ({"code": "BAD", "Message": "so bad"}, "BAD", "HTTP 400 BAD: so bad"),
        ({"error": {"code": 7, "Message": "so bad"}}, 7, "HTTP 400 7: so bad"),
        ({"message": "so bad"}, None, "HTTP 400: so bad"),
        ({"code": "BAD"}, "BAD", "HTTP 400 BAD"),
        ({"code": ["BAD"], "message": {"a": 1}}, None, "HTTP 400"),
        ({"error": "invalid_grant"}, "invalid_grant", "HTTP 400 invalid_grant"),
        ({"error": None}, None, "HTTP 400"),
        ("so bad", None, "HTTP 400: so bad"),
        (["so bad"], None, "HTTP 400"),
        (None, None, "HTTP 400"),
        (HTML, None, "HTTP 400"),
        (b"", None, "HTTP 400"),
        (b'{"code": "BA', None, "HTTP 400"),
    ],
)
def test_error_bodies_of_every_shape(body: object, code: str | int | None, words: str) -> None:
    """Flat, nested, a bare text, HTML or empty: a typed error with the raw code if there is one."""
    error = error_of(answer(400, body))
    assert type(error) is BadRequest
    assert (error.status, error.code) == (400, code)
    assert str(error) == words


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequest),
        (401, NotAuthenticated),
        (403, NotAllowed),
        (404, NotFound),
        (429, RateLimited),
        (500, ServerFailed),
        (503, ServerFailed),
        (307, RefusedByServer),
        (418, RefusedByServer),
    ],
)
@pytest.mark.parametrize(
    "parse",
    [
        parse_token,
        parse_auth_test,
        raise_for_status,
        parse_receipt,
    ],
    ids=["token", "auth", "status", "receipt"],
)
def test_every_endpoint_raises_the_typed_error(
    status: int, kind: type[RefusedByServer], parse: Callable[[Response], object]
) -> None:
    """Whichever call it was, the status decides the class."""
    with pytest.raises(kind) as caught:
        parse(answer(status, {"code": "A_CODE", "message": "words"}, **{"Retry-After": "9"}))
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.code) == (status, "A_CODE")
    assert caught.value.retry_after == 9.0


@pytest.mark.parametrize(
    "body",
    [
        {"code": "OauthErrorAuthenticationInvalidToken", "message": "no"},
        {"code": "OauthErrorAuthenticationExpiredToken", "message": "no"},
        {"code": "Unauthorized", "message": "Token validation failed"},
        {"error": {"code": "FORBIDDEN", "message": "The access token has EXPIRED"}},
        {"error": "invalid_token"},
        {"Message": "Invalid token"},
        "expired token",
    ],
)
def test_a_403_that_blames_the_token_is_a_401(body: object) -> None:
    """The legacy endpoint documents dead tokens under 403; they can be replaced like any other."""
    error = error_of(answer(403, body))
    assert type(error) is NotAuthenticated
    assert error.status == 403
    assert "another region's host" in str(error)


@pytest.mark.parametrize(
    "body",
    [
        {"code": "FORBIDDEN", "message": "this key may not send"},
        {"code": "FORBIDDEN", "message": "your account expired"},
        {"code": "FORBIDDEN", "message": "this token may not send"},
        "no",
        HTML,
        b"",
    ],
)
def test_any_other_403_is_not_allowed(body: object) -> None:
    """A new token would not help, so none is asked for."""
    assert type(error_of(answer(403, body))) is NotAllowed


def test_only_a_403_is_read_for_blame() -> None:
    """The same words under another status change nothing."""
    assert type(error_of(answer(400, {"message": "invalid token"}))) is BadRequest
    assert type(error_of(answer(500, {"message": "expired token"}))) is ServerFailed


@pytest.mark.parametrize(
    "body",
    [
        {"code": "BAD_REQUEST", "message": "no such person: ann@example.com (mwt_abc)"},
        {"error": "no such person: ann@example.com (mwt_abc)"},
        {"code": "ann@example.com mwt_abc"},
        "no such person: ann@example.com (mwt_abc)",
    ],
)
def test_no_error_quotes_an_address_or_a_token(body: object) -> None:
    """What the vendor quotes back at us is removed, in whichever key it stands."""
    error = error_of(answer(400, body))
    assert "ann@" not in str(error) + repr(error)
    assert "mwt_abc" not in str(error) + repr(error)


PARSERS: list[Callable[[Response], object]] = [
    parse_receipt,
    parse_auth_test,
    parse_token,
]


@given(st.integers(100, 599), BODIES, st.sampled_from(PARSERS))
def test_any_answer_is_a_value_or_our_error(
    status: int, body: bytes, parse: Callable[[Response], object]
) -> None:
    """Arbitrary bytes and JSON under any status never raise anything but a `MoveworksError`."""
    check_value_or_our_error(parse, Response(status=status, body=body))


@given(st.integers(100, 599), BODIES)
def test_any_refusal_has_its_typed_error(status: int, body: bytes) -> None:
    """`error_of` answers with an error of that status, whatever came."""
    error = error_of(Response(status=status, body=body))
    assert error.status == status
    assert error.code is None or isinstance(error.code, (str, int))


@pytest.mark.parametrize("page", [HTML, b"\xef\xbb\xbf" + HTML, HTML.decode().encode("utf-16")])
def test_a_web_page_is_named(page: bytes) -> None:
    """A proxy's or a login page answered in the API's place: the error says where to look."""
    for parse in (parse_receipt, parse_auth_test):
        with pytest.raises(BadResponse, match="web page"):
            parse(answer(200, page))
