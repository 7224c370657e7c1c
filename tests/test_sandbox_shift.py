"""The SHIFT side of the sandbox: messages and tokens, without a server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from moveworks_shift_async.sandbox.options import Options
from moveworks_shift_async.sandbox.routes import Incoming, Route
from moveworks_shift_async.sandbox.rules import Refusal
from moveworks_shift_async.sandbox.shift import ShiftVendor
from moveworks_shift_async.sandbox.shift_rules import check_post

TEAM = "8a7644a3-7393-417c-8180-0328749562a0"
USER = "09dadecb-edbc-44c0-a187-1150e98e6df8"
OBJECT = {"type": "appobject", "id": "o-1", "name": "Order 1"}


def post(**fields: Any) -> bytes:
    """A SHIFT message to a team, changed by the given fields."""
    return json.dumps({"text": "Hello", "addressed_teams": [TEAM]} | fields).encode()


def users(value: Any, **more: Any) -> bytes:
    """A SHIFT message to users."""
    return post(addressed_teams=[], addressed_users=value, **more)


def nested(depth: int) -> list[Any]:
    """So many lists in one another."""
    inner: list[Any] = []
    for _ in range(depth - 1):
        inner = [inner]
    return inner


@pytest.mark.parametrize(
    ("payload", "to"),
    [
        (post(), f"team:{TEAM}"),
        (post(addressed_users={"ids": [], "emails": []}), f"team:{TEAM}"),
        (users({"ids": [USER], "emails": ["a@x.io"]}), f"{USER}\na@x.io"),
        (users([USER]), USER),
        (post(text="", attachments=[{"x": 1}]), f"team:{TEAM}"),
        (post(text=None, attachments={"x": 1}), f"team:{TEAM}"),
        (post(text="See {0}", mentions=[OBJECT]), f"team:{TEAM}"),
        (post(attachments=nested(99)), f"team:{TEAM}"),
        (post(addressed_users=None, attachments=None, mentions=None), f"team:{TEAM}"),
    ],
)
def test_good_posts(payload: bytes, to: str) -> None:
    """Each documented form of a message passes."""
    assert check_post(payload).told().addresses == to


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"{", 4001),
        (b"[]", 4001),
        (b"[" * 100_000, 4001),
        (json.dumps({"addressed_users": [USER]}).encode(), 4004),
        (post(text=""), 4004),
        (post(text=["a"]), 4001),
        (post(addressed_teams=[]), 4001),
        (post(addressed_teams=TEAM), 4001),
        (post(addressed_teams=[TEAM, USER]), 4001),
        (post(addressed_teams=["x"]), 4001),
        (post(addressed_users=[USER]), 4001),
        (users([1]), 4001),
        (users({"emails": ["nobody"]}), 4001),
        (users({"emails": ["a@x.io\nb@x.io"]}), 4001),
        (post(text="See {0}"), 4001),
        (post(mentions=[OBJECT]), 4001),
        (post(text="{0}", mentions=[OBJECT, OBJECT]), 4001),
        (post(text="{0}", mentions=OBJECT), 4001),
        (post(text="{0}", mentions=["x"]), 4001),
        (post(text="{0}", mentions=[{"type": "x", "id": "a", "name": "b"}]), 4001),
        (post(text="{0}", mentions=[OBJECT | {"id": ""}]), 4001),
        (post(text=0, attachments=[{"x": 1}]), 4001),
        (post(text=False), 4001),
        (post(attachments=""), 4001),
        (post(attachments=0), 4001),
        (post(addressed_users=""), 4001),
        (post(addressed_users=False), 4001),
        (users({"ids": [USER], "emails": 0}), 4001),
        (post(addressed_teams="", addressed_users=[USER]), 4001),
        (post(mentions={}), 4001),
        (post(attachments="deep").replace(b'"deep"', b"[" * 976 + b"]" * 976), 4001),
        (post(attachments=nested(100)), 4001),
    ],
)
def test_bad_posts(payload: bytes, code: int) -> None:
    """Each rule of the prose is held."""
    with pytest.raises(Refusal) as caught:
        check_post(payload)
    assert (caught.value.status, caught.value.code) == (400, code)


def shift_vendor(**changes: Any) -> ShiftVendor:
    """A vendor with known credentials."""
    known = {"shift_client_id": "app", "shift_client_secret": "secret"}
    return ShiftVendor(Options(**known | changes))


def shift_ask(payload: bytes, *, token: str | None = None, **more: Any) -> Incoming:
    """A SHIFT message, by the application or with a bearer token."""
    query = {"client_id": "app", "client_secret": "secret"} if token is None else {}
    return Incoming(
        route=Route(family="shift", name="shift.messages"),
        authorization=f"Bearer {token}" if token is not None else "",
        query=more.pop("query", query),
        body=payload,
        now=more.pop("now", 0.0),
        **more,
    )


def token_ask(now: float = 0.0, **fields: str) -> Incoming:
    """A SHIFT token request."""
    known = {"client_id": "app", "client_secret": "secret"} | fields
    payload = "&".join(f"{k}={v}" for k, v in known.items()).encode()
    return Incoming(route=Route(family="shift-token", name="shift.token"), body=payload, now=now)


def test_the_application_posts() -> None:
    """With application credentials the message is the application's, in the envelope."""
    request = shift_ask(post(text="See {0}", mentions=[OBJECT]), epoch=1355247468.1334)
    decision = shift_vendor().handle(request)
    answer = json.loads(decision.answer.body)
    (message,) = answer["data"]
    assert (answer["meta"], decision.processed, decision.credential) == ({}, True, "app")
    assert message["created_at"] == 1355247468.133
    assert message["text"] == "See <a>Order 1</a>"
    assert (message["via_app"], message["author"]) == ("app", None)


def test_a_user_posts_until_the_token_ends() -> None:
    """With a bearer token the message is the user's; an ended token is 4012 with its reason."""
    shift = shift_vendor(token_lifetime=10)
    access, _ = shift.issue_tokens(0.0)
    decision = shift.handle(shift_ask(post(), token=access))
    (message,) = json.loads(decision.answer.body)["data"]
    assert message["author"]["email"] == "sandy.box@example.com"
    assert decision.credential == "shift-user"
    late = shift.handle(shift_ask(post(), token=access, now=10.0))
    (error,) = json.loads(late.answer.body)["errors"]
    assert (late.answer.status, error["code"], error["reason"]) == (401, 4012, "access_denied")
    assert not late.processed


def test_unknown_callers() -> None:
    """A token or application that is not known posts nothing."""
    for request, code in (
        (shift_ask(post(), token="x"), 4012),
        (shift_ask(post(), query={}), 4010),
        (shift_ask(post(), query={"client_id": "app", "client_secret": "x"}), 4010),
    ):
        decision = shift_vendor().handle(request)
        assert json.loads(decision.answer.body)["errors"][0]["code"] == code
        assert not decision.processed


@pytest.mark.parametrize(("payload", "code"), [(post(), 4040), (users([USER]), 4001)])
def test_unknown_ids(payload: bytes, code: int) -> None:
    """A team that does not exist is 4040, a user 4001."""
    shift = shift_vendor(unknown_ids=frozenset({TEAM, USER}))
    decision = shift.handle(shift_ask(payload))
    assert json.loads(decision.answer.body)["errors"][0]["code"] == code
    assert not decision.processed


def test_a_refresh_token_works_once() -> None:
    """A refresh makes a new pair and ends the old refresh token."""
    shift = shift_vendor(expires_in=60)
    _, old = shift.issue_tokens(0.0)
    decision = shift.handle(token_ask(grant_type="refresh_token", refresh_token=old))
    pair = json.loads(decision.answer.body)
    assert set(pair) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert pair["expires_in"] == 60
    assert len(pair["refresh_token"]) == 40
    assert shift.handle(shift_ask(post(), token=pair["access_token"])).processed
    again = shift.handle(token_ask(grant_type="refresh_token", refresh_token=old))
    assert (again.answer.status, json.loads(again.answer.body)) == (
        400,
        {"error": "invalid_grant"},
    )


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "client_secret": "x"}, "invalid_client"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
    ],
)
def test_bad_shift_token_requests(fields: dict[str, str], error: str) -> None:
    """Errors of the token endpoint are OAuth's, with status 400 and no envelope."""
    decision = shift_vendor().handle(token_ask(0.0, **fields))
    assert json.loads(decision.answer.body) == {"error": error}
    assert ("Cache-Control", "no-store") in decision.answer.headers


def test_a_token_request_that_is_no_text() -> None:
    """A form that cannot be decoded is an invalid request."""
    route = Route(family="shift-token", name="shift.token")
    decision = shift_vendor().handle(Incoming(route=route, body=b"\xff", now=0.0))
    assert json.loads(decision.answer.body) == {"error": "invalid_request"}


def test_shift_tokens_end_on_demand() -> None:
    """`expire_tokens` ends access tokens and leaves refresh tokens."""
    shift = shift_vendor()
    access, refresh = shift.issue_tokens(0.0)
    shift.expire_tokens(1.0)
    assert not shift.handle(shift_ask(post(), token=access, now=1.0)).processed
    assert shift.handle(token_ask(1.0, grant_type="refresh_token", refresh_token=refresh)).processed


def test_no_secret_in_a_repr() -> None:
    """The vendor and its requests hide secrets, bodies and queries in their repr."""
    shown = repr(shift_vendor()) + repr(shift_ask(post()))
    assert "secret" not in shown.replace("client_secret", "")
    assert "Hello" not in shown
