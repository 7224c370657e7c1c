"""What `events.send` costs above the HTTP client that it uses.

With `--watching`, what it costs to be watched instead: nobody does, `on_attempt`, OpenTelemetry's
API without an SDK, and its SDK with exporters in memory, all against the first. Else:

Five clients post the same 500 recipients to the same server, one after the other, round by round:
the package with a list of the caller's, and with a chunk whose addresses were checked before, two
bare aiohttp loops and httpx. The bare ones post bytes encoded beforehand,
but for the second loop, which writes its JSON anew for each request, as the package has to. The
package uses no connection twice, so none of them does: each request pays for its own.

Two servers, in turn, each in a process of its own. The first reads the request and checks every
address, as the vendor says it does: the package's own sandbox. The second answers without looking,
so that nothing but the client takes time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from statistics import median
from typing import Any

import aiohttp
import httpx
from attrs import frozen
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from rich.table import Table

from moveworks_shift_async import ApiKey, MoveworksClient, RateLimit
from moveworks_shift_async.call import Call
from moveworks_shift_async.wire.moveworks import Content
from moveworks_shift_async.wire.recipients import CheckedRecipients

from .output import new_table, show
from .server import Server, answer_all, check_all, serving

EVENT = "7d9f7a54-3f9e-4c37-8a57-3b1a8f0f6a21"
KEY = "sandbox_api_key"
MESSAGE = "The VPN is down for maintenance tonight from 22:00 to 23:00."
PEOPLE = [f"first{n}.last{n}@example.com" for n in range(500)]
PATH = f"/rest/v1/events/{EVENT}/messages/send"
HEADERS = {
    "Authorization": f"Bearer {KEY}",
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Connection": "close",
}
# Never reached here: the gate counts, and nobody waits.
OPEN = RateLimit(requests=10_000_000, per=60.0)
WORKERS = 16
WARM_UP = 200


def encode() -> bytes:
    """The body that every client posts."""
    content = {"message": MESSAGE, "recipients": PEOPLE}
    return json.dumps(content, separators=(",", ":")).encode()


BODY = encode()
Send = Callable[[], Awaitable[object]]
Contender = Callable[[str], AbstractAsyncContextManager[Send]]


@frozen
class Round:
    """One client's round: requests a second, and CPU seconds of this process for one."""

    rate: float
    cpu: float


@asynccontextmanager
async def ours(url: str) -> AsyncIterator[Send]:
    """The package's `events.send`."""
    async with MoveworksClient(ApiKey(KEY), base_url=url, rate_limit=OPEN) as client:
        yield lambda: client.events.send(EVENT, MESSAGE, PEOPLE)


@asynccontextmanager
async def watched(url: str, **options: Any) -> AsyncIterator[Send]:
    """The same, with whoever watches."""
    client = MoveworksClient(ApiKey(KEY), base_url=url, rate_limit=OPEN, **options)
    async with client:
        yield lambda: client.events.send(EVENT, MESSAGE, PEOPLE)


@asynccontextmanager
async def with_sdk(url: str) -> AsyncIterator[Send]:
    """The same, traced and measured. Spans go in batches, as a program would have it."""
    spans, before = InMemorySpanExporter(), (trace.get_tracer, metrics.get_meter_provider)
    tracers, meters = TracerProvider(), MeterProvider([InMemoryMetricReader()])
    tracers.add_span_processor(BatchSpanProcessor(spans))
    # The process has one provider for good; the other contenders are to have none.
    trace.get_tracer = tracers.get_tracer  # type: ignore[assignment]
    metrics.get_meter_provider = lambda: meters
    try:
        async with watched(url) as send:
            yield send
    finally:
        trace.get_tracer, metrics.get_meter_provider = before
        tracers.shutdown()
        meters.shutdown()
    if not spans.get_finished_spans():
        raise RuntimeError("nothing was traced")


@asynccontextmanager
async def our_chunk(url: str) -> AsyncIterator[Send]:
    """What sends a chunk of a bulk send or of a job, whose addresses were checked before."""
    content, people = Content(event_id=EVENT, message=MESSAGE), CheckedRecipients.of(PEOPLE)
    async with MoveworksClient(ApiKey(KEY), base_url=url, rate_limit=OPEN) as client:
        yield lambda: client.sender.deliver(content, people, Call())


@asynccontextmanager
async def bare_aiohttp(url: str, body: Callable[[], bytes] = lambda: BODY) -> AsyncIterator[Send]:
    """A loop over aiohttp with the settings that the package uses."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=60.0, connect=10.0),
        headers=HEADERS,
    ) as session:

        async def send() -> bytes:
            async with session.post(url + PATH, data=body(), allow_redirects=False) as answer:
                answer.raise_for_status()
                return await answer.read()

        yield send


@asynccontextmanager
async def bare_httpx(url: str) -> AsyncIterator[Send]:
    """A loop over httpx that keeps no connection either."""
    async with httpx.AsyncClient(
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        timeout=httpx.Timeout(60.0, connect=10.0),
        headers=HEADERS,
        trust_env=False,
    ) as session:

        async def send() -> bytes:
            return (await session.post(url + PATH, content=BODY)).raise_for_status().content

        yield send


SERVERS = {
    "a server that reads and checks every address": check_all,
    "a server that answers without looking": answer_all,
}
CONTENDERS: dict[str, Contender] = {
    "moveworks_shift_async": ours,
    "the same, a chunk": our_chunk,
    "aiohttp, bare": bare_aiohttp,
    "aiohttp + json.dumps": partial(bare_aiohttp, body=encode),
    "httpx, bare": bare_httpx,
}
BASE = "aiohttp, bare"
WATCHED: dict[str, Contender] = {
    "nobody watches": partial(watched, telemetry=False),
    "on_attempt": partial(watched, telemetry=False, on_attempt=lambda attempt: None),
    "OpenTelemetry's API alone": watched,
    "SDK, exporters in memory": with_sdk,
}
WATCHED_BASE = "nobody watches"


async def send_all(send: Send, requests: int) -> None:
    """Send `requests` times through `WORKERS` loops."""
    left = iter(range(requests))

    async def work() -> None:
        for _ in left:
            await send()

    async with asyncio.TaskGroup() as group:
        for _ in range(WORKERS):
            group.create_task(work())


async def measure(contender: Contender, url: str, requests: int) -> Round:
    """One round with a new client, which has sent some requests before the clock starts."""
    async with contender(url) as send:
        await send_all(send, WARM_UP)
        wall, cpu = time.perf_counter(), time.process_time()
        await send_all(send, requests)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Round(requests / wall, cpu / requests)


def measure_all(
    contenders: dict[str, Contender], server: Server, rounds: int, requests: int
) -> dict[str, list[Round]]:
    """All clients in turn, so that a slow minute of the machine meets all of them."""
    found: dict[str, list[Round]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            found[name].append(asyncio.run(measure(contender, server.url, requests)))
            check(server.ask().answered, (WARM_UP + requests) * sum(map(len, found.values())))
    return found


def table(found: dict[str, list[Round]], base: str, server: str) -> Table:
    """Medians, their spread, and the medians of the ratios to `base` in the same round."""
    title = f"events.send, 500 recipients, gate open; {server}"
    headings = ("requests/s", "lowest..highest", "ratio", "CPU µs/request", "CPU ratio")
    result = new_table(title, "client", *headings)
    for name, rounds in found.items():
        result.add_row(name, *_cells(rounds, found[base]))
    return result


def _cells(rounds: Sequence[Round], base: Sequence[Round]) -> tuple[str, ...]:
    rates = [one.rate for one in rounds]
    pairs = list(zip(rounds, base, strict=True))
    return (
        f"{median(rates):,.0f}",
        f"{min(rates):,.0f}..{max(rates):,.0f}",
        f"{median(one.rate / other.rate for one, other in pairs):.2f}",
        f"{median(one.cpu for one in rounds) * 1e6:,.0f}",
        f"{median(one.cpu / other.cpu for one, other in pairs):.2f}",
    )


def check(answered: int, sent: int) -> None:
    """Refuse to print figures of requests that did not arrive, or arrived twice."""
    if answered != sent:
        raise RuntimeError(f"{sent} requests sent, {answered} answered by the server")


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each client")
    parser.add_argument("--requests", type=int, default=3000, help="requests in a round")
    parser.add_argument("--watching", action="store_true", help="what it costs to be watched")
    options = parser.parse_args()
    contenders, base = (WATCHED, WATCHED_BASE) if options.watching else (CONTENDERS, BASE)
    parts: list[Table | str] = []
    for name, target in SERVERS.items():
        with serving(target) as server:
            before = server.ask()
            found = measure_all(contenders, server, options.rounds, options.requests)
            after = server.ask()
        cost = (after.cpu - before.cpu) / after.answered * 1e6
        parts += [table(found, base, name), f"the server took {cost:.0f} µs CPU a request\n"]
    parts.append(
        f"{options.rounds} rounds of {options.requests} requests each, {WORKERS} at a time,"
        f" {len(BODY):,} bytes; every request was answered once"
    )
    libraries = ("opentelemetry-sdk",) if options.watching else ("httpx", "tenacity", "attrs")
    show("overhead" + " --watching" * options.watching, ("aiohttp", *libraries), *parts)


if __name__ == "__main__":
    main()
