"""The pure parts of the sandbox: rules, routes, credentials and answers of both vendors."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moveworks_shift_async.sandbox import Variants, rules
from moveworks_shift_async.sandbox.decisions import (
    SUCCESS_BODIES,
    moveworks_error,
    scheduled,
    shift_error,
)
from moveworks_shift_async.sandbox.fault_answers import retry_after, server_error
from moveworks_shift_async.sandbox.options import Options
from moveworks_shift_async.sandbox.routes import find_route

EVENT = "7d9f7a54-3f9e-4c37-8a57-3b1a8f0f6a21"


def body(**fields: Any) -> bytes:
    """A message body, good but for the given fields; None leaves a field out."""
    payload = {"message": "Hello", "recipients": ["a@example.com"]} | fields
    return json.dumps({k: v for k, v in payload.items() if v is not None}).encode()


@pytest.mark.parametrize(
    "address",
    [
        "a@example.com",
        "first.last+tag@sub.example.co.uk",
        "o'brien@example.com",
        "x" * 64 + "@example.com",
        "jürgen@münchen.example",
        "用户@例子.example",
        "A@B.C",
    ],
)
def test_good_addresses_pass(address: str) -> None:
    """An address that people really have is plausible."""
    assert rules.is_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "plain",
        "@example.com",
        "a@",
        "a@localhost",
        "a@@example.com",
        "a b@example.com",
        "a@exa mple.com",
        " a@example.com",
        "a@example.com ",
        ".a@example.com",
        "a.@example.com",
        "a..b@example.com",
        "a@example..com",
        "a@.example.com",
        "a@example.com.",
        "a@-example.com",
        "a@example-.com",
        "x" * 65 + "@example.com",
        "a@" + "x" * 64 + ".com",
        "a@example.com,b@example.com",
        "<a@example.com>",
        "a@example.com\nb@example.com",
        "a\u00a0b@example.com",
        "ü@-münchen.example",
    ],
)
def test_bad_addresses_fail(address: str) -> None:
    """An address that breaks the syntax is not plausible."""
    assert not rules.is_address(address)


@given(
    st.lists(st.sampled_from(["a@example.com", "b@x.io", "ü@x.io", "bad", "c@", ""]), max_size=9)
)
def test_a_list_is_good_when_each_line_is(addresses: list[str]) -> None:
    """The one match over all lines says what a match for each line would say."""
    each = all(map(rules.is_address, addresses)) and bool(addresses)
    assert rules.plausible("\n".join(addresses)) == each


def nested(depth: int) -> dict[str, Any]:
    """So many objects in one another."""
    inner: dict[str, Any] = {}
    for _ in range(depth):
        inner = {"a": inner}
    return inner


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", rules.BAD_REQUEST),
        (b"{", rules.BAD_REQUEST),
        (b"[" * 100_000, rules.BAD_REQUEST),
        (b"[]", rules.BAD_REQUEST),
        (b"\xff", rules.BAD_REQUEST),
        (body(message=None), rules.TOO_SHORT),
        (body(message=""), rules.TOO_SHORT),
        (body(message="x" * 20_001), rules.TOO_LONG),
        (body(message=1), rules.BAD_REQUEST),
        (body(recipients=None), rules.TOO_SHORT),
        (body(recipients=[]), rules.TOO_SHORT),
        (body(recipients=["a@example.com"] * 501), rules.TOO_LONG),
        (body(recipients="a@example.com"), rules.BAD_REQUEST),
        (body(recipients=["a@example.com", 1]), rules.BAD_REQUEST),
        (body(recipients=["a@example.com", "nobody"]), rules.BAD_REQUEST),
        (body(recipients=["a@example.com\nb@example.com"]), rules.BAD_REQUEST),
        (body(context=[]), rules.BAD_REQUEST),
        (body(context={"slots": []}), rules.BAD_REQUEST),
        (body(context=0).replace(b"0}", b"null}"), rules.BAD_REQUEST),
        (body(context={"slots": None}), rules.BAD_REQUEST),
        (body(context={"slots": nested(99)}), rules.BAD_REQUEST),
        (body(context={"slots": {"a": math.nan}}), rules.BAD_REQUEST),
    ],
)
def test_bad_messages_are_refused(payload: bytes, code: str) -> None:
    """Each broken rule has the code that the vendor lists for it."""
    with pytest.raises(rules.Refusal) as caught:
        rules.check_message(payload)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "fields",
    [
        {"message": "x"},
        {"message": "x" * 20_000},
        {"message": "💸" * 20_000},
        {"recipients": ["a@example.com"] * 500},
        {"context": {}},
        {"context": {"slots": {"a": "b"}}},
        {"context": {"slots": nested(97)}},
    ],
)
def test_messages_at_the_limits_pass(fields: dict[str, Any]) -> None:
    """The limits themselves are allowed, and characters are code points."""
    told = rules.check_message(body(**fields))
    assert told.addresses.count("\n") + 1 == len(fields.get("recipients", ["one"]))


def test_a_told_message_keeps_no_text() -> None:
    """The text, the context and the addresses are there, and the repr shows none of them."""
    told = rules.check_message(body(context={"slots": {"b": 1, "a": 2}}))
    assert told.message == "Hello"
    assert told.context == '{"slots": {"a": 2, "b": 1}}'
    assert "example.com" not in repr(told)


@pytest.mark.parametrize(
    ("method", "path", "name", "event_id"),
    [
        ("POST", "/rest/v1/messages/send", "messages.send", None),
        ("POST", f"/rest/v1/events/{EVENT}/messages/send", "events.send", EVENT),
        ("POST", "/rest/v1/events/x/messages/send", "events.send", "x"),
        ("GET", "/rest/v1/auth/test", "auth.test", None),
        ("POST", "/oauth/v1/token", "token", None),
        ("POST", "/v1/messages", "shift.messages", None),
        ("POST", "/v1/oauth2/token", "shift.token", None),
    ],
)
def test_routes(method: str, path: str, name: str, event_id: str | None) -> None:
    """Each documented address leads to its endpoint."""
    route = find_route(method, path)
    assert route is not None
    assert (route.name, route.event_id) == (name, event_id)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/rest/v1/messages/send"),
        ("POST", "/rest/v1/auth/test"),
        ("POST", "/rest/v1/events/a/b/messages/send"),
        ("POST", "/rest/v1/events/messages/send"),
        ("POST", "/rest/v1/events/x/messages"),
        ("POST", "//v1/messages"),
    ],
)
def test_other_addresses_lead_nowhere(method: str, path: str) -> None:
    """An address or method that is not documented is no endpoint."""
    assert find_route(method, path) is None


# Answers


@pytest.mark.parametrize("status", [200, 201, 202, 204])
@pytest.mark.parametrize("name", SUCCESS_BODIES)
def test_every_success(status: int, name: Any) -> None:
    """Each status goes with each body, but a 204 has none."""
    answer = scheduled(Variants(event_status=status, event_body=name), legacy=False)
    assert answer.status == status
    assert answer.body == (b"" if status == 204 else SUCCESS_BODIES[name])


@pytest.mark.parametrize(
    "wrong",
    [
        {"token_body": "x"},
        {"error_body": "x"},
        {"event_status": 203},
        {"legacy_body": "x"},
        {"expired_status": 400},
        {"auth_key": "x"},
    ],
)
def test_unknown_variants(wrong: dict[str, Any]) -> None:
    """A variant that does not exist is an error at once."""
    with pytest.raises(ValueError, match="must be in"):
        Variants(**wrong)


def test_errors_flat_and_nested() -> None:
    """The same error, at the top or inside `error`."""
    flat = moveworks_error(Variants(), 400, "C", "m")
    nested = moveworks_error(Variants(error_body="nested"), 400, "C", "m")
    assert json.loads(flat.body) == {"code": "C", "message": "m"}
    assert json.loads(nested.body) == {"error": {"code": "C", "message": "m"}}


def test_shift_errors_may_hide_behind_200() -> None:
    """With the option a SHIFT error has status 200, but a 5xx stays one."""
    variants = Variants(shift_errors_as_200=True)
    assert shift_error(Variants(), 401, 4010, "m").status == 401
    assert shift_error(variants, 401, 4010, "m").status == 200
    assert shift_error(variants, 500, 5000, "m").status == 500


@pytest.mark.parametrize("shift", [False, True])
@pytest.mark.parametrize("status", [500, 502, 503])
def test_server_errors(status: int, shift: bool) -> None:
    """A 5xx comes with JSON, HTML or nothing."""
    as_json = server_error(Variants(), status, "json", shift=shift)
    html = server_error(Variants(), status, "html", shift=shift)
    empty = server_error(Variants(), status, "empty", shift=shift)
    assert {as_json.status, html.status, empty.status} == {status}
    assert ("errors" in json.loads(as_json.body)) == shift
    assert html.body.startswith(b"<html>")
    assert empty.body == b""


@given(
    st.floats(min_value=0, max_value=1e4),
    st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)),  # noqa: DTZ001
)
def test_retry_after_never_asks_for_too_little(wait: float, naive: datetime) -> None:
    """Either form of the header covers the wait, and exceeds it by at most a second."""
    today = naive.replace(tzinfo=UTC)
    ((name, seconds),) = retry_after("seconds", wait, today)
    assert name == "Retry-After"
    assert wait <= int(seconds) <= max(1, wait + 1)
    ((_, date),) = retry_after("date", wait, today)
    end = parsedate_to_datetime(date)
    exact = today + timedelta(seconds=wait)
    assert exact <= end <= exact + timedelta(seconds=1)
    assert retry_after(None, wait, today) == ()


def test_whole_seconds_are_integers() -> None:
    """A whole number of seconds is printed as the vendors print it."""
    promised = [Options(expires_in=n).promised_seconds() for n in (3600.0, 60, 0.5)]
    assert [repr(seconds) for seconds in promised] == ["3600", "60", "0.5"]
