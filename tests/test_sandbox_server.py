"""The sandbox over real loopback sockets: both vendors, the limit, the records, the lifetime."""

from __future__ import annotations

import asyncio
import gc
import json
import warnings
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from moveworks_shift_async.sandbox import FaultOptions, Sandbox, Variants

from .fakes import FakeClock, until

TEAM = "8a7644a3-7393-417c-8180-0328749562a0"


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A plain client, nothing of this package."""
    async with aiohttp.ClientSession() as session:
        yield session


def bearer(sandbox: Sandbox) -> dict[str, str]:
    """The header of the API key."""
    return {"Authorization": f"Bearer {sandbox.api_key}"}


async def send(
    http: aiohttp.ClientSession, sandbox: Sandbox, *recipients: str, **more: Any
) -> tuple[int, bytes]:
    """Send an event message; status and body."""
    path = f"/rest/v1/events/{sandbox.event_id}/messages/send"
    payload = {"message": "Hello", "recipients": recipients or ("a@example.com",)} | more
    async with http.post(sandbox.url + path, json=payload, headers=bearer(sandbox)) as answer:
        return answer.status, await answer.read()


async def probe(http: aiohttp.ClientSession, sandbox: Sandbox) -> int:
    """Call the auth test; its status."""
    url = sandbox.url + "/rest/v1/auth/test"
    async with http.get(url, headers=bearer(sandbox)) as answer:
        await answer.read()
        return answer.status


async def page(http: aiohttp.ClientSession, sandbox: Sandbox, name: str) -> Any:
    """One of the sandbox's own pages."""
    async with http.get(f"{sandbox.url}/_sandbox/api/{name}") as answer:
        assert answer.status == 200
        return await answer.json()


async def order(http: aiohttp.ClientSession, sandbox: Sandbox, name: str, value: Any = None) -> int:
    """Give the sandbox an order over HTTP; the status."""
    async with http.post(f"{sandbox.url}/_sandbox/api/{name}", json=value) as answer:
        await answer.read()
        return answer.status


async def test_a_notification_from_token_to_record(http: aiohttp.ClientSession) -> None:
    """A token is issued, a message goes out with it, and the record says so."""
    async with Sandbox() as sandbox:
        form = {
            "client_id": sandbox.client_id,
            "client_secret": sandbox.client_secret,
            "grant_type": "client_credentials",
        }
        async with http.post(sandbox.url + "/oauth/v1/token", data=form) as answer:
            token = (await answer.json())["access_token"]
        async with http.post(
            sandbox.url + "/rest/v1/messages/send",
            json={"message": "Hello", "recipients": ["a@example.com", "b@example.com"]},
            headers={"Authorization": f"Bearer {token}"},
        ) as answer:
            assert answer.status == 204
        assert await send(http, sandbox) == (200, b'{"data":{"status":"RECEIVED"}}')
        received = sandbox.received()
        assert received.people == {"a@example.com": 2, "b@example.com": 1}
        routes = [(r.route, r.credential, r.processed) for r in received.requests]
        assert routes == [
            ("token", sandbox.client_id, True),
            ("messages.send", sandbox.client_id, True),
            ("events.send", "api-key", True),
        ]
        assert received.requests[2].message == "Hello"
        assert received.requests[2].event_id == sandbox.event_id
        stats = sandbox.stats()
        assert (stats.requests, stats.accepted, stats.token_requests) == (3, 2, 1)
        assert (stats.people, stats.people_told_again) == (2, 1)
        listed = (await page(http, sandbox, "messages"))["messages"]
        assert [(m["message"], m["people"]) for m in listed] == [("Hello", 1), ("Hello", 2)]
        assert (await page(http, sandbox, "stats"))["accepted"] == 2


async def test_shift_over_http(http: aiohttp.ClientSession) -> None:
    """SHIFT takes a message from the application and from a user, and refreshes tokens."""
    async with Sandbox(variants=Variants(shift_errors_as_200=True)) as sandbox:
        app = {
            "client_id": sandbox.shift_client_id,
            "client_secret": sandbox.shift_client_secret,
        }
        url = sandbox.url + "/v1/messages"
        message = {"text": "Hi", "addressed_teams": [TEAM]}
        async with http.post(url, params=app, json=message) as answer:
            assert (await answer.json())["data"][0]["via_app"] == sandbox.shift_client_id
        _, refresh = sandbox.issue_shift_tokens()
        form = app | {"grant_type": "refresh_token", "refresh_token": refresh}
        async with http.post(sandbox.url + "/v1/oauth2/token", data=form) as answer:
            access = (await answer.json())["access_token"]
        headers = {"Authorization": f"Bearer {access}"}
        async with http.post(url, json=message, headers=headers) as answer:
            assert (await answer.json())["data"][0]["author_type"] == "user"
        async with http.post(url, json={}, headers=headers) as answer:
            assert (answer.status, (await answer.json())["errors"][0]["code"]) == (200, 4004)
        assert sandbox.received().shift == {f"team:{TEAM}": 2}
        assert sandbox.received().people == {}


async def test_refused_requests_tell_nobody(http: aiohttp.ClientSession) -> None:
    """A request that breaks a rule is recorded as not processed."""
    async with Sandbox() as sandbox:
        status, body = await send(http, sandbox, "nobody")
        assert (status, json.loads(body)["code"]) == (400, "BAD_REQUEST")
        (record,) = sandbox.received().requests
        assert (record.status, record.processed, record.recipients) == (400, False, ())
        assert record.admitted


async def test_another_method_is_a_405(http: aiohttp.ClientSession) -> None:
    """The answer names the right one, as RFC 9110 asks; nothing has happened."""
    async with Sandbox() as sandbox:
        event = f"/rest/v1/events/{sandbox.event_id}/messages/send"
        for path, right, wrong in (
            ("/rest/v1/auth/test", "GET", "POST"),
            (event, "POST", "GET"),
            (event, "POST", "TRACE"),
        ):
            async with http.request(wrong, sandbox.url + path, headers=bearer(sandbox)) as answer:
                assert (answer.status, answer.headers["Allow"]) == (405, right)
                assert (await answer.json())["code"] == "METHOD_NOT_ALLOWED"
        assert not any(record.processed for record in sandbox.received().requests)


async def test_an_unknown_address(http: aiohttp.ClientSession) -> None:
    """An address that is no endpoint is a 404, and recorded as unknown."""
    async with Sandbox() as sandbox:
        async with http.get(sandbox.url + "/v2/nothing") as answer:
            assert answer.status == 404
        (record,) = sandbox.received().requests
        assert (record.route, record.status, record.processed) == ("unknown", 404, False)


async def test_the_limit_is_one_for_all_moveworks_routes(http: aiohttp.ClientSession) -> None:
    """Sends and probes share the quota, tokens and SHIFT have none, a 429 tells nobody."""
    async with Sandbox(limit=2, window=60.0) as sandbox:
        assert (await send(http, sandbox))[0] == 200
        assert await probe(http, sandbox) == 200
        status, body = await send(http, sandbox)
        assert (status, json.loads(body)["code"]) == (429, "RATE_LIMIT_EXCEEDED")
        async with http.post(sandbox.url + "/oauth/v1/token") as answer:
            assert answer.status == 400
        async with http.post(sandbox.url + "/v1/messages") as answer:
            assert answer.status == 401
        stats = sandbox.stats()
        assert (stats.throttled, stats.accepted) == (1, 1)
        assert (stats.max_admitted_in_window, stats.max_arrived_in_window) == (2, 3)
        assert stats.faults == {}
        record = sandbox.received().requests[2]
        assert (record.admitted, record.processed, record.status) == (False, False, 429)


async def test_token_requests_can_count(http: aiohttp.ClientSession) -> None:
    """With the option token requests use the same quota."""
    async with Sandbox(limit=1, window=60.0, count_tokens=True) as sandbox:
        async with http.post(sandbox.url + "/oauth/v1/token") as answer:
            assert answer.status == 400
        assert await probe(http, sandbox) == 429


async def test_retry_after_in_seconds(http: aiohttp.ClientSession) -> None:
    """With the option a 429 names whole seconds, rounded up."""
    async with Sandbox(limit=1, window=60.0, retry_after="seconds") as sandbox:
        await probe(http, sandbox)
        url = sandbox.url + "/rest/v1/auth/test"
        async with http.get(url, headers=bearer(sandbox)) as answer:
            assert 59 <= int(answer.headers["Retry-After"]) <= 60


async def test_retry_after_as_a_date(http: aiohttp.ClientSession) -> None:
    """With the option a 429 names an HTTP date, and so does a 429 by a fault."""
    async with Sandbox(window=60.0, retry_after="date") as sandbox:
        sandbox.faults.script("auth", "throttle")
        url = sandbox.url + "/rest/v1/auth/test"
        async with http.get(url, headers=bearer(sandbox)) as answer:
            end = parsedate_to_datetime(answer.headers["Retry-After"])
        assert 58 < (end - datetime.now(UTC)).total_seconds() <= 61


async def test_no_retry_after_by_default(http: aiohttp.ClientSession) -> None:
    """Without the option a 429 names no time, as the vendor documents none."""
    async with Sandbox(limit=1, window=60.0) as sandbox:
        await probe(http, sandbox)
        url = sandbox.url + "/rest/v1/auth/test"
        async with http.get(url, headers=bearer(sandbox)) as answer:
            assert answer.status == 429
            assert "Retry-After" not in answer.headers


async def test_latency_jitter_and_concurrency(
    http: aiohttp.ClientSession, clock: FakeClock
) -> None:
    """Requests wait for their answers at the same time, and the peak is counted."""
    async with (
        Sandbox(latency=5.0, jitter=1.0, clock=clock) as sandbox,
        asyncio.TaskGroup() as group,
    ):
        sending = [group.create_task(send(http, sandbox)) for _ in range(8)]
        await until(lambda: clock.armed == 8)
        assert sandbox.stats().requests == 0
        await clock.advance(1.0)
        await until(lambda: clock.armed == 16)
        assert not any(task.done() for task in sending)
        await clock.advance(5.0)
        await asyncio.wait(sending)
        assert {task.result()[0] for task in sending} == {200}
        assert sandbox.stats().max_concurrent == 8


async def test_a_client_that_goes_during_the_latency_was_processed(
    http: aiohttp.ClientSession, clock: FakeClock
) -> None:
    """The decision comes before the wait: the record says processed, without a status."""
    async with Sandbox(latency=5.0, clock=clock) as sandbox:
        sending = asyncio.create_task(send(http, sandbox))
        await until(lambda: clock.armed)
        sending.cancel()
        await asyncio.wait([sending])
        (record,) = sandbox.received().requests
        assert (record.processed, record.status) == (True, None)


async def test_expired_tokens(http: aiohttp.ClientSession) -> None:
    """A token dies by order, in process or over HTTP."""
    async with Sandbox() as sandbox:
        url = sandbox.url + "/rest/v1/auth/test"
        for by_http in (False, True):
            headers = {"Authorization": f"Bearer {sandbox.issue_token()}"}
            async with http.get(url, headers=headers) as answer:
                assert answer.status == 200
            if by_http:
                assert await order(http, sandbox, "expire") == 200
            else:
                sandbox.expire_tokens()
            async with http.get(url, headers=headers) as answer:
                assert answer.status == 401


async def test_orders_over_http(http: aiohttp.ClientSession) -> None:
    """Faults can be ordered, seen and forgotten by another process."""
    async with Sandbox() as sandbox:
        orders = {"script": {"send": ["server-500-json"]}, "rates": {"auth": {"forbidden": 1}}}
        assert await order(http, sandbox, "faults", orders) == 200
        seen = await page(http, sandbox, "faults")
        assert seen["pending"]["script"] == orders["script"]
        assert "silence" in seen["kinds"]
        assert (await send(http, sandbox))[0] == 500
        assert await probe(http, sandbox) == 403
        assert await order(http, sandbox, "reset") == 200
        assert await probe(http, sandbox) == 200
        assert sandbox.stats().requests == 1


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("faults", {"script": {"send": ["x"]}}, 400),
        ("faults", [], 400),
        ("refuse", {}, 400),
        ("refuse", {"seconds": -1}, 400),
        ("refuse", {"seconds": True}, 400),
        ("refuse", {"seconds": 1e999}, 400),
        ("refuse", {"seconds": 10**400}, 400),
        ("faults", {"rates": {"send": {"throttle": 10**400}}}, 400),
        ("refuse", {"seconds": 0, "minutes": 1}, 400),
        ("reset", {"all": True}, 400),
        ("faults", {"script": {}, "storm": 3}, 400),
        ("nothing", {}, 404),
    ],
)
async def test_bad_orders(http: aiohttp.ClientSession, name: str, value: Any, status: int) -> None:
    """An order that cannot be followed is a 400 with a reason, an unknown page a 404."""
    async with Sandbox() as sandbox:
        assert await order(http, sandbox, name, value) == status
        async with http.post(sandbox.url + "/_sandbox/api/faults", data=b"{") as answer:
            assert answer.status == 400
            assert "JSON" in (await answer.json())["error"]


@pytest.mark.parametrize(
    "sent",
    [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
)
async def test_a_page_in_a_browser_is_no_client(
    http: aiohttp.ClientSession, sent: dict[str, str]
) -> None:
    """It would use up the limit and the faults, and leave rows in the inbox."""
    async with Sandbox(limit=1) as sandbox:
        sandbox.faults.script("send", "processed-then-reset")
        for method, path in (("POST", "/rest/v1/messages/send"), ("GET", "/rest/v1/auth/test")):
            async with http.request(method, sandbox.url + path, headers=sent, data=b"x") as answer:
                assert answer.status == 403
        assert sandbox.stats().requests == 0
        assert sandbox.faults.pending()["script"]
        assert await probe(http, sandbox) == 200


async def test_reset_gives_the_quota_back(http: aiohttp.ClientSession) -> None:
    """After a reset the records are empty and the limit begins anew; tokens go on."""
    async with Sandbox(limit=1, window=60.0) as sandbox:
        await probe(http, sandbox)
        assert await probe(http, sandbox) == 429
        sandbox.reset()
        assert sandbox.received().requests == ()
        assert await probe(http, sandbox) == 200


async def refused(sandbox: Sandbox) -> bool:
    """True where a new connection is refused."""
    try:
        _, writer = await asyncio.open_connection(sandbox.host, sandbox.port)
    except ConnectionRefusedError:
        return True
    writer.close()
    await writer.wait_closed()
    return False


async def test_refused_connections(http: aiohttp.ClientSession) -> None:
    """While it does not listen it refuses, idle connections are gone, and it comes back."""
    async with Sandbox() as sandbox:
        address = sandbox.url
        assert (await send(http, sandbox))[0] == 200
        await sandbox.stop_listening()
        await sandbox.stop_listening()
        assert await refused(sandbox)
        with pytest.raises(aiohttp.ClientConnectionError):
            await send(http, sandbox)
        await sandbox.start_listening()
        await sandbox.start_listening()
        assert (await send(http, sandbox))[0] == 200
        assert sandbox.url == address
        assert sandbox.stats().accepted == 2


async def test_refuse_for_a_while(http: aiohttp.ClientSession, clock: FakeClock) -> None:
    """`refuse` ends by itself, waited for or ordered over HTTP."""
    async with Sandbox(clock=clock) as sandbox:
        waiting = asyncio.create_task(sandbox.refuse(5.0))
        await until(lambda: clock.armed == 1)
        assert await refused(sandbox)
        await clock.advance(5.0)
        await waiting
        assert not await refused(sandbox)
        assert await order(http, sandbox, "refuse", {"seconds": 5.0}) == 200
        await until(lambda: clock.armed == 2)
        assert await refused(sandbox)
        await clock.advance(5.0)
        while await refused(sandbox):  # noqa: ASYNC110 - it begins to listen when it comes to it
            await asyncio.sleep(0)


async def test_a_request_in_hand_survives_the_refusal(
    http: aiohttp.ClientSession, clock: FakeClock
) -> None:
    """A request that is being served gets its answer, and its connection ends then."""
    async with Sandbox(latency=5.0, clock=clock) as sandbox:
        sending = asyncio.create_task(send(http, sandbox))
        await until(lambda: clock.armed)
        await sandbox.stop_listening()
        await clock.advance(5.0)
        assert (await sending)[0] == 200
        with pytest.raises(aiohttp.ClientConnectorError):
            await send(http, sandbox)


async def test_entered_again(http: aiohttp.ClientSession) -> None:
    """A sandbox entered again has the same address, and its records go on."""
    sandbox = Sandbox()
    async with sandbox:
        address = sandbox.url
        await send(http, sandbox)
    assert await refused(sandbox)
    async with sandbox:
        assert sandbox.url == address
        await send(http, sandbox)
        assert sandbox.stats().accepted == 2


async def test_a_taken_port_is_an_error() -> None:
    """A port that somebody else has is an OSError, and nothing stays open."""
    async with Sandbox() as first:
        with pytest.raises(OSError, match="in use"):
            async with Sandbox(port=first.port):
                pass
        gc.collect()


async def test_ipv6() -> None:
    """An IPv6 loopback address works where the machine has one."""
    try:
        async with Sandbox(host="::1") as sandbox:
            assert sandbox.url == f"http://[::1]:{sandbox.port}"
            assert not await refused(sandbox)
    except OSError:
        pytest.skip("no IPv6 on this machine")


async def test_serve_forever() -> None:
    """It serves until it is cancelled, and tells its address first."""
    sandbox = Sandbox()
    addresses: list[str] = []
    serving = asyncio.create_task(sandbox.serve_forever(lambda s: addresses.append(s.url)))
    quiet = Sandbox()
    silent = asyncio.create_task(quiet.serve_forever())
    await until(lambda: addresses and quiet.port)
    assert addresses == [sandbox.url]
    assert not await refused(sandbox)
    while await refused(quiet):  # noqa: ASYNC110 - it has the port, and listens in a moment
        await asyncio.sleep(0)
    for task in (serving, silent):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await refused(sandbox)


async def test_it_closes_at_once_with_hanging_requests(clock: FakeClock) -> None:
    """Closing ends hanging requests and refusals, and leaves no task and no open socket."""
    before = asyncio.all_tasks()
    async with aiohttp.ClientSession() as http:
        async with Sandbox(clock=clock) as sandbox:
            sandbox.faults.script("send", "silence", "processed-then-silence")
            sandbox.refuse_soon(60)
            await until(lambda: clock.armed)
            await sandbox.start_listening()
            silent = asyncio.create_task(send(http, sandbox))
            await until(lambda: sandbox.stats().requests == 1)
            processed = asyncio.create_task(send(http, sandbox))
            await until(lambda: sandbox.stats().accepted == 1)
            hanging = [silent, processed]
        for task in hanging:
            with pytest.raises(aiohttp.ClientConnectionError):
                await task
    assert [r.processed for r in sandbox.received().requests] == [False, True]
    assert asyncio.all_tasks() == before
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gc.collect()


async def test_a_body_that_is_too_large(http: aiohttp.ClientSession) -> None:
    """A body beyond all reason is a 413, and recorded so."""
    async with Sandbox() as sandbox:
        url = sandbox.url + "/rest/v1/messages/send"
        big = b" " * (64 * 1024**2 + 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            async with http.post(url, data=big, headers=bearer(sandbox)) as answer:
                assert answer.status == 413
        (record,) = sandbox.received().requests
        assert (record.status, record.processed) == (413, False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 0},
        {"window": 0},
        {"limiter": "leaky-bucket"},
        {"burst": 0},
        {"retry_after": "soon"},
        {"latency": -1},
    ],
)
def test_impossible_options(wrong: dict[str, Any]) -> None:
    """An option that makes no sense is an error at once."""
    with pytest.raises(ValueError, match=r"must be"):
        Sandbox(**wrong)


def test_no_secret_in_the_repr() -> None:
    """The repr of a sandbox shows no secret."""
    sandbox = Sandbox(fault_options=FaultOptions(slow=2.0))
    shown = repr(sandbox)
    for secret in (sandbox.client_secret, sandbox.api_key, sandbox.shift_client_secret):
        assert secret not in shown
