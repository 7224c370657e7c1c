"""The Moveworks side of the sandbox: credentials, tokens and endpoints, without a server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from moveworks_shift_async.sandbox import Variants, rules
from moveworks_shift_async.sandbox.decisions import SUCCESS_BODIES
from moveworks_shift_async.sandbox.moveworks import MoveworksVendor
from moveworks_shift_async.sandbox.options import Options
from moveworks_shift_async.sandbox.routes import Incoming, Route

EVENT = "7d9f7a54-3f9e-4c37-8a57-3b1a8f0f6a21"
USER = "09dadecb-edbc-44c0-a187-1150e98e6df8"


def body(**fields: Any) -> bytes:
    """A message body, good but for the given fields; None leaves a field out."""
    payload = {"message": "Hello", "recipients": ["a@example.com"]} | fields
    return json.dumps({k: v for k, v in payload.items() if v is not None}).encode()


def vendor(**changes: Any) -> MoveworksVendor:
    """A vendor with known credentials."""
    known = {"client_id": "id", "client_secret": "secret", "api_key": "key", "event_id": EVENT}
    return MoveworksVendor(Options(**known | changes))


def ask(name: str, *, now: float = 0.0, bearer: str = "key", **more: Any) -> Incoming:
    """A request to an endpoint, with a bearer header."""
    family: Any = {"events.send": "send", "messages.send": "send", "auth.test": "auth"}
    event_id = more.pop("event_id", EVENT if name == "events.send" else None)
    route = Route(family=family.get(name, name), name=name, event_id=event_id)
    return Incoming(route=route, authorization=f"Bearer {bearer}", now=now, **more)


def form(**changes: str) -> bytes:
    """A token request as a form."""
    fields = {"client_id": "id", "client_secret": "secret", "grant_type": "client_credentials"}
    return "&".join(f"{k}={v}" for k, v in (fields | changes).items()).encode()


def test_a_token_from_a_form_works_until_its_end() -> None:
    """A token works for its lifetime and not at its end."""
    moveworks = vendor(token_lifetime=60)
    decision = moveworks.handle(ask("token", now=100.0, body=form()))
    token = json.loads(decision.answer.body)
    assert token["expires_in"] == 60
    assert token["token_type"] == "Bearer"
    assert decision.processed
    assert decision.credential == "id"
    value = token["access_token"]
    assert moveworks.handle(ask("auth.test", now=159.9, bearer=value)).processed
    late = moveworks.handle(ask("auth.test", now=160.0, bearer=value))
    assert (late.answer.status, late.processed, late.credential) == (401, False, None)


def test_a_token_from_json_and_wrapped() -> None:
    """The token request may be JSON, and its answer may be inside `data`."""
    moveworks = vendor(variants=Variants(token_body="wrapped"), expires_in=0.5)
    fields = {"client_id": "id", "client_secret": "secret", "grant_type": "client_credentials"}
    request = ask("token", body=json.dumps(fields).encode(), content_type="application/json")
    answer = json.loads(moveworks.handle(request).answer.body)
    assert answer["data"]["expires_in"] == 0.5
    assert answer["data"]["access_token"].startswith("mwt_")


@pytest.mark.parametrize(
    ("payload", "kind", "status", "code"),
    [
        (form(grant_type="password"), "", 400, "UNSUPPORTED_GRANT_TYPE"),
        (form(grant_type=""), "", 400, "INVALID_REQUEST"),
        (form(client_secret="wrong"), "", 401, "INVALID_CLIENT"),
        (form(client_id="wrong"), "", 401, "INVALID_CLIENT"),
        (b"", "", 400, "INVALID_REQUEST"),
        (b"\xff", "", 400, rules.BAD_REQUEST),
        (b"[]", "application/json", 400, rules.BAD_REQUEST),
        (
            b'{"grant_type": "client_credentials", "client_id": 1, "client_secret": "x"}',
            "application/json",
            400,
            rules.BAD_REQUEST,
        ),
    ],
)
def test_bad_token_requests(payload: bytes, kind: str, status: int, code: str) -> None:
    """A token request without the right fields gets an error and no token."""
    decision = vendor().handle(ask("token", body=payload, content_type=kind))
    assert decision.answer.status == status
    assert json.loads(decision.answer.body)["code"] == code
    assert not decision.processed


@pytest.mark.parametrize("header", ["", "key", "bearer key", "Basic key", "Bearer", "Bearer no"])
def test_bad_credentials(header: str) -> None:
    """Anything but `Bearer` and a known key or token is a 401 without a caller."""
    request = Incoming(route=Route(family="auth", name="auth.test"), authorization=header, now=0.0)
    decision = vendor().handle(request)
    assert decision.answer.status == 401
    assert json.loads(decision.answer.body)["code"] == "Unauthorized"
    assert decision.credential is None


def test_tokens_end_on_demand() -> None:
    """After `expire_tokens` a token answers 401 or 403, by the variant, and the key goes on."""
    moveworks = vendor(variants=Variants(expired_status=403, error_body="nested"))
    token = moveworks.issue_token(0.0)
    assert moveworks.handle(ask("auth.test", bearer=token)).processed
    moveworks.expire_tokens(1.0)
    decision = moveworks.handle(ask("auth.test", now=1.0, bearer=token))
    assert decision.answer.status == 403
    assert json.loads(decision.answer.body)["error"]["code"] == "EXPIRED_TOKEN"
    assert moveworks.handle(ask("auth.test", now=1.0)).processed


def test_the_auth_test_says_so() -> None:
    """The key of the auth test's text is a variant."""
    for key in ("Message", "message"):
        variants = Variants(auth_key=key)
        decision = vendor(variants=variants).handle(ask("auth.test"))
        assert list(json.loads(decision.answer.body)) == [key]
        assert decision.credential == "api-key"


def test_messages_go_out() -> None:
    """A good message is processed at either endpoint and answered as the variant says."""
    event = vendor().handle(ask("events.send", body=body()))
    assert (event.answer.status, event.answer.body) == (200, SUCCESS_BODIES["received"])
    legacy = vendor().handle(ask("messages.send", body=body()))
    assert (legacy.answer.status, legacy.answer.body) == (204, b"")
    for decision in (event, legacy):
        assert decision.processed
        assert decision.told is not None
        assert decision.told.addresses == "a@example.com"


def test_a_bad_message_does_not_go_out() -> None:
    """A refused message is not processed, and the caller is known."""
    decision = vendor().handle(ask("events.send", body=body(message="")))
    assert (decision.answer.status, decision.processed, decision.told) == (400, False, None)
    assert decision.credential == "api-key"


def test_whoever_asks_sees_what_people_see() -> None:
    """A message that goes out is shown in full, and a refused one is not; its repr hides it."""
    seen: list[rules.Message] = []
    moveworks = vendor(on_told=seen.append)
    for fields in ({}, {"message": ""}, {"context": {"slots": {"n": "1"}}}):
        moveworks.handle(ask("events.send", body=body(**fields)))
    assert [(message.to, message.message) for message in seen] == 2 * [
        (("a@example.com",), "Hello")
    ]
    assert [message.context for message in seen] == [None, {"slots": {"n": "1"}}]
    assert {message.event_id for message in seen} == {EVENT}
    assert "example" not in repr(seen)


@pytest.mark.parametrize(
    ("event_id", "any_event", "status"),
    [
        (EVENT, False, 200),
        (USER, False, 404),
        (USER, True, 200),
        ("nonsense", True, 404),
        ("", True, 404),
    ],
)
def test_events(event_id: str, any_event: bool, status: int) -> None:
    """One event exists, or every UUID where the option says so."""
    request = ask("events.send", event_id=event_id, body=body())
    assert vendor(any_event=any_event).handle(request).answer.status == status


def test_no_secret_in_a_repr() -> None:
    """The vendor hides its secrets in its repr."""
    moveworks = MoveworksVendor(Options(client_id="id", client_secret="s3", api_key="k3"))
    assert "s3" not in repr(moveworks)
    assert "k3" not in repr(moveworks)
