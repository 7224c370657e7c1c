"""What OpenTelemetry is told of calls, streams and jobs, and what nobody is."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from attrs import define
from opentelemetry import metrics, trace
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from moveworks_shift_async import (
    ApiKey,
    AppCredentials,
    ChunkOutcome,
    ClientCredentials,
    ConfigurationError,
    Job,
    MoveworksClient,
    MoveworksError,
    OAuthTokens,
    Outcome,
    RateLimit,
    RetryPolicy,
    ShiftClient,
    Timeouts,
)
from moveworks_shift_async.clock import SYSTEM_CLOCK
from moveworks_shift_async.sandbox import Sandbox
from moveworks_shift_async.sending.coalesce import LingeringBatcher
from moveworks_shift_async.telemetry.choice import telemetry_of
from moveworks_shift_async.telemetry.silence import others_silenced

from .fakes import FakeTransport, answer
from .journals import BEGAN, begin, paced, planned, send

#: What must not leave: in words that are nowhere else.
SECRET_WORDS = ["ann.canary@example.com", "bob.canary@example.com", "canary in the message"]


@define
class Seen:
    """What was exported."""

    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader
    provider: TracerProvider

    def spans(self, kind: SpanKind | None = None) -> list[ReadableSpan]:
        """Those that have ended, the first to end first."""
        return [s for s in self.exporter.get_finished_spans() if kind in (None, s.kind)]

    def points(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """Attributes and value, or count, of each point of a metric."""
        data = self.reader.get_metrics_data()
        found = [
            metric
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
        ]
        return [
            (dict(point.attributes or {}), getattr(point, "value", getattr(point, "count", None)))
            for metric in found
            for point in metric.data.data_points
        ]

    def text(self) -> str:
        """All of it."""
        data = self.reader.get_metrics_data()
        return "".join(span.to_json() for span in self.spans()) + (data.to_json() if data else "")


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    """An application's own SDK, with exporters in memory."""
    exporter, reader, provider = InMemorySpanExporter(), InMemoryMetricReader(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    meters = MeterProvider([reader])
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: meters)
    yield Seen(exporter, reader, provider)
    meters.shutdown()


def client_of(sandbox: Sandbox, **options: object) -> MoveworksClient:
    """A client with the sandbox's OAuth client and its limit."""
    return MoveworksClient(
        ClientCredentials(sandbox.client_id, sandbox.client_secret),
        base_url=sandbox.url,
        rate_limit=RateLimit(requests=sandbox.limit, per=sandbox.window),
        **options,  # type: ignore[arg-type]
    )


def attributes(span: ReadableSpan) -> dict[str, Any]:
    """What a span says."""
    return dict(span.attributes or {})


async def test_an_attempt_is_a_client_span_below_its_call(sandbox: Sandbox, seen: Seen) -> None:
    """By the HTTP conventions; a repeat says that it is one, and the first does not."""
    sandbox.faults.script("send", "throttle")
    async with client_of(sandbox) as client:
        await client.events.send(sandbox.event_id, "hi", SECRET_WORDS[:2])
    token, first, second = seen.spans(SpanKind.CLIENT)
    (call,) = seen.spans(SpanKind.INTERNAL)
    assert [token.name, call.name] == ["POST /oauth/v1/token", "events.send"]
    assert {one.name for one in (first, second)} == {
        "POST /rest/v1/events/{event_id}/messages/send"
    }
    assert call.context is not None
    assert {one.parent and one.parent.span_id for one in (token, first, second)} == {
        call.context.span_id
    }
    port = int(sandbox.url.rpartition(":")[2])
    assert attributes(first) == {
        "http.request.method": "POST",
        "http.response.status_code": 429,
        "error.type": "429",
        "server.address": "127.0.0.1",
        "server.port": port,
        "url.full": f"{sandbox.url}/rest/v1/events/{sandbox.event_id}/messages/send",
        "url.template": "/rest/v1/events/{event_id}/messages/send",
        "moveworks.endpoint": "events.send",
        "moveworks.outcome": "rejected",
        "moveworks.recipients": 2,
    }
    assert attributes(second)["http.request.resend_count"] == 1
    assert "error.type" not in attributes(second)
    assert attributes(call) == {
        "moveworks.outcome": "accepted",
        "moveworks.attempts": 2,
        "moveworks.recipients.accepted": 2,
    }
    assert not first.status.is_ok
    assert second.status.is_ok or second.status.is_unset
    for one in (first, second):
        assert call.start_time is not None
        assert one.start_time is not None
        assert one.end_time is not None
        assert call.start_time - 10_000_000 <= one.start_time <= one.end_time


async def test_a_stream_is_a_span_and_its_chunks_are_linked_to_it(
    sandbox: Sandbox, seen: Seen
) -> None:
    """It says what became of everybody; a chunk begins a trace of its own."""
    sandbox.faults.script("send", "processed-then-reset")
    with seen.provider.get_tracer("app").start_as_current_span("request") as request:
        async with client_of(sandbox) as client:
            report = await client.messages.send_bulk("hi", [f"p{n}@x.test" for n in range(1200)])
    assert report.unknown > 0
    (stream,) = [one for one in seen.spans() if one.name == "send_bulk"]
    assert stream.parent is not None
    assert stream.parent.span_id == request.get_span_context().span_id
    assert attributes(stream) == {
        "moveworks.recipients.accepted": report.accepted,
        "moveworks.recipients.rejected": 0,
        "moveworks.recipients.unknown": report.unknown,
        "moveworks.recipients.not_sent": 0,
    }
    chunks = [one for one in seen.spans() if one.name == "messages.send"]
    assert len(chunks) == 3
    assert {one.parent for one in chunks} == {None}
    assert {link.context.span_id for one in chunks for link in one.links} == {
        stream.context.span_id if stream.context else 0
    }
    assert counted(seen) == {"accepted": report.accepted, "unknown": report.unknown}
    assert {value for _, value in seen.points("moveworks.client.runs")} == {0}


def counted(seen: Seen) -> dict[str, int]:
    """People by outcome, as the counter has them."""
    return {
        point["moveworks.outcome"]: value
        for point, value in seen.points("moveworks.client.recipients")
        if value
    }


async def test_a_request_of_a_batcher_is_in_the_trace_of_no_sender(
    sandbox: Sandbox, seen: Seen
) -> None:
    """Many share it, and none of them has begun it for the others; each is linked to it."""
    tracer = seen.provider.get_tracer("app")
    async with client_of(sandbox) as client, client.events.batcher() as batcher:
        with tracer.start_as_current_span("first"):
            first = asyncio.create_task(batcher.send(sandbox.event_id, "hi", "a@x.test"))
        with tracer.start_as_current_span("second"):
            second = asyncio.create_task(batcher.send(sandbox.event_id, "hi", "b@x.test"))
        await asyncio.gather(first, second)
    (call,) = [one for one in seen.spans() if one.name == "events.send"]
    assert call.parent is None
    assert call.context is not None
    assert attributes(call)["moveworks.recipients.accepted"] == 2
    assert counted(seen) == {"accepted": 2}
    sends = [one for one in seen.spans() if one.name == "batcher.send"]
    callers = {one.context.span_id for one in seen.spans() if one.context and one.name in ORDINALS}
    assert {one.parent.span_id for one in sends if one.parent} == callers
    assert {link.context.span_id for one in sends for link in one.links} == {call.context.span_id}
    assert {link.context.span_id for link in call.links} == {
        one.context.span_id for one in sends if one.context
    }
    assert [attributes(one) for one in sends] == [{"moveworks.outcome": "accepted"}] * 2


ORDINALS = ("first", "second")


async def test_people_of_a_batcher_are_counted_once_each(sandbox: Sandbox, seen: Seen) -> None:
    """Those who left or never had a slot, and those whom a repeat leaves out, as well."""

    async def tell(batcher: LingeringBatcher, *people: str) -> list[asyncio.Task[ChunkOutcome]]:
        sends = [batcher.send(sandbox.event_id, "hi", person) for person in people]
        tasks = [asyncio.create_task(send) for send in sends]
        await asyncio.sleep(0.05)
        return tasks

    limit = RateLimit(requests=1, per=3600.0)
    held = asyncio.Event()

    async def later(_: object) -> Any:
        await held.wait()
        return answer(429, Retry_After="1")

    client = MoveworksClient(
        ApiKey("k"), transport=FakeTransport([later, answer(200)]), rate_limit=limit
    )
    async with client:
        batcher = client.events.batcher(linger=0.0)
        ann, bob = await tell(batcher, "a@x.test", "b@x.test")
        (cid,) = await tell(batcher, "c@x.test")
        cid.cancel()
        ann.cancel()
        held.set()
        await asyncio.wait({ann, cid})
        await tell(batcher, "d@x.test")
    assert (await bob).outcome is Outcome.NOT_SENT
    await batcher.close()
    assert counted(seen) == {"not_sent": 4}


async def test_a_send_of_a_batcher_says_how_it_ended(sandbox: Sandbox, seen: Seen) -> None:
    """By an outcome, by a cancellation before a request and after it, and refused at the call."""
    sandbox.faults.script("send", "forbidden")
    async with client_of(sandbox) as client:
        async with client.events.batcher(linger=0.0) as batcher:
            await batcher.send(sandbox.event_id, "hi", "a@x.test")
        async with client.events.batcher(linger=60.0) as batcher:
            left = asyncio.create_task(batcher.send(sandbox.event_id, "hi", "a@x.test"))
            await asyncio.sleep(0)
            left.cancel()
            await asyncio.wait({left})
        with pytest.raises(MoveworksError):
            await batcher.send(sandbox.event_id, "hi", "a@x.test")
    out = asyncio.Event()

    async def never(_: object) -> Any:
        out.set()
        await asyncio.Event().wait()

    client = MoveworksClient(
        ApiKey("k"), transport=FakeTransport([never]), timeout=Timeouts(close=0.01)
    )
    async with client:
        batcher = client.events.batcher(linger=0.0)
        cut = asyncio.create_task(batcher.send(sandbox.event_id, "hi", "a@x.test"))
        await out.wait()
        cut.cancel()
        await asyncio.wait({cut})
    sends = [attributes(one) for one in seen.spans() if one.name == "batcher.send"]
    assert sends == [
        {"moveworks.outcome": "rejected", "error.type": "NotAllowed"},
        {"moveworks.outcome": "not_sent", "error.type": "CancelledError"},
        {"moveworks.outcome": "not_sent", "error.type": "ClientClosed"},
        {"moveworks.outcome": "unknown", "error.type": "CancelledError"},
    ]


async def test_a_job_counts_each_person_once(sandbox: Sandbox, seen: Seen, tmp_path: Path) -> None:
    """A chunk that is sent again because nobody was told is not counted before its end."""
    sandbox.faults.script("send", "throttle", "reset-before-body")
    journal = tmp_path / "job"
    people = [f"p{n}@x.test" for n in range(1200)]
    await Job.plan(journal, people, legacy=True, message="hi")
    async with client_of(sandbox) as client:
        account = await Job(journal).run(client)
    (run,) = [one for one in seen.spans() if one.name == "job"]
    told = {"accepted": account.accepted, "unknown": account.unknown}
    assert counted(seen) == {name: count for name, count in told.items() if count}
    assert attributes(run)["moveworks.recipients.accepted"] == account.accepted
    chunks = [one for one in seen.spans() if one.name == "messages.send"]
    assert {link.context.span_id for one in chunks for link in one.links} == {
        run.context.span_id if run.context else 0
    }


async def test_people_whom_a_dead_run_left_unknown_are_counted(
    sandbox: Sandbox, seen: Seen, tmp_path: Path
) -> None:
    """By the run that finds them: the one that may have told them cannot."""
    journal = planned(tmp_path / "job", 3, size=10)
    with journal.transaction():
        run = begin(journal, BEGAN)
        send(journal, [0], paced)
        for chunk in (1, 2):
            journal.sending(chunk, BEGAN + 1, run)
    journal.close()
    async with client_of(sandbox) as client:
        account = await Job(tmp_path / "job").resume(client, moved=True)
        assert counted(seen) == {"unknown": account.unknown} == {"unknown": 20}
        await Job(tmp_path / "job").resume(client)
    assert counted(seen) == {"unknown": 20}


async def test_waits_429s_and_tokens_are_measured(seen: Seen) -> None:
    """And what the gate knows, for as long as somebody has it."""
    async with Sandbox(limit=1, window=0.3) as sandbox:
        async with client_of(sandbox) as client:
            await client.auth.test()
            waiting = asyncio.create_task(client.auth.test())
            await asyncio.sleep(0.05)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            waits = {
                point["result"]: count
                for point, count in seen.points("moveworks.client.rate_limit.wait.duration")
            }
            assert waits == {"acquired": 1, "cancelled": 1}
            budget = seen.points("moveworks.client.rate_limit.budget")
            port = int(sandbox.url.rpartition(":")[2])
            assert ({"server.address": "127.0.0.1", "server.port": port}, 1) in budget
        async with client_of(sandbox, retry=RetryPolicy(deadline=0.01)) as client:
            with pytest.raises(MoveworksError):
                await client.auth.test()
    results = {
        point["result"] for point, _ in seen.points("moveworks.client.rate_limit.wait.duration")
    }
    assert results == {"acquired", "cancelled", "deadline"}
    assert seen.points("moveworks.client.rate_limit.queued") == [({}, 0)]
    assert seen.points("moveworks.client.token.requests") == [
        ({"result": "ok"}, 1),
        ({"result": "failed"}, 0),
    ]
    durations = seen.points("http.client.request.duration")
    assert {point["url.template"] for point, _ in durations} == {
        "/oauth/v1/token",
        "/rest/v1/auth/test",
    }


async def test_429s_are_counted(sandbox: Sandbox, seen: Seen) -> None:
    """Each of them."""
    sandbox.faults.script("send", "throttle", "throttle")
    async with client_of(sandbox) as client:
        await client.messages.send("hi", ["a@x.test"])
    assert seen.points("moveworks.client.rate_limit.throttled") == [({}, 2)]


FAULTS = (
    "throttle",
    "expired-token",
    "processed-then-reset",
    "half-answer",
    "malformed-json",
    "reset-before-body",
    "forbidden",
    "redirect-302",
)


async def test_nothing_personal_or_secret_is_exported_or_logged(
    sandbox: Sandbox, seen: Seen, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of sends with every kind of fault, by both vendors, a stream, a batcher and a job, and with
    the instrumentation of aiohttp loaded; the fields of structured logs included."""
    caplog.set_level(1)
    instrumentor = AioHttpClientInstrumentor()
    instrumentor.instrument(tracer_provider=seen.provider)
    try:
        await send_all_kinds(sandbox, tmp_path)
    finally:
        instrumentor.uninstrument()
    logged = [(caplog.handler.format(one), sorted(vars(one).items())) for one in caplog.records]
    assert len(logged) > 30
    text = seen.text() + str(logged)
    secrets = [
        *SECRET_WORDS,
        "canary",
        sandbox.client_secret,
        sandbox.api_key,
        sandbox.shift_client_secret,
        sandbox.shift_client_id,
        *sandbox.issue_shift_tokens(),
        "mwt_",
        "Bearer",
        "?",
    ]
    assert [word for word in secrets if word in text] == []
    assert "shift.messages.create" in text
    assert len(seen.spans()) > 30


async def send_all_kinds(sandbox: Sandbox, tmp_path: Path) -> None:
    """Whatever can be sent, with every fault."""
    *people, message = SECRET_WORDS
    once = Timeouts(total=5.0)
    for fault in FAULTS:
        async with client_of(sandbox, timeout=once) as client:
            sandbox.faults.script("send", fault)
            await swallowed(client.events.send(sandbox.event_id, message, people))
            sandbox.faults.script("send", fault)
            await client.messages.send_bulk(message, people, {"slots": {"who": "canary"}})
            sandbox.faults.script("send", fault)
            async with client.events.batcher(linger=0.0) as batcher:
                await batcher.send(sandbox.event_id, message, people[0])
            sandbox.faults.script("send", fault)
            journal = tmp_path / f"canary-{fault}"
            await Job.plan(journal, people, legacy=True, message=message)
            await swallowed(Job(journal).run(client))
        for credentials in (
            AppCredentials(sandbox.shift_client_id, sandbox.shift_client_secret),
            OAuthTokens(
                client_id=sandbox.shift_client_id,
                client_secret=sandbox.shift_client_secret,
                refresh_token=sandbox.issue_shift_tokens()[1],
            ),
        ):
            async with (
                aiohttp.ClientSession() as http,
                ShiftClient(credentials, base_url=sandbox.url, timeout=once, http=http) as shift,
            ):
                sandbox.faults.script("shift", fault)
                await swallowed(shift.messages.create(text=message, emails=people))


async def swallowed(call: Any) -> None:
    """Whatever becomes of it."""
    with contextlib.suppress(MoveworksError):
        await call


async def test_without_telemetry_nothing_is_exported(sandbox: Sandbox, seen: Seen) -> None:
    """`telemetry=False`; instrumentation of aiohttp keeps still all the same."""
    instrumentor = AioHttpClientInstrumentor()
    instrumentor.instrument(tracer_provider=seen.provider)
    try:
        async with aiohttp.ClientSession() as http:
            async with client_of(sandbox, telemetry=False, http=http) as client:
                assert client.sender.telemetry is None
                await client.messages.send_bulk("hi", ["a@x.test"])
            assert seen.spans() == []
            await http.get(f"{sandbox.url}/elsewhere")
        assert [one.name for one in seen.spans()] == ["GET"]
    finally:
        instrumentor.uninstrument()


def test_telemetry_is_none_or_false() -> None:
    """There is no other to choose."""
    with pytest.raises(ConfigurationError, match="telemetry must be False, or None"):
        MoveworksClient(ApiKey("k"), telemetry=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("missing", ["opentelemetry", "opentelemetry.metrics"])
def test_without_the_extra_there_is_none(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor with a part of it."""
    for name in [one for one in sys.modules if one.startswith("moveworks_shift_async.telemetry.o")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [one for one in sys.modules if one.startswith("moveworks_shift_async.telemetry.m")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    assert telemetry_of(None, SYSTEM_CLOCK) is None


def test_where_opentelemetry_is_not_loaded_nothing_of_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is looked for among what is loaded already."""
    monkeypatch.delitem(sys.modules, "opentelemetry.context")
    with others_silenced():
        assert "opentelemetry.context" not in sys.modules


@pytest.mark.parametrize("broken", ["get_tracer", "get_meter_provider"])
async def test_a_provider_that_raises_takes_no_client_away(
    sandbox: Sandbox, seen: Seen, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is logged, and the client sends without being traced."""

    def refuse(*_: object) -> None:
        raise RuntimeError("no provider")

    monkeypatch.setattr(trace if broken == "get_tracer" else metrics, broken, refuse)
    async with client_of(sandbox) as client:
        assert (await client.messages.send("hi", ["a@x.test"])).attempts == 1
    assert seen.spans() == []


class Broken(SpanProcessor):
    """What an application may have put into its provider."""

    def on_start(self, *_: object, **__: object) -> None:
        """Raise."""
        raise ValueError("boom")

    def on_end(self, span: ReadableSpan) -> None:
        """Raise."""
        raise ValueError("boom")


async def test_a_processor_that_raises_changes_nothing(sandbox: Sandbox, seen: Seen) -> None:
    """Of a call, a stream, and a bulk send's account."""
    seen.provider.add_span_processor(Broken())
    async with client_of(sandbox) as client:
        assert (await client.messages.send("hi", ["a@x.test"])).attempts == 1
        assert (await client.messages.send_bulk("hi", ["a@x.test"])).accepted == 1
    assert counted(seen) == {"accepted": 2}


@pytest.mark.parametrize(
    ("fault", "outcome"), [("processed-then-reset", "unknown"), ("forbidden", "rejected")]
)
async def test_a_call_that_fails_says_what_is_known(
    sandbox: Sandbox, seen: Seen, fault: str, outcome: str
) -> None:
    """In its span and in the counter."""
    sandbox.faults.script("send", fault)
    async with client_of(sandbox) as client:
        with pytest.raises(MoveworksError) as raised:
            await client.messages.send("hi", ["a@x.test"])
    call = seen.spans(SpanKind.INTERNAL)[-1]
    assert attributes(call)["error.type"] == type(raised.value).__name__
    assert counted(seen) == {outcome: 1}


async def test_a_cancelled_call_says_what_is_known(seen: Seen) -> None:
    """Unknown where its request was out."""
    out = asyncio.Event()

    async def never(_: object) -> Any:
        out.set()
        await asyncio.Event().wait()

    client = MoveworksClient(ApiKey("k"), transport=FakeTransport([never]))
    async with client:
        task = asyncio.create_task(client.messages.send("hi", ["a@x.test"]))
        await out.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert counted(seen) == {Outcome.UNKNOWN.value: 1}


async def test_a_transport_of_the_callers_is_traced_the_same(seen: Seen) -> None:
    """Spans are of attempts, whoever sends them."""
    client = MoveworksClient(ApiKey("k"), transport=FakeTransport([answer(202)]))
    async with client:
        await client.messages.send("hi", ["a@x.test"])
    (attempt,) = seen.spans(SpanKind.CLIENT)
    assert attributes(attempt)["server.port"] == 443
    json.loads(attempt.to_json())
