"""Pages served on this machine, over real sockets: whom they obey, and how they are kept live."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest
from aiohttp import web
from attrs import define, field

from moveworks_shift_async import local_page
from moveworks_shift_async.local_page import Feed, foreign, headers

from .fakes import until


@define(eq=False)
class Page:
    """A server with a page to read, one to change things with, and a feed."""

    number: int = 0
    #: Added to each event.
    filling: str = ""
    url: str = ""
    feed: Feed = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.feed = Feed(state=lambda: json.dumps([self.number, self.filling]))

    def change(self) -> None:
        """One more."""
        self.number += 1
        self.feed.changed()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """As a page does."""
        if why := foreign(request):
            return web.Response(status=403, text=why)
        if request.path == "/feed":
            return await self.feed.serve(request)
        return web.Response(text=str(self.number), headers=headers())


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """It runs, and ends although browsers listen."""
    page = Page()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", page.answer)
    app.on_shutdown.append(lambda _: _end(page.feed))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    page.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield page
    await runner.cleanup()


async def _end(feed: Feed) -> None:
    feed.close()


async def ask(page: Page, method: str, sent: dict[str, str]) -> int:
    """The status of a request with these headers."""
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, page.url, headers=sent) as answer,
    ):
        return answer.status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{port}", 200),
        ("localhost:{port}", 200),
        ("sandbox.localhost", 200),
        ("[::1]:{port}", 200),
        ("10.0.0.7:80", 200),  # the machine's own number, or a tunnel's
        ("evil.example:{port}", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("evil.example#localhost", 403),
        ("localhost@evil.example", 403),
        ("[localhost", 403),
        ("", 403),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_name_that_somebody_pointed_here_is_refused(
    page: Page, host: str, status: int, method: str
) -> None:
    """DNS rebinding: the browser takes us for the page's own server, and sends its name."""
    port = page.url.rpartition(":")[2]
    assert await ask(page, method, {"Host": host.format(port=port)}) == status


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({}, 200),  # no browser
        ({"Origin": "{url}"}, 200),
        ({"Origin": "{url}", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://localhost:3000"}, 403),  # another server of this machine
        ({"Origin": "http://127.0.0.1"}, 403),
        ({"Origin": "null"}, 403),  # a file, or a sandboxed frame
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
async def test_another_page_changes_nothing(page: Page, sent: dict[str, str], status: int) -> None:
    """Whatever the method; reading is left to the browser, which gives a foreign page nothing."""
    given = {name: value.format(url=page.url) for name, value in sent.items()}
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert await ask(page, method, given) == status
    assert await ask(page, "GET", given) == 200


def test_the_policy_lets_nothing_in() -> None:
    """But what the same server gives; a page may say otherwise of single things."""
    usual = headers()["Content-Security-Policy"].split("; ")
    assert "default-src 'none'" in usual
    assert "script-src 'self'" in usual
    assert not [rule for rule in usual if "unsafe" in rule or "http" in rule]
    other = headers({"style-src": "'unsafe-inline'", "sandbox": ""})["Content-Security-Policy"]
    assert {"style-src 'unsafe-inline'", "sandbox"} < {*other.split("; ")}


async def events(answer: aiohttp.ClientResponse) -> AsyncIterator[int]:
    """The number in each event."""
    async for line in answer.content:
        if line.startswith(b"data: "):
            yield json.loads(line[6:])[0]


@contextlib.asynccontextmanager
async def listening(page: Page) -> AsyncIterator[aiohttp.ClientResponse]:
    """A browser's `EventSource`."""
    async with (
        aiohttp.ClientSession(read_bufsize=2**20) as http,
        http.get(page.url + "/feed") as answer,
    ):
        assert answer.content_type == "text/event-stream"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        yield answer


async def test_changes_are_put_together(page: Page) -> None:
    """Who listens hears the state at once, and then of a thousand changes in a few events."""
    page.change()  # nobody listens
    async with listening(page) as answer:
        heard = events(answer)
        assert await anext(heard) == 1
        for _ in range(1000):
            page.change()
        assert await anext(heard) == 1001
        page.feed.changed()  # and it is the same
        page.feed.changed()
        await asyncio.sleep(2 * local_page._PACE)
        page.change()
        assert await anext(heard) == 1002


@contextlib.asynccontextmanager
async def stalled(page: Page) -> AsyncIterator[socket.socket]:
    """A browser that takes nothing, while event after event is there for it."""
    page.filling = "x" * 50_000
    with socket.socket() as browser:
        browser.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        browser.connect(("127.0.0.1", int(page.url.rpartition(":")[2])))
        browser.sendall(b"GET /feed HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(lambda: page.feed._listeners)
        (transport,) = page.feed._listeners

        def behind() -> bool:
            page.change()
            return local_page._is_behind(transport)

        await until(behind)
        yield browser


async def test_a_slow_browser_gets_the_newest_state(page: Page) -> None:
    """Not all that it has missed: nothing is kept for it."""
    async with stalled(page) as browser:
        before = page.number
        for _ in range(20):
            page.change()
            page.feed._tell()
            await asyncio.sleep(0)
        loop, got = asyncio.get_running_loop(), b""
        browser.setblocking(False)
        last = b"data: [%d" % page.number
        while last not in got:
            got += await loop.sock_recv(browser, 2**20)
    numbers = [int(number) for number in re.findall(rb"data: \[(\d+)", got)]
    assert [number for number in numbers if number > before] == [page.number]


async def test_a_browser_that_takes_nothing_is_let_go(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection is closed, and the feed forgets it."""
    monkeypatch.setattr(local_page, "_PATIENCE", 0.01)
    async with stalled(page):
        await until(lambda: not page.feed._listeners)


async def test_a_browser_that_went_is_noticed(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the next word to it, and there is one without news as well."""
    monkeypatch.setattr(local_page, "_HEARTBEAT", 0.01)
    async with listening(page) as answer:
        assert await anext(events(answer)) == 0
        assert await answer.content.readline() == b"\n"
        assert await answer.content.readline() == b":\n"
    await until(lambda: not page.feed._listeners)


@pytest.mark.parametrize("slow", [False, True])
async def test_the_server_closes_although_somebody_listens(page: Page, slow: bool) -> None:
    """A browser that is up to date sees an end; one that takes nothing is not waited for."""
    way: Callable[[Page], contextlib.AbstractAsyncContextManager[object]] = listening
    async with (stalled if slow else way)(page) as browser:
        page.feed.changed()
        page.feed.close()
        if isinstance(browser, aiohttp.ClientResponse):
            assert (await browser.read()).endswith(b"\n\n")
        await until(lambda: not page.feed._listeners)
