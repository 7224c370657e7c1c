"""The clients as a whole, over real sockets: concurrency, cancellation, closing, configuration."""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from attrs import define, field

from moveworks_shift_async import (
    ApiKey,
    AppCredentials,
    Attempt,
    BearerToken,
    ClientClosed,
    ClientCredentials,
    ConfigurationError,
    FileGate,
    MoveworksClient,
    MoveworksError,
    NotAuthenticated,
    OAuthTokens,
    Outcome,
    OutcomeUnknown,
    RateLimit,
    Region,
    ShiftClient,
    Timeouts,
    TokenUnavailable,
)
from moveworks_shift_async.client import MoveworksOptions, ShiftOptions
from moveworks_shift_async.limits.priority import Priority
from moveworks_shift_async.limits.window import GateSnapshot, Slot
from moveworks_shift_async.sandbox import Sandbox, Variants

from .fakes import FakeTransport, answer, until


def client_of(sandbox: Sandbox, **options: object) -> MoveworksClient:
    """A client with the sandbox's OAuth client and its limit."""
    return MoveworksClient(
        ClientCredentials(sandbox.client_id, sandbox.client_secret),
        base_url=sandbox.url,
        rate_limit=RateLimit(requests=sandbox.limit, per=sandbox.window),
        **options,  # type: ignore[arg-type]
    )


async def test_a_thousand_tasks_share_one_token_and_one_budget() -> None:
    """1,000 sends at once: one token request, no 429, never over the limit, none lost."""
    async with Sandbox(limit=100, window=0.2, jitter=0.01) as sandbox, client_of(sandbox) as client:
        async with asyncio.TaskGroup() as tasks:
            for number in range(1000):
                tasks.create_task(
                    client.events.send(sandbox.event_id, "hi", [f"p{number}@example.com"])
                )
        stats = sandbox.stats()
    assert (stats.token_requests, stats.throttled, stats.accepted) == (1, 0, 1000)
    assert (stats.people, stats.people_told_again) == (1000, 0)
    assert stats.max_admitted_in_window <= 100


async def test_cancelling_any_of_them_leaves_the_rest_healthy() -> None:
    """Cancelled at random moments, tasks leave gate, token and pool to the others."""
    chance = random.Random(5)  # noqa: S311 - repeatable, not secret
    async with (
        Sandbox(limit=40, window=0.1, latency=0.005) as sandbox,
        client_of(sandbox) as client,
    ):
        tasks = [
            asyncio.create_task(
                client.events.send(sandbox.event_id, "hi", [f"p{number}@example.com"])
            )
            for number in range(600)
        ]
        for task in chance.sample(tasks, 200):
            await asyncio.sleep(chance.random() * 0.004)
            task.cancel()
        await asyncio.wait(tasks)
        await client.auth.test()
        ended = [task for task in tasks if not task.cancelled()]
        assert all(task.exception() is None for task in ended)
        assert (client.gate.snapshot().in_flight, client.gate.snapshot().waiting) == (0, 0)
        stats = sandbox.stats()
    assert stats.token_requests == 1
    # Who was cut in flight has no answer: nobody can know when the server counted that request.
    assert stats.throttled <= stats.people - len(ended)
    assert stats.people_told_again == 0
    assert len(ended) <= stats.people <= 600


async def test_a_rotated_secret_is_the_same_organisation() -> None:
    """Its clients share one gate, whatever pair of tokens or secret they hold just now."""
    old, new = ClientCredentials("acme", "old"), ClientCredentials("acme", "new")
    async with MoveworksClient(old) as one, MoveworksClient(new) as two:
        assert one.gate is two.gate
    async with MoveworksClient(ClientCredentials("other", "old")) as other:
        assert other.gate is not one.gate
    first, second = (
        ShiftClient(
            OAuthTokens(client_id="acme", client_secret=text, refresh_token=text),
            base_url="https://shift.test",
        )
        for text in ("old", "new")
    )
    async with first, second:
        assert first.gate is second.gate


class OldGate:
    """A gate of the caller's, with the methods that were asked for once."""

    async def acquire(self, deadline: float, priority: Priority) -> Slot:
        """At once."""
        return Slot(1, 0.0)

    def release(self, slot: Slot, *, counted: bool) -> None:
        """Nothing to do."""

    def refused(self, slot: Slot, retry_after: float | None) -> None:
        """Nothing to do."""

    def observed(self, ages: Iterable[float]) -> None:
        """Nothing to do."""

    def snapshot(self) -> GateSnapshot:
        """Nothing known."""
        return GateSnapshot(budget=1, used=0, in_flight=0, next_in=0.0, paused_for=0.0)


@define(eq=False)
class OwnGate(OldGate):
    """... and those by which it hears of its clients."""

    joined: list[tuple[object, str, RateLimit, int]] = field(factory=list)
    left: list[object] = field(factory=list)

    def join(self, user: object, organisation: str, limit: RateLimit, max_in_flight: int) -> None:
        """Remember who."""
        self.joined.append((user, organisation, limit, max_in_flight))

    def leave(self, user: object) -> None:
        """Remember who, and have a defect."""
        self.left.append(user)
        raise ValueError("boom")


def test_a_gate_of_the_caller_s_is_checked_before_anything_hangs_on_it() -> None:
    """What is missing is named, and where it says what it is for."""
    with pytest.raises(ConfigurationError, match=r"OldGate has no join and no leave; .*do nothing"):
        MoveworksClient(ApiKey("key"), gate=OldGate())  # type: ignore[arg-type]


async def test_a_gate_of_the_caller_s_hears_of_its_clients(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """It is joined when a client is made and left when it is closed; its defects close nothing."""
    gate, limit = OwnGate(), RateLimit(requests=7)
    async with MoveworksClient(
        ApiKey(sandbox.api_key), base_url=sandbox.url, gate=gate, rate_limit=limit, max_in_flight=3
    ) as client:
        assert client.gate is gate
        await client.auth.test()
        assert gate.left == []
    ((user, organisation, *told),) = gate.joined
    assert sandbox.url in organisation
    assert told == [limit, 3]
    assert gate.left == [user]
    assert "the gate raised when the client left it" in caplog.text


async def test_a_transport_of_the_caller_s_takes_the_place_of_aiohttp() -> None:
    """For tokens, too; it is told the whole URL, and closed with the client."""
    token = answer(200, {"access_token": "t", "expires_in": 3600})
    fake = FakeTransport([token, answer(202)])
    credentials = ClientCredentials("acme", "hush-hush")
    async with MoveworksClient(credentials, base_url=Region.EU, transport=fake) as client:
        receipt = await client.messages.send("hi", ["a@example.com", "b@example.com"])
        assert (receipt.status, receipt.recipients) == (202, 2)
        assert not fake.closed
    assert [request.url for request in fake.requests] == [
        f"{Region.EU}/oauth/v1/token",
        f"{Region.EU}/rest/v1/messages/send",
    ]
    assert [request.route.name for request in fake.requests] == ["token", "messages.send"]
    assert fake.closed
    shift = ShiftClient(
        BearerToken("t"),
        base_url="https://shift.test",
        transport=FakeTransport([answer(200, {"data": [{"id": "m"}], "errors": []})]),
    )
    async with shift:
        assert (await shift.messages.create(text="hi", emails=["a@example.com"])).id == "m"


def test_a_transport_that_misses_a_method_is_refused_at_once() -> None:
    """Not at the first send."""
    with pytest.raises(ConfigurationError, match=r"transport: object has no exchange and no close"):
        MoveworksClient(ApiKey("k"), transport=object())  # type: ignore[arg-type]


async def test_a_session_and_a_transport_are_not_both_taken() -> None:
    """The session would not be used."""
    async with aiohttp.ClientSession() as http:
        with pytest.raises(ConfigurationError, match="not both"):
            MoveworksClient(ApiKey("k"), http=http, transport=FakeTransport([answer(202)]))


async def test_each_attempt_is_told_to_who_watches(sandbox: Sandbox) -> None:
    """Token requests and repeats too, and the chunks of a bulk send."""
    heard: list[Attempt] = []
    sandbox.faults.script("send", "throttle")
    async with client_of(sandbox, on_attempt=heard.append) as client:
        await client.auth.test()
        await client.messages.send_bulk("hi", [f"p{n}@example.com" for n in range(501)])
    assert [(one.endpoint, one.number, one.status, one.recipients) for one in heard[:2]] == [
        ("token", 1, 200, 0),
        ("auth.test", 1, 200, 0),
    ]
    assert sorted((one.endpoint, one.number, one.status) for one in heard[2:]) == [
        ("messages.send", 1, 204),
        ("messages.send", 1, 429),
        ("messages.send", 2, 204),
    ]
    assert sum(one.recipients for one in heard if one.outcome is Outcome.ACCEPTED) == 501


async def test_attempts_at_shift_are_told_too(sandbox: Sandbox) -> None:
    """A refresh of its tokens included."""
    heard: list[Attempt] = []
    credentials = OAuthTokens(
        client_id=sandbox.shift_client_id,
        client_secret=sandbox.shift_client_secret,
        refresh_token=sandbox.issue_shift_tokens()[1],
    )
    async with ShiftClient(credentials, base_url=sandbox.url, on_attempt=heard.append) as client:
        await client.messages.create(text="hi", emails=["a@example.com"])
    assert [one.endpoint for one in heard] == ["shift.token", "shift.messages.create"]


async def coroutine(_: Attempt) -> None:
    """What nobody would await."""


class Coroutine:
    """The same as an object."""

    async def __call__(self, _: Attempt) -> None:
        """Never run."""


@pytest.mark.parametrize("wrong", ["print", coroutine, Coroutine(), partial(coroutine)])
def test_what_cannot_watch_is_refused_at_once(wrong: Any) -> None:
    """A coroutine function would be called, and nobody would await it."""
    with pytest.raises(ConfigurationError, match="on_attempt must be a"):
        MoveworksClient(ApiKey("k"), on_attempt=wrong)


async def test_two_clients_of_one_organisation_share_the_budget() -> None:
    """Sending through two clients at once causes no 429; another key has a gate of its own."""
    async with (
        Sandbox(limit=10, window=0.2) as sandbox,
        client_of(sandbox) as one,
        client_of(sandbox) as two,
    ):
        await asyncio.gather(
            *(
                client.events.send(sandbox.event_id, "hi", [f"{i}{name}@example.com"])
                for i in range(20)
                for name, client in (("a", one), ("b", two))
            )
        )
        assert one.gate is two.gate
        assert sandbox.stats().throttled == 0


def test_the_budget_outlives_a_client_and_its_event_loop() -> None:
    """A second `asyncio.run` with a new client goes on where the first one stopped."""
    sandbox = Sandbox(limit=5, window=0.5)

    async def run() -> None:
        async with sandbox, client_of(sandbox) as client:
            for number in range(5):
                await client.events.send(sandbox.event_id, "hi", [f"p{number}@example.com"])

    asyncio.run(run())
    asyncio.run(run())
    assert (sandbox.stats().accepted, sandbox.stats().throttled) == (10, 0)


def test_one_client_in_a_second_event_loop_is_told_so() -> None:
    """The error names `asyncio.run`, not a closed event loop."""
    client = MoveworksClient(ApiKey("key"), base_url="http://127.0.0.1:9")

    async def use() -> None:
        async with client:
            pass

    asyncio.run(use())
    with pytest.raises(ClientClosed, match=r"asyncio\.run"):
        asyncio.run(use())


async def test_closing_cuts_a_silent_request_after_its_bound() -> None:
    """A call still out at the bound ends as unknown, and closing does not wait for its answer."""
    async with Sandbox() as sandbox:
        client = client_of(sandbox, timeout=Timeouts(close=0.2))
        sandbox.faults.script("send", "silence")
        async with client:
            task = asyncio.create_task(client.messages.send("hi", ["a@example.com"]))
            await until(lambda: sandbox.stats().requests == 2)
        with pytest.raises(OutcomeUnknown, match="closed"):
            await task
        with pytest.raises(ClientClosed):
            await client.auth.test()


async def test_the_callers_session_is_used_and_not_closed(sandbox: Sandbox) -> None:
    """`http=` carries all requests, the token's included, and stays open."""
    seen: list[str] = []
    trace = aiohttp.TraceConfig()

    async def note(_: object, __: object, params: aiohttp.TraceRequestStartParams) -> None:
        seen.append(params.url.path)

    trace.on_request_start.append(note)
    async with aiohttp.ClientSession(trace_configs=[trace]) as http:
        async with client_of(sandbox, http=http) as client:
            await client.auth.test()
        assert not http.closed
    assert seen == ["/oauth/v1/token", "/rest/v1/auth/test"]


@pytest.mark.parametrize("status", [401, 403])
async def test_an_expired_token_is_replaced_without_telling_anybody_twice(status: int) -> None:
    """A token that died early costs one repeat, whether the server says 401 or 403."""
    async with (
        Sandbox(variants=Variants(expired_status=status)) as sandbox,
        client_of(sandbox) as client,
    ):
        await client.messages.send("hi", ["a@example.com"])
        sandbox.expire_tokens()
        receipt = await client.messages.send("hi", ["b@example.com"])
        assert receipt.attempts == 2
        assert sandbox.received().people == {"a@example.com": 1, "b@example.com": 1}


@pytest.mark.parametrize("expires_in", [0.0, 60.0, 3600.0])
async def test_every_documented_lifetime_works(expires_in: float) -> None:
    """Tokens that say 0, 60 or 3600 seconds all serve a burst of calls."""
    async with Sandbox(expires_in=expires_in) as sandbox, client_of(sandbox) as client:
        await asyncio.gather(*(client.auth.test() for _ in range(20)))
        tokens = sandbox.stats().token_requests
    assert tokens == 1 if expires_in else tokens >= 1


async def test_wrong_credentials_say_so(sandbox: Sandbox) -> None:
    """A refused OAuth client is a refused credential, and nothing was sent."""
    async with MoveworksClient(ClientCredentials("id", "wrong"), base_url=sandbox.url) as client:
        with pytest.raises(TokenUnavailable, match=r"HTTP 401 .*credential") as raised:
            await client.messages.send("hi", ["a@example.com"])
        assert isinstance(raised.value.cause, NotAuthenticated)
        report = await client.messages.send_bulk("hi", [f"p{i}@x.io" for i in range(1200)])
    assert (report.not_sent, report.rejected, report.requests) == (1200, 0, 0)
    stats = sandbox.stats()
    assert (stats.people, stats.requests) == (0, stats.token_requests)
    assert stats.token_requests <= 4


@pytest.mark.parametrize("taken", ["application/x-www-form-urlencoded", "application/json"])
async def test_a_token_comes_from_a_server_that_takes_one_form(taken: str) -> None:
    """The vendor's page shows a form, its OpenAPI file JSON; either server is asked in its own."""
    asked: list[str] = []

    async def token(request: web.Request) -> web.Response:
        asked.append(request.content_type)
        if request.content_type != taken:
            return web.json_response({"code": "string", "message": "string"}, status=400)
        given = await (request.json() if "json" in taken else request.post())
        assert (given["client_id"], given["client_secret"]) == ("id", "mws_secret")
        return web.json_response({"data": {"access_token": "mwt_1", "expires_in": 0}})

    async def test(_: web.Request) -> web.Response:
        return web.json_response({"Message": "fine"})

    app = web.Application()
    app.router.add_post("/oauth/v1/token", token)
    app.router.add_get("/rest/v1/auth/test", test)
    async with TestServer(app) as server:
        credentials = ClientCredentials("id", "mws_secret")
        async with MoveworksClient(credentials, base_url=str(server.make_url("/"))) as client:
            assert [await client.auth.test() for _ in range(3)] == ["fine"] * 3
    form = "application/x-www-form-urlencoded"
    assert asked == [form] * (taken != form) + [taken] * 3


async def test_shift_tokens_rotate_over_real_http() -> None:
    """An expired pair is refreshed once for many callers, and each pair is stored first."""
    async with Sandbox(token_lifetime=3600) as sandbox:
        access, refresh = sandbox.issue_shift_tokens()
        stored: list[str] = []
        credentials = OAuthTokens(
            client_id=sandbox.shift_client_id,
            client_secret=sandbox.shift_client_secret,
            access_token=access,
            refresh_token=refresh,
            on_refresh=lambda _, pair, __: stored.append(pair),
        )
        sandbox.expire_tokens()
        async with ShiftClient(credentials, base_url=sandbox.url) as client:
            await asyncio.gather(
                *(client.messages.create(text=str(i), emails=["a@example.com"]) for i in range(20))
            )
        assert len(stored) == 1
        assert sandbox.received().shift == {"a@example.com": 20}


async def test_nothing_secret_is_logged_or_shown(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither logs nor reprs nor errors hold a secret, a token, a recipient or a message."""
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    for kind in ("server-500-json", "throttle", "processed-then-reset", "forbidden", "none"):
        client = MoveworksClient(
            ClientCredentials(sandbox.client_id, sandbox.client_secret),
            base_url=sandbox.url,
            rate_limit=RateLimit(requests=100, per=0.05),
        )
        sandbox.faults.script("send", kind)
        async with client:
            bulk = client.messages.send_bulk("private words", ["ann@example.com", "n0-address"])
            report = await bulk
            shown += [repr(client), repr(bulk), repr(report), repr(report.failures)]
            shown += [f"{failure.error!r} {failure.error}" for failure in report.failures]
    text = caplog.text + "".join(shown)
    for secret in (sandbox.client_secret, "mwt_", "ann@example.com", "private words", "n0-address"):
        assert secret not in text


@pytest.mark.parametrize(
    "make",
    [
        lambda: MoveworksClient(ApiKey("k"), max_in_flight=0),
        lambda: MoveworksClient(ApiKey("k"), base_url="http://example.com"),
        lambda: MoveworksClient("key"),  # type: ignore[arg-type]
        lambda: ShiftClient(AppCredentials("i", "s"), base_url=""),
    ],
)
def test_what_cannot_work_is_refused_at_once(make: object) -> None:
    """Bad settings are a `ConfigurationError` when the client is made."""
    with pytest.raises(ConfigurationError):
        make()  # type: ignore[operator]


async def test_two_hosts_that_each_take_a_share_meet_no_429(tmp_path: Path) -> None:
    """As README says: two machines share no gate, and the server sees one organisation."""
    async with Sandbox(limit=10, window=0.5) as sandbox:
        limit = RateLimit(requests=10, per=0.5, share=0.5)

        async def host(name: str) -> None:
            gate, key = FileGate(tmp_path / name), ApiKey(sandbox.api_key)
            async with MoveworksClient(
                key, base_url=sandbox.url, rate_limit=limit, gate=gate
            ) as client:
                sends = (client.messages.send("x", [f"{name}{i}@x.io"]) for i in range(15))
                await asyncio.gather(*sends)

        async with asyncio.TaskGroup() as hosts:
            for name in ("one", "two"):
                hosts.create_task(host(name))
        assert len(sandbox.received().people) == 30
        assert sandbox.stats().throttled == 0


class _Tunnel(aiohttp.TCPConnector):
    """A connector of the caller's, as those for SOCKS are."""


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (aiohttp.ClientSession, True),
        (partial(aiohttp.ClientSession, trust_env=True), False),
        (partial(aiohttp.ClientSession, proxy="http://other:1"), False),
        (lambda: aiohttp.ClientSession(connector=_Tunnel()), False),
    ],
)
@pytest.mark.parametrize("proxy", ["http://user:s3cr3t@proxy:3128", "socks5://u:s3cr3t@proxy:1"])
async def test_a_proxy_is_not_lost_without_a_word(
    make: Callable[[], aiohttp.ClientSession],
    told: bool,
    proxy: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """aiohttp ignores the variables unless a session is told otherwise: the log says so, once."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with make() as http:
        for url in ("https://api.example.com", "http://127.0.0.1:9"):
            await MoveworksClient(ApiKey("k"), base_url=url, http=http).close()
    assert [record.levelname for record in caplog.records] == ["WARNING"] * told
    assert caplog.text.count("trust_env=True") == told
    assert "s3cr3t" not in caplog.text


async def test_arguments_win_over_the_environment(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`from_env` takes what the client takes; the variables of an argument are not even read."""
    for name in ("REGION", "REQUESTS_PER_MINUTE", "SHARE"):
        monkeypatch.setenv(f"MOVEWORKS_{name}", "wrong")
    monkeypatch.setenv("MOVEWORKS_CLIENT_ID", "without a secret")
    monkeypatch.setenv("MOVEWORKS_GATE", str(tmp_path / "none" / "gate"))
    given = FileGate(tmp_path / "gate")
    attempts: list[Attempt] = []
    async with MoveworksClient.from_env(
        credentials=ApiKey(sandbox.api_key),
        base_url=sandbox.url,
        rate_limit=RateLimit(requests=7),
        gate=given,
        on_attempt=attempts.append,
    ) as client:
        await client.auth.test()
    assert (client.gate, client.rate_limit.requests, len(attempts)) == (given, 7, 1)
    with pytest.raises(ConfigurationError, match="MOVEWORKS_CLIENT_SECRET is not set"):
        MoveworksClient.from_env(base_url=sandbox.url, rate_limit=RateLimit())
    with pytest.raises(TypeError, match="unexpected keyword argument 'rate'"):
        MoveworksClient.from_env(  # type: ignore[call-arg]
            credentials=ApiKey("k"), base_url=sandbox.url, rate_limit=RateLimit(), gate=None, rate=1
        )
    mine = AppCredentials(sandbox.shift_client_id, sandbox.shift_client_secret)
    monkeypatch.setenv("SHIFT_REFRESH_TOKEN", "needs on_refresh")
    async with ShiftClient.from_env(credentials=mine, base_url=sandbox.url) as shift:
        await shift.messages.create(text="x", emails=["a@example.com"])


@pytest.mark.parametrize(
    ("client", "options", "more"),
    [(MoveworksClient, MoveworksOptions, set()), (ShiftClient, ShiftOptions, {"on_refresh"})],
)
def test_from_env_knows_each_argument(client: type, options: type, more: set[str]) -> None:
    """Type checkers learn them from a list, which is that of the client."""
    takes = set(inspect.signature(client.__init__).parameters) - {"self"}  # type: ignore[misc]
    assert options.__annotations__.keys() == takes
    named = set(inspect.signature(client.from_env).parameters)  # type: ignore[attr-defined]
    assert named == {"instead", *more}


async def test_clients_come_from_the_environment(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`from_env` reads the documented variables, for both vendors."""
    monkeypatch.setenv("MOVEWORKS_API_KEY", sandbox.api_key)
    monkeypatch.setenv("MOVEWORKS_BASE_URL", sandbox.url)
    monkeypatch.setenv("MOVEWORKS_SHARE", "0.5")
    async with MoveworksClient.from_env() as client:
        assert await client.auth.test()
        assert client.gate.snapshot().budget == 60
        assert sandbox.url in repr(client)
    monkeypatch.setenv("SHIFT_BASE_URL", sandbox.url)
    monkeypatch.setenv("SHIFT_ACCESS_TOKEN", sandbox.issue_shift_tokens()[0])
    async with ShiftClient.from_env() as shift:
        assert (await shift.messages.create(text="hi", emails=["a@example.com"])).id
        assert sandbox.url in repr(shift)


async def test_a_shift_host_has_no_default() -> None:
    """A secret in a query must never go to a host that the caller did not name."""
    with pytest.raises(TypeError):
        ShiftClient(BearerToken("t"))  # type: ignore[call-arg]


async def test_closing_does_not_wait_for_a_token_that_nobody_needs(sandbox: Sandbox) -> None:
    """A background refresh that hangs is cancelled; only a rotating pair is waited for."""
    client = client_of(sandbox)
    async with client:
        await client.auth.test()
        sandbox.faults.script("token", "silence")
        sandbox.expire_tokens()
        task = asyncio.create_task(client.auth.test())
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait({task})
        began = time.monotonic()
    assert time.monotonic() - began < 2


async def test_a_closing_that_is_cancelled_leaves_nothing_open(sandbox: Sandbox) -> None:
    """The calls are cut, the pool is closed, and the gate is free for another client."""
    client = client_of(sandbox)
    await client.auth.test()
    sandbox.faults.script("send", "silence")
    call = asyncio.create_task(client.messages.send("hi", ["a@example.com"]))
    await asyncio.sleep(0.1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await client.close()
    with pytest.raises(OutcomeUnknown):
        await call
    assert client.gate.snapshot().in_flight == 0


async def test_a_refused_key_is_not_tried_twice(sandbox: Sandbox) -> None:
    """Where no other credential can be had, a 401 is final."""
    async with MoveworksClient(ApiKey("wrong"), base_url=sandbox.url) as client:
        with pytest.raises(NotAuthenticated) as raised:
            await client.auth.test()
    assert raised.value.attempts == 1
    assert sandbox.stats().requests == 1


async def test_a_token_endpoint_that_is_away_for_a_while_loses_nobody(sandbox: Sandbox) -> None:
    """Token requests that fail are waited out, longer each time."""
    sandbox.faults.script("token", "server-503-html", times=3)
    async with client_of(sandbox) as client:
        report = await client.messages.send_bulk("hi", [f"p{i}@example.com" for i in range(2000)])
    assert report.accepted == 2000


async def test_a_wrong_event_costs_one_round_of_requests(sandbox: Sandbox) -> None:
    """What is wrong for one chunk is wrong for all, and the minute is not spent on it."""
    wrong = sandbox.event_id[:-1] + "f"
    async with client_of(sandbox, max_in_flight=2) as client:
        report = await client.events.send_bulk(wrong, "hi", [f"p{i}@x.io" for i in range(20_000)])
    assert report.accepted == 0
    assert report.requests <= 4


@pytest.mark.parametrize("room", ["limit", "limit_per_host"])
async def test_a_small_pool_of_the_callers_is_not_the_queue(sandbox: Sandbox, room: str) -> None:
    """The gate takes no more at once than the caller's connector has room for."""
    connector = aiohttp.TCPConnector(**{room: 2})  # type: ignore[arg-type]
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        client_of(sandbox, http=http) as client,
    ):
        report = await client.messages.send_bulk("hi", [f"p{i}@x.io" for i in range(5000)])
    assert report.accepted == 5000
    assert sandbox.stats().max_concurrent <= 2


async def test_no_endpoint_can_make_an_error_repeat_the_request() -> None:
    """A server that quotes all it got, token requests included, gets nothing into an error."""
    sandbox = Sandbox()

    async def repeat(request: web.Request) -> web.Response:
        got = (
            f"{request.headers.get('Authorization')} {request.query_string} {await request.text()}"
        )
        body = {"code": got, "message": got, "errors": [{"code": got, "message": got}]}
        return web.json_response(body, status=403)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", repeat)
    pair = OAuthTokens(
        client_id="shift-app", client_secret="hush-hush-1", refresh_token="refresh-12"
    )
    errors: list[MoveworksError] = []
    async with TestServer(app) as server:
        url = str(server.make_url("/"))
        async with (
            MoveworksClient(ApiKey("some-api-key"), base_url=url) as one,
            MoveworksClient(ClientCredentials("my-client", "hush-hush-2"), base_url=url) as two,
            ShiftClient(AppCredentials("shift-app", "hush-hush-1"), base_url=url) as three,
            ShiftClient(pair, base_url=url) as four,
        ):
            for call in (
                one.events.send(sandbox.event_id, "private words", ["ann@example.com"]),
                one.messages.send("private words", ["ann@example.com"]),
                one.auth.test(),
                two.auth.test(),
                three.messages.create(text="private words", emails=["ann@example.com"]),
                four.messages.create(text="private words", emails=["ann@example.com"]),
            ):
                with pytest.raises(MoveworksError) as raised:
                    await call
                errors += [raised.value, getattr(raised.value, "cause", raised.value)]
    shown = "".join(f"{error} {error!r} {error.__dict__}" for error in errors)
    assert "HTTP 403" in shown
    for secret in ("some-api-key", "hush", "refresh-12", "private words", "ann@", "shift-app"):
        assert secret not in shown
