"""Each endpoint method is one documented request, and each documented answer is understood."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Awaitable, Coroutine
from typing import Any
from urllib.parse import parse_qs

import pytest
from aioresponses import aioresponses
from yarl import URL

from moveworks_shift_async import (
    ApiKey,
    AppCredentials,
    AppObject,
    BadRequest,
    BearerToken,
    ClientCredentials,
    DeadlineExceeded,
    InvalidInput,
    MoveworksClient,
    NotAuthenticated,
    OAuthTokens,
    RateLimit,
    Region,
    RetryPolicy,
    ShiftClient,
)
from moveworks_shift_async.sandbox import Sandbox

EVENT = "7d9f7a54-3f9e-4c37-8a57-3b1a8f0f6a21"
TEAM = "8a7644a3-7393-417c-8180-0328749562a0"
SEND = f"{Region.EU}/rest/v1/events/{EVENT}/messages/send"
LEGACY = f"{Region.US}/rest/v1/messages/send"
SHIFT = "https://shift.example.test"
CREATED = {"meta": {}, "data": [{"id": "m1", "text": "hi", "created_at": 1355247468}], "time": 0.1}


def sent(mocked: aioresponses, method: str, url: str, index: int = 0) -> dict[str, Any]:
    """The headers and the decoded body of a request that was made."""
    call = mocked.requests[(method, URL(url))][index]
    body = call.kwargs["data"]
    return {**call.kwargs, "body": None if body is None else body.decode()}


async def test_an_event_message_is_one_documented_post(mocked_http: aioresponses) -> None:
    """The path holds the event, the body message, recipients and context, the header the key."""
    mocked_http.post(SEND, payload={"data": {"status": "RECEIVED"}}, headers={"X-Request-Id": "r7"})
    async with MoveworksClient(ApiKey("key"), base_url=Region.EU) as client:
        receipt = await client.events.send(
            EVENT.upper(), "hi", ["a@x.io", "b@x.io"], context={"slots": {"id": "1"}}
        )
    request = sent(mocked_http, "POST", SEND)
    assert json.loads(request["body"]) == {
        "message": "hi",
        "recipients": ["a@x.io", "b@x.io"],
        "context": {"slots": {"id": "1"}},
    }
    assert request["headers"]["Authorization"] == "Bearer key"
    assert request["allow_redirects"] is False
    assert (receipt.status, receipt.state, receipt.recipients) == (200, "RECEIVED", 2)
    assert (receipt.attempts, receipt.request_id) == (1, "r7")


async def test_a_legacy_message_is_one_documented_post(mocked_http: aioresponses) -> None:
    """Without an event the legacy path is used, and 204 without a body is a success."""
    mocked_http.post(LEGACY, status=204)
    async with MoveworksClient(ApiKey("key")) as client:
        receipt = await client.messages.send("hi", iter(["a@x.io"]))
    assert json.loads(sent(mocked_http, "POST", LEGACY)["body"]) == {
        "message": "hi",
        "recipients": ["a@x.io"],
    }
    assert (receipt.status, receipt.state, receipt.recipients) == (204, None, 1)


@pytest.mark.parametrize("form", ["form", "json"])
@pytest.mark.parametrize("wrapped", [False, True])
async def test_a_token_is_asked_for_as_a_form_or_as_json(
    mocked_http: aioresponses, form: Any, wrapped: bool
) -> None:
    """Both documented requests are written, both documented answers are read."""
    token = {"access_token": "mwt_1", "expires_in": 3600, "token_type": "Bearer"}
    mocked_http.post(f"{Region.US}/oauth/v1/token", payload={"data": token} if wrapped else token)
    mocked_http.get(f"{Region.US}/rest/v1/auth/test", payload={"Message": "fine"})
    credentials = ClientCredentials("id", "mws_secret", token_request=form)
    async with MoveworksClient(credentials) as client:
        assert await client.auth.test() == "fine"
    request = sent(mocked_http, "POST", f"{Region.US}/oauth/v1/token")
    decoded = (
        json.loads(request["body"])
        if form == "json"
        else {key: values[0] for key, values in parse_qs(request["body"]).items()}
    )
    assert decoded == {
        "client_id": "id",
        "client_secret": "mws_secret",
        "grant_type": "client_credentials",
    }
    test = sent(mocked_http, "GET", f"{Region.US}/rest/v1/auth/test")
    assert test["headers"]["Authorization"] == "Bearer mwt_1"


async def test_what_breaks_a_rule_is_not_sent(mocked_http: aioresponses) -> None:
    """Bad arguments are refused before any request, single and bulk alike."""
    async with MoveworksClient(ApiKey("key")) as client:
        with pytest.raises(InvalidInput, match="UUID"):
            await client.events.send("not-an-id", "hi", ["a@x.io"])
        with pytest.raises(InvalidInput, match="send_bulk"):
            await client.messages.send("hi", ["a@x.io"] * 501)
        with pytest.raises(InvalidInput, match="list"):
            await client.messages.send("hi", "a@x.io")
        with pytest.raises(InvalidInput, match="20000"):
            client.messages.send_bulk("", ["a@x.io"])
        with pytest.raises(InvalidInput, match="UUID"):
            client.events.send_bulk("not-an-id", "hi", ["a@x.io"])
        with pytest.raises(InvalidInput, match="iterable"):
            client.messages.send_bulk("hi", "a@x.io")
    assert not mocked_http.requests


async def test_a_shift_message_is_one_documented_post(mocked_http: aioresponses) -> None:
    """A team message with a mention, which goes into a list; no mock sees the credentials."""
    mocked_http.post(f"{SHIFT}/v1/messages", payload=CREATED)
    async with ShiftClient(AppCredentials("id", "secret"), base_url=SHIFT) as client:
        message = await client.messages.create(
            text="see {0}", team=TEAM, mention=AppObject("o1", "Plan"), attachments=[{"a": 1}]
        )
    request = next(iter(mocked_http.requests.values()))[0].kwargs
    assert "params" not in request
    assert "Authorization" not in request["headers"]
    assert json.loads(request["data"].decode()) == {
        "text": "see {0}",
        "addressed_teams": [TEAM],
        "addressed_users": {"ids": [], "emails": []},
        "mentions": [{"type": "appobject", "id": "o1", "name": "Plan"}],
        "attachments": [{"a": 1}],
    }
    assert (message.id, message.text) == ("m1", "hi")
    assert message.created_at is not None
    assert message.created_at.tzinfo is not None


async def test_addressed_users_have_two_wire_forms(mocked_http: aioresponses) -> None:
    """As an object they hold ids and e-mail addresses, as a list ids alone."""
    mocked_http.post(f"{SHIFT}/v1/messages", payload=CREATED, repeat=True)
    async with ShiftClient(BearerToken("t"), base_url=SHIFT) as client:
        await client.messages.create(text="hi", users=[TEAM], emails=["a@x.io"])
    async with ShiftClient(BearerToken("t"), base_url=SHIFT, addressed_users="list") as client:
        await client.messages.create(text="hi", users=[TEAM])
        with pytest.raises(InvalidInput, match="object"):
            await client.messages.create(text="hi", emails=["a@x.io"])
    bodies = [
        json.loads(sent(mocked_http, "POST", f"{SHIFT}/v1/messages", index)["body"])
        for index in (0, 1)
    ]
    assert bodies[0]["addressed_users"] == {"ids": [TEAM], "emails": ["a@x.io"]}
    assert bodies[1]["addressed_users"] == [TEAM]


async def test_shift_errors_are_errors_on_a_200(mocked_http: aioresponses) -> None:
    """`errors` decides, not the status; the raw code is kept."""
    mocked_http.post(f"{SHIFT}/v1/messages", payload={"errors": [{"message": "no", "code": 4004}]})
    async with ShiftClient(BearerToken("t"), base_url=SHIFT) as client:
        with pytest.raises(BadRequest) as raised:
            await client.messages.create(text="hi", team=TEAM)
    assert raised.value.code == 4004


async def test_a_dead_shift_token_is_refreshed_once(mocked_http: aioresponses) -> None:
    """4012 brings a refresh, the new pair to the caller, and the message again."""
    pairs: list[tuple[str, str, float | None]] = []
    dead = {"errors": [{"message": "OAuth authorization error.", "code": 4012}]}
    mocked_http.post(f"{SHIFT}/v1/messages", status=401, payload=dead)
    mocked_http.post(
        f"{SHIFT}/v1/oauth2/token",
        payload={"access_token": "a2", "refresh_token": "r2", "expires_in": 3600},
    )
    mocked_http.post(f"{SHIFT}/v1/messages", payload=CREATED)
    credentials = OAuthTokens(
        client_id="id",
        client_secret="secret",
        access_token="a1",
        refresh_token="r1",
        on_refresh=lambda *pair: pairs.append(pair),
    )
    async with ShiftClient(credentials, base_url=SHIFT) as client:
        assert (await client.messages.create(text="hi", team=TEAM)).id == "m1"
    assert pairs == [("a2", "r2", 3600.0)]
    used = [
        sent(mocked_http, "POST", f"{SHIFT}/v1/messages", i)["headers"]["Authorization"]
        for i in (0, 1)
    ]
    assert used == ["Bearer a1", "Bearer a2"]


async def test_a_401_survives_one_new_token(mocked_http: aioresponses) -> None:
    """The error names the region, and was met by two requests."""
    mocked_http.post(f"{Region.US}/oauth/v1/token", payload={"access_token": "t"}, repeat=True)
    mocked_http.get(
        f"{Region.US}/rest/v1/auth/test", status=401, payload={"code": "Unauthorized"}, repeat=True
    )
    async with MoveworksClient(ClientCredentials("id", "s")) as client:
        with pytest.raises(NotAuthenticated, match="region") as raised:
            await client.auth.test()
    assert (raised.value.attempts, raised.value.code) == (2, "Unauthorized")


async def test_what_was_passed_is_what_is_sent(mocked_http: aioresponses) -> None:
    """Whatever becomes of it after the call, even before the call is awaited or repeated."""
    people = ["a@x.io", "b@x.io"]
    context: dict[str, Any] = {"slots": {"name": "Ann", "more": [{"a": 1}]}}
    mocked_http.post(SEND, status=429, headers={"Retry-After": "1"})
    for url in (SEND, SEND, LEGACY.replace(Region.US, Region.EU)):
        mocked_http.post(url, status=204)
    async with MoveworksClient(
        ApiKey("key"), base_url=Region.EU, rate_limit=RateLimit(requests=120, per=0.01)
    ) as client:
        calls: list[Awaitable[object]] = [
            client.events.send(EVENT, "hi", people, context),
            client.events.send_bulk(EVENT, "hi", people, context),
            client.messages.send("hi", people, context),
        ]
        people.clear()
        context["slots"]["name"] = "Bob"
        context["slots"]["more"][0]["a"] = object()
        for call in calls:
            await call
    made = [*mocked_http.requests.values()]
    bodies = [json.loads(call.kwargs["data"].decode()) for calls in made for call in calls]
    expected = {
        "message": "hi",
        "recipients": ["a@x.io", "b@x.io"],
        "context": {"slots": {"name": "Ann", "more": [{"a": 1}]}},
    }
    assert bodies == [expected] * 4


async def test_what_was_passed_to_shift_is_what_is_sent(mocked_http: aioresponses) -> None:
    """Lists and attachments of the caller's are his own again after the call."""
    mocked_http.post(re.compile(rf"{SHIFT}/v1/messages"), payload=CREATED)
    attachments, emails = [{"name": "a"}], ["a@x.io"]
    async with ShiftClient(BearerToken("t"), base_url=SHIFT) as shift:
        call = shift.messages.create(text="hi", emails=emails, attachments=attachments)
        attachments[0]["name"] = "b"
        emails.clear()
        await call
    ((made,),) = mocked_http.requests.values()
    body = json.loads(made.kwargs["data"].decode())
    assert body["attachments"] == [{"name": "a"}]
    assert body["addressed_users"] == {"ids": [], "emails": ["a@x.io"]}


class Old:
    """A sequence of the old kind, which loops take."""

    def __getitem__(self, index: int) -> str:
        return ["a@x.io"][index]


async def test_a_send_takes_what_loops_take(mocked_http: aioresponses) -> None:
    """As a bulk send does."""
    mocked_http.post(LEGACY, status=204)
    old: Any = Old()
    async with MoveworksClient(ApiKey("key")) as client:
        await client.messages.send("hi", old)
        with pytest.raises(InvalidInput, match="list of addresses"):
            await client.messages.send("hi", 5)  # type: ignore[arg-type]
    assert json.loads(sent(mocked_http, "POST", LEGACY)["body"])["recipients"] == ["a@x.io"]


async def test_bad_arguments_are_raised_where_they_are_awaited() -> None:
    """So one bad call among many that are gathered does not keep the others from being made."""
    async with (
        MoveworksClient(ApiKey("key")) as client,
        ShiftClient(BearerToken("t"), base_url=SHIFT) as shift,
    ):
        calls: list[Coroutine[Any, Any, Any]] = [
            client.events.send("no id", "hi", ["a@x.io"]),
            client.messages.send("", ["a@x.io"]),
            client.messages.send("hi", "a@x.io"),
            client.messages.send("hi", ["a@x.io"], {"slots": {"a": 1}, 7: "b"}),  # type: ignore[dict-item]
            client.messages.send("hi", ["a@x.io"], priority="later"),  # type: ignore[arg-type]
            shift.messages.create(text="hi"),
        ]
        for call in calls:
            with pytest.raises(InvalidInput):
                await call


async def test_a_priority_is_one_of_three() -> None:
    """Anything else is refused at the call, when nobody can have been told."""
    async with MoveworksClient(ApiKey("key")) as client:
        for wrong in ("later", None, 1, ["bulk"]):
            with pytest.raises(InvalidInput, match="urgent, normal, bulk"):
                client.events.send_bulk(EVENT, "hi", ["a@x.io"], priority=wrong)  # type: ignore[arg-type]
            with pytest.raises(InvalidInput, match="urgent, normal, bulk"):
                client.messages.send_bulk("hi", ["a@x.io"], priority=wrong)  # type: ignore[arg-type]
            with pytest.raises(InvalidInput, match="urgent, normal, bulk"):
                client.events.batcher(priority=wrong)  # type: ignore[arg-type]


async def test_recipients_without_end_are_refused() -> None:
    """One request takes 500; what follows is not read."""
    endless = (f"p{number}@x.io" for number in itertools.count())
    async with MoveworksClient(ApiKey("key")) as client:
        with pytest.raises(InvalidInput, match="more than 500 recipients: use send_bulk"):
            await client.messages.send("hi", endless)


async def test_a_deadline_of_one_call_is_its_own() -> None:
    """It takes the place of the policy's for this call, whichever is longer; others keep theirs."""
    async with Sandbox() as sandbox:
        sandbox.faults.script("send", "throttle")
        key, policy = ApiKey(sandbox.api_key), RetryPolicy(deadline=600.0)
        async with MoveworksClient(key, base_url=sandbox.url, retry=policy) as client:
            with pytest.raises(DeadlineExceeded) as raised:
                await client.events.send(sandbox.event_id, "hi", ["a@x.io"], deadline=0.5)
        assert (raised.value.retry_after or 0.0) > 1.0
    async with Sandbox(window=0.1) as sandbox:
        sandbox.faults.script("send", "throttle", "none", "throttle")
        async with MoveworksClient(
            ApiKey(sandbox.api_key),
            base_url=sandbox.url,
            rate_limit=RateLimit(requests=100, per=0.1),
            retry=RetryPolicy(deadline=0.001),
        ) as client:
            receipt = await client.messages.send("hi", ["a@x.io"], deadline=600)
            assert receipt.attempts == 2
            with pytest.raises(DeadlineExceeded):
                await client.messages.send("hi", ["a@x.io"])


@pytest.mark.parametrize("wrong", [0, -1.0, True, "5", float("nan")])
async def test_a_deadline_is_a_number_of_seconds(wrong: Any) -> None:
    """Anything else is refused where the call is awaited, before anything is sent."""
    async with MoveworksClient(ApiKey("key"), base_url=Region.EU) as client:
        with pytest.raises(InvalidInput, match="deadline must be seconds, above 0"):
            await client.messages.send("hi", ["a@x.io"], deadline=wrong)
