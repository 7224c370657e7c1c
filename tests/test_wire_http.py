"""What a status, a header and a vendor's sentence mean by themselves."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from moveworks_shift_async.errors import (
    BadRequest,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    RateLimited,
    RefusedByServer,
    ServerFailed,
)
from moveworks_shift_async.settings import ClientCredentials, OAuthTokens
from moveworks_shift_async.wire import moveworks, shift
from moveworks_shift_async.wire.http import Effect, Response, Route, json_request
from moveworks_shift_async.wire.status import (
    kind_of,
    refusal,
    request_id,
    retry_after_seconds,
    text_of,
)

from .fakes import request_of

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def date(moment: datetime) -> str:
    """An HTTP date."""
    return format_datetime(moment, usegmt=True)


def asked(value: str, *, sent: str | None = None, received: datetime | None = None) -> float | None:
    """Seconds of an answer with this `Retry-After`."""
    headers = {"retry-AFTER": value} | ({} if sent is None else {"Date": sent})
    return retry_after_seconds(Response(status=429, headers=headers, received=received))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("60", 60.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("007", 7.0),
        ("3600", 3600.0),
        ("3601", 3600.0),
        ("999999999", 3600.0),
        ("9" * 5000, 3600.0),
        ("Fri, 01 Jan 2057 12:00:30 GMT", 3600.0),
        ("\u0663\u0663", None),
        ("-5", None),
        ("+5", None),
        ("1e5", None),
        (".5", None),
        ("soon", None),
        ("", None),
        ("NaN", None),
        ("Infinity", None),
        ("60 s", None),
        ("Thu, 32 Jan 2026 12:00:30 GMT", None),
        ("Thu, 01 Jan 2026 12:00:30 -0000", None),
        ("Thu, 01 Jan 2026 12:00:30", None),
        ("Thu, 01 Jan 2026 12:00:30 +9999", None),
        ("Thu, 01 Jan 2026 12:00:30 +" + "9" * 30, None),
        ("Thu, 01 Jan 2026 99999999999:00:00 GMT", None),
        ("Thu, 01 Jan 99999999999 12:00:00 GMT", None),
    ],
)
def test_retry_after_in_seconds_or_unusable(value: str, seconds: float | None) -> None:
    """Plain numbers are seconds, up to an hour; anything else that is no date is nothing."""
    assert asked(value, sent=date(NOON)) == seconds


@pytest.mark.parametrize(
    ("after", "seconds"),
    [(timedelta(seconds=30), 30.0), (timedelta(0), 0.0), (timedelta(hours=-1), 0.0)],
)
def test_a_date_counts_from_the_answers_own_date(after: timedelta, seconds: float) -> None:
    """The server's two dates are compared, whatever this machine's clock says."""
    wrong = NOON - timedelta(days=400)
    assert asked(date(NOON + after), sent=date(NOON), received=wrong) == seconds


@pytest.mark.parametrize("sent", [None, "yesterday", "Thu, 01 Jan 2026 12:00:00"])
def test_a_date_without_a_date_counts_from_when_it_came(sent: str | None) -> None:
    """Without a usable `Date`, the moment of the answer stands in; without both there is none."""
    until = date(NOON + timedelta(seconds=45))
    assert asked(until, sent=sent, received=NOON) == 45.0
    assert asked(until, sent=sent) is None


def test_other_zones_are_understood() -> None:
    """A date with an offset is the moment that it names."""
    assert asked("Thu, 01 Jan 2026 13:00:30 +0100", sent=date(NOON)) == 30.0


def test_no_header_is_no_wait() -> None:
    """Without `Retry-After` the server asked for nothing."""
    assert retry_after_seconds(Response(status=429)) is None


@given(
    st.text() | st.from_regex(r"\w{3}, \d+ (Jan|Feb) \d+ \d+:\d+:\d+ ([+-]\d+|GMT)?"),
    st.none() | st.text() | st.just(date(NOON)),
    st.none() | st.just(NOON),
)
@example("Thu, 01 Jan 2026 12:00:30 +" + "9" * 30, None, NOON)
def test_any_header_is_a_wait_or_none(
    value: str, sent: str | None, received: datetime | None
) -> None:
    """Arbitrary header values give None, or a number of seconds within an hour."""
    seconds = asked(value, sent=sent, received=received)
    assert seconds is None or 0 <= seconds <= 3600


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (100, RefusedByServer),
        (302, RefusedByServer),
        (400, BadRequest),
        (401, NotAuthenticated),
        (402, RefusedByServer),
        (403, NotAllowed),
        (404, NotFound),
        (405, RefusedByServer),
        (408, BadRequest),
        (409, BadRequest),
        (410, BadRequest),
        (413, BadRequest),
        (415, BadRequest),
        (422, BadRequest),
        (425, BadRequest),
        (429, RateLimited),
        (431, BadRequest),
        (500, ServerFailed),
        (502, ServerFailed),
        (503, ServerFailed),
        (504, ServerFailed),
        (599, ServerFailed),
    ],
)
def test_a_status_has_its_class(status: int, kind: type[RefusedByServer]) -> None:
    """The number alone says which error it is."""
    assert kind_of(status) is kind


@pytest.mark.parametrize("status", range(100, 600))
def test_a_status_is_a_success_or_unclear_or_neither(status: int) -> None:
    """Success is 200, 201, 202, 204; what is neither that nor a refusal is unclear."""
    response = Response(status=status)
    assert response.succeeded == (status in {200, 201, 202, 204})
    unclear = {*range(400)} - {200, 201, 202, 204, 301, 307, 308}
    assert (response.unclear is not None) == (status in unclear)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (301, "redirect, which is never followed"),
        (307, "check base_url"),
        (401, "another region's host"),
        (500, "may have been processed or not"),
    ],
)
def test_a_refusal_says_what_to_do(status: int, words: str) -> None:
    """Where the status has a usual cause, the message names it."""
    error = refusal(Response(status=status), code=None, message=None)
    assert words in str(error)
    assert str(error).startswith(f"HTTP {status}")


def test_a_refusal_keeps_status_code_and_wait() -> None:
    """The words are one line, and the attributes hold what came."""
    response = Response(status=429, headers={"Retry-After": "7"})
    error = refusal(response, code="RATE", message="too\n  many")
    assert str(error) == "HTTP 429 RATE: too many"
    assert (error.status, error.code, error.retry_after) == (429, "RATE", 7.0)
    assert type(error) is RateLimited


def test_the_kind_that_is_given_wins() -> None:
    """A caller who knows better than the status decides the class."""
    error = refusal(Response(status=403), code=0, message=None, kind=NotAuthenticated)
    assert type(error) is NotAuthenticated
    assert str(error).startswith("HTTP 403 0; base_url may be")


@pytest.mark.parametrize("text", ["no address: ann@example.com", "mwt_abc", "Bearer abc"])
def test_a_code_is_redacted_as_well(text: str) -> None:
    """A vendor's code is any text, so the message cleans it too."""
    error = refusal(Response(status=400), code=text, message=None)
    assert text not in str(error)
    assert text.rsplit(" ", maxsplit=1)[-1] not in str(error)


@given(st.binary() | st.text().map(str.encode))
@example(b"[" * 100_000)
@example(b"1" * 5000)
@example(b"\xff\xfe")
def test_any_body_is_json_or_nothing(body: bytes) -> None:
    """Reading the body never fails."""
    Response(status=200, body=body).json()


@pytest.mark.parametrize("body", [b"", b"<html>Bad Gateway</html>", b'{"half": ', b"null"])
def test_what_is_no_json_is_nothing(body: bytes) -> None:
    """Empty, HTML and broken bodies read like null."""
    assert Response(status=200, body=body).json() is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": 1, "a": 2}',
        b'[{"b": {"a": 1, "a": 1}}]',
        b"NaN",
        b"[Infinity]",
        b"[-Infinity]",
        b'"\xed\xa0\x80"',
        '{"a": 1}'.encode("utf-16"),
        '{"a": 1}'.encode("utf-32-be"),
    ],
)
def test_what_says_two_things_is_nothing(body: bytes) -> None:
    """RFC 8259: UTF-8, no NaN; a key that stands twice says two things, so it says none."""
    assert Response(status=200, body=body).json() is None


def test_texts_can_be_written_anywhere() -> None:
    """Half a surrogate pair, which JSON can spell and UTF-8 cannot, becomes a question mark."""
    body = (
        rb'{"a": ["\ud83d", "\ud83d\ude00", "\\ud83d"], "\udc00": 1e999, "n": 12345678901234567890}'
    )
    content = Response(status=200, body=body).json()
    assert content == {
        "a": ["?", "\U0001f600", "\\ud83d"],
        "?": float("inf"),
        "n": 12345678901234567890,
    }


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(JSON)
def test_a_json_request_decodes_to_what_went_in(content: object) -> None:
    """The body holds exactly the content, as ASCII JSON without spare spaces."""
    request = json_request(Route("test", "POST", "/path"), content)
    assert (request.method, request.path) == ("POST", "/path")
    assert request.headers == {"Content-Type": "application/json"}
    assert request.body is not None
    assert request.body.isascii()
    assert json.loads(request.body) == content


def test_credentials_are_added_to_a_request() -> None:
    """Headers and query that let it in are added; the request itself is left as it was."""
    request = request_of("GET", "/p", query={"a": "1"}, headers={"H": "x"})
    ready = request.ready(
        "https://a.test", headers={"Authorization": "Bearer t"}, query={"client_id": "c"}
    )
    assert ready.headers == {"H": "x", "Authorization": "Bearer t"}
    assert ready.query == {"a": "1", "client_id": "c"}
    assert (ready.url, ready.route) == ("https://a.test/p", request.route)
    assert (request.headers, request.query) == ({"H": "x"}, {"a": "1"})


def test_no_repr_shows_what_travels() -> None:
    """Headers, queries and bodies are in no repr; method, path and status are."""
    secret = "s3cr3t"
    request = request_of(
        "POST",
        "/p",
        query={"client_secret": secret},
        headers={"Authorization": secret},
        body=secret.encode(),
    )
    response = Response(status=200, headers={"Set-Cookie": secret}, body=secret.encode())
    assert secret not in repr(request) + repr(response)
    assert "'/p'" in repr(request)
    assert "200" in repr(response)


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, None),
        ({"X-Request-Id": "r1"}, "r1"),
        ({"X-REQUEST-ID": "r1", "x-moveworks-root-uuid": "m1"}, "m1"),
        ({"X-Correlation-ID": "c1"}, "c1"),
        ({"X-Request-Id": "", "X-Correlation-ID": "c1"}, "c1"),
    ],
)
def test_a_request_id_is_found_under_any_name(headers: dict[str, str], found: str | None) -> None:
    """The vendor's own header first, then the usual ones, in any case; empty ones do not count."""
    assert request_id(Response(status=200, headers=headers)) == found


def test_headers_are_known_by_lower_case() -> None:
    """Header names have no case, so an answer keeps them in one."""
    assert Response(status=200, headers={"X-Name": "Value"}).headers == {"x-name": "Value"}


def test_text_is_text_with_something_in_it() -> None:
    """Blank text and everything else is none."""
    assert text_of("a ") == "a "
    assert [text_of(value) for value in ("", " \n", None, 5, ["a"], {"a": 1})] == [None] * 6


def test_a_refusal_shows_nothing_of_what_it_answers() -> None:
    """Neither its text nor its code repeats credential or body; the advice is ours and stays."""
    request = request_of(
        "POST",
        "/",
        query={"client_secret": "f07fcf0d"},
        headers={"Authorization": "Bearer S3cretKey", "Content-Type": "application/json"},
        body=b'{"message": "another region\'s host than the credential\'s"}',
    )
    response = Response(status=401).to(request)
    error = refusal(response, code="KEY_S3cretKey", message="f07fcf0d: application/json")
    assert (error.code, error.status) == ("KEY_[removed]", 401)
    assert str(error).startswith("HTTP 401 KEY_[removed]: [removed]: application/json; base_url")
    assert "another region's host" in str(error)


@pytest.mark.parametrize(
    ("came", "shown"),
    [
        ("INVALID_VALUE_SIZE_TOO_SHORT", "INVALID_VALUE_SIZE_TOO_SHORT"),
        ("two\n lines \x1b[31m", "two lines ?[31m"),
        ("x" * 1000, "x" * 300),
        (" ", None),
        (4012, 4012),
        (-1, -1),
        (True, None),
        (10**40, None),
        (10**4000, None),
    ],
)
def test_a_code_is_short_and_printable(came: str | int, shown: str | int | None) -> None:
    """Whatever the vendor calls a code, it fits on a line."""
    error = refusal(Response(status=400), code=came, message=None)
    assert error.code == shown
    assert str(error) == ("HTTP 400" if shown is None else f"HTTP 400 {shown}")


@pytest.mark.parametrize("value", ["r\udce9\udcff", "a\x1b[2Jb", "\u202e", "\ud83d", "x" * 8000])
def test_what_a_header_holds_can_be_written_anywhere(value: str) -> None:
    """Bytes that are no UTF-8, control characters and lengths without bound are harmless."""
    response = Response(status=200, headers={"X-Request-Id": value, f"X-{value}": value})
    found = request_id(response)
    assert found
    assert found.isprintable()
    assert len(found) <= 200
    json.dumps(found, ensure_ascii=False).encode()
    for name, text in response.headers.items():
        assert (name + text).isprintable()
        (name + text).encode()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"so bad", "so bad"),
        (b"\xef\xbb\xbf so bad\n", "so bad"),
        ("zu schön".encode("latin-1"), "zu sch\ufffdn"),
        (b"", None),
        (b" \n", None),
        (b"\xef\xbb\xbf", None),
        (b"\xef\xbb\xbf<html>", None),
        ("<html>".encode("utf-16"), None),
        ("so bad".encode("utf-16"), None),
        (b"null", None),
        (b"{", None),
    ],
)
def test_a_plain_text_is_a_text(body: bytes, text: str | None) -> None:
    """Neither JSON nor a page in any spelling is quoted as the server's words."""
    assert Response(status=400, body=body).text() == text


def test_only_questions_and_tokens_can_tell_nobody() -> None:
    """Everything is taken to tell people, but for the auth test and the token requests."""
    pair = OAuthTokens(client_id="id", client_secret="secret", refresh_token="r")
    questions = [
        moveworks.auth_test_request(),
        moveworks.token_request(ClientCredentials("id", "secret")),
        moveworks.token_request(ClientCredentials("id", "secret", token_request="json")),
        shift.refresh_request(pair, "r"),
    ]
    assert {question.effect for question in questions} == {Effect.NONE}
    assert Route("test", "DELETE", "/x").effect is Effect.MAY_TELL
    routes = [moveworks.TO_EVENT, moveworks.LEGACY, shift.MESSAGES]
    assert {route.effect for route in routes} == {Effect.MAY_TELL}
