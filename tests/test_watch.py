"""A job as a page that lives, over HTTP: what it says, whom it obeys, and what it outlives."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest
from attrs import define
from yarl import URL

from moveworks_shift_async import Job
from moveworks_shift_async.clock import SYSTEM_CLOCK, SystemClock
from moveworks_shift_async.errors import JournalError
from moveworks_shift_async.jobs.records import Command
from moveworks_shift_async.jobs.report.account import read_account
from moveworks_shift_async.jobs.report.page import render_page
from moveworks_shift_async.jobs.store.names import store_of
from moveworks_shift_async.sandbox import Sandbox
from moveworks_shift_async.watch import look
from moveworks_shift_async.watch.look import Watched
from moveworks_shift_async.watch.server import HOST, PageServer

from . import journals, proxy
from .fakes import until
from .fleet import client_of
from .test_jobs_page import hostile


@define
class Stopped(SystemClock):
    """A clock on the wall that shows one moment; time goes on all the same."""

    at: datetime = datetime(2026, 6, 1, tzinfo=UTC)

    def utcnow(self) -> datetime:
        """That moment."""
        return self.at


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """People are patient, tests are not."""
    monkeypatch.setattr(look, "_EVERY", 0.02)
    monkeypatch.setattr(look, "_COSTS", 0.1)


@pytest.fixture(params=["sqlite", "postgres"])
def name(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a job is going to be, in each kind of store."""
    if request.param == "sqlite":
        return str(tmp_path / "tonight.journal")
    return f"{request.getfixturevalue('postgres')}#{uuid4()}"


async def a_job(name: str, chunks: int = 6) -> Job:
    """Planned: so many requests, each with a text of its own."""
    people = [{"email": f"p{n}@example.com", "n": str(n)} for n in range(chunks)]
    await Job.plan(name, people, template="Floor {n}", legacy=True)
    return Job(name)


async def run(name: str, sandbox: Sandbox, *, resume: bool = False) -> None:
    """A run of it in this process."""
    async with client_of(sandbox.url, sandbox.api_key) as client:
        job = Job(name)
        await (job.resume(client) if resume else job.run(client))


@define(eq=False)
class Browser:
    """What asks for the page."""

    http: aiohttp.ClientSession
    server: PageServer

    async def page(self) -> str:
        """As it is now."""
        async with self.http.get(self.server.url) as answer:
            assert answer.status == 200
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
            return await answer.text()

    async def press(self, button: str, **headers: str) -> int:
        """The status of the answer."""
        url = f"{self.server.url}{button}"
        async with self.http.post(url, headers=headers, allow_redirects=False) as answer:
            return answer.status

    async def shows(self, words: str, *, there: bool = True) -> str:
        """The page, once it says this, or does no more."""
        while (words in (found := await self.page())) is not there:  # noqa: ASYNC110 - of others
            await asyncio.sleep(0.02)
        return found


@asynccontextmanager
async def watching(name: str, *, read_only: bool = False) -> AsyncIterator[Browser]:
    """The page of a job is served."""
    server = PageServer(Watched(store_of(name), not read_only), read_only=read_only)
    await server.open()
    try:
        async with aiohttp.ClientSession() as http:
            yield Browser(http, server)
    finally:
        await server.close()


# --- what it says -------------------------------------------------------------------------


async def test_the_page_of_a_finished_job_is_its_report(name: str, sandbox: Sandbox) -> None:
    """Byte for byte, but for the moment of which it is; and nobody looks again."""
    job, clock = await a_job(name), Stopped()
    await run(name, sandbox)
    watched = Watched(store_of(name), True, clock)
    await watched.look()
    async with store_of(name).reading() as store:
        assert watched.page.decode() == render_page(await read_account(store, clock=clock))
    assert watched.finished
    job.remove()
    await watched.look()
    assert watched.trouble is None
    assert b"<script" not in watched.page
    assert b"<button" not in watched.page


async def test_a_job_is_seen_from_before_its_begin_to_its_end(name: str, sandbox: Sandbox) -> None:
    """The same page: not begun, under way, paused, and at the end the report."""
    await a_job(name, 400)
    async with watching(name) as browser:
        page = await browser.page()
        assert "Nothing was sent yet. The job is for 400 people." in page
        assert "<form" not in page  # nothing can be paused
        assert await browser.press("pause") == 409
        running = asyncio.create_task(run(name, sandbox))
        page = await browser.shows("under way</p>")
        assert "Requests against the limit" in page
        assert f"process {os.getpid()} on " in page
        assert await browser.press("pause") == 303
        page = await browser.shows("Paused since ")
        assert ">Go on<" in page
        told = sandbox.stats().accepted
        assert await browser.press("go-on") == 303
        await until(lambda: sandbox.stats().accepted > told)
        await running
        assert "All 400 people were accepted for delivery." in await browser.shows("finished</p>")
        assert "p1@example.com" not in page
        assert await browser.press("stop") == 409


async def test_stop_reaches_the_run(name: str, sandbox: Sandbox) -> None:
    """It ends; the page stays, and says how to go on."""
    job = await a_job(name, 800)
    async with watching(name) as browser:
        running = asyncio.create_task(run(name, sandbox))
        await until(lambda: sandbox.stats().accepted > 8)
        assert await browser.press("stop") == 303
        await running
        page = await browser.shows("not finished</p>")
        assert "moveworks-shift resume " in page
        assert "Who has worked on it" in page
        assert not (await job.account()).finished


async def test_workers_are_told_with_their_leases(postgres: str, sandbox: Sandbox) -> None:
    """A database waits for each of them so long."""
    name = f"{postgres}#{uuid4()}"
    await a_job(name, 200)
    async with watching(name, read_only=True) as browser:
        running = asyncio.create_task(run(name, sandbox))
        page = await browser.shows("under way</p>")
        assert "lease until" in page
        await running


# --- whom it obeys ------------------------------------------------------------------------


async def test_without_the_word_of_the_address_there_is_nothing(tmp_path: Path) -> None:
    """Neither to see nor to press."""
    name = str(tmp_path / "job")
    await a_job(name)
    async with watching(name) as browser:
        root = browser.server.url.rsplit("/", 2)[0]
        word = browser.server.url.split("/")[-2]
        assert len(word) >= 20
        for path in ("/", "/x/", f"/{word[:-1]}/", "/x/live.js", "/x/events", f"/{word}"):
            async with browser.http.get(root + path) as answer:
                assert answer.status == 404
                assert "Floor" not in await answer.text()
        async with browser.http.post(f"{root}/x/stop") as answer:
            assert answer.status == 404


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:3000"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "evil.example"}, 403),
        ({}, 409),  # nobody runs it
    ],
)
async def test_another_page_presses_no_button(
    tmp_path: Path, sent: dict[str, str], status: int
) -> None:
    """Not even one that knows the address."""
    name = str(tmp_path / "job")
    await a_job(name)
    async with watching(name) as browser:
        for button in ("pause", "go-on", "stop"):
            assert await browser.press(button, **sent) == status


async def test_a_page_to_read_has_no_buttons_and_no_way_to_press_them(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    """What is not there cannot be asked for."""
    name = str(tmp_path / "job")
    await a_job(name, 400)
    async with watching(name, read_only=True) as browser:
        running = asyncio.create_task(run(name, sandbox))
        page = await browser.shows("under way</p>")
        assert "<button" not in page
        assert "<form" not in page
        for button in ("pause", "go-on", "stop"):
            assert await browser.press(button) == 404
        await running


# --- what it outlives ---------------------------------------------------------------------


async def test_a_journal_that_is_moved_away_is_missed_and_found_again(tmp_path: Path) -> None:
    """The last page stays, with a word about it and without buttons."""
    path = tmp_path / "job"
    await a_job(str(path))
    async with watching(str(path)) as browser:
        path.rename(tmp_path / "elsewhere")
        page = await browser.shows("What stands here may be old.")
        assert f"there is no journal {path}" in page
        assert "The job is for 6 people." in page
        assert await browser.press("stop") == 409
        (tmp_path / "elsewhere").rename(path)
        await browser.shows("What stands here may be old.", there=False)


async def test_another_job_in_its_place_is_not_taken_for_it(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    """It is neither shown nor paused by a button that was meant for the first."""
    path, other = tmp_path / "job", tmp_path / "other"
    await a_job(str(path))
    await a_job(str(other), 900)
    async with watching(str(path)) as browser:
        shutil.move(other, path)
        running = asyncio.create_task(run(str(path), sandbox))
        page = await browser.shows("is another job&#39;s by now, planned ")
        assert "The job is for 6 people." in page
        assert await browser.press("pause") == 409
        await running


async def test_a_database_that_is_away_is_missed_and_found_again(
    postgres: str, sandbox: Sandbox
) -> None:
    """As with a file."""
    async with proxy.before(postgres) as (between, url):
        name = f"{url}#{uuid4()}"
        await a_job(name)
        async with watching(name) as browser:
            between.closed = True
            between.cut()
            page = await browser.shows("What stands here may be old.")
            assert "The job is for 6 people." in page
            between.closed = False
            await run(name, sandbox)
            await browser.shows("All 6 people were accepted")


async def test_what_cannot_be_read_at_first_is_an_error(tmp_path: Path) -> None:
    """A wrong name is nothing to wait for."""
    with pytest.raises(JournalError, match="there is no journal"):
        await Watched(store_of(str(tmp_path / "job")), True).look()


async def test_what_is_no_http_is_not_written_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A browser tries HTTPS first; and its address may stand in what is broken."""
    name = str(tmp_path / "job")
    await a_job(name)
    async with watching(name) as browser:
        url = URL(browser.server.url)
        for broken in (
            b"\x16\x03\x01\x02\x00\x01",
            f"GET {url.path}\xe4 HTTP/1.1\r\n\r\n".encode(),
        ):
            reader, writer = await asyncio.open_connection(HOST, url.port)
            writer.write(broken)
            assert (await reader.read()).startswith(b"HTTP/1.0 400 ")
            writer.close()
    assert not caplog.records


def is_stuck(server: PageServer) -> bool:
    """An answer waits until somebody takes it."""
    runner = server._runner
    assert runner is not None
    assert runner.server is not None
    waiting = [one.transport for one in runner.server.connections if one.transport is not None]
    return any(one.get_write_buffer_size() > 2**16 for one in waiting)


async def test_whoever_takes_no_answer_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """A browser asks and asks and reads nothing, and another never ends what it sends."""
    name = str(tmp_path / "job")
    await a_job(name)
    async with watching(name) as browser:
        url = URL(browser.server.url)
        head = f"{url.path} HTTP/1.1\r\nHost: {url.authority}\r\n"
        port = (HOST, url.port or 0)
        with socket.create_connection(port) as deaf, socket.create_connection(port) as endless:
            deaf.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    deaf.send(f"GET {head}\r\n".encode())
            endless.sendall(f"POST {head}Content-Length: 9\r\n\r\n".encode())
            await until(lambda: is_stuck(browser.server))
            async with asyncio.timeout(40):
                await browser.server.close()


# --- what it costs ------------------------------------------------------------------------


async def test_nobody_looks_while_no_browser_does(tmp_path: Path) -> None:
    """And a browser that listens hears of what changes."""
    name = str(tmp_path / "job")
    await a_job(name)
    async with watching(name) as browser:
        looked = browser.server.watched._looked_at
        await asyncio.sleep(0.2)
        assert browser.server.watched._looked_at == looked
        async with browser.http.get(f"{browser.server.url}events") as feed:
            assert feed.content_type == "text/event-stream"
            await until(lambda: browser.server.watched._looked_at > looked)
            assert await feed.content.readline() == b"data: 1\n"
        await until(lambda: not browser.server._listening)


async def test_a_look_that_takes_long_is_taken_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten million people are not counted every second."""
    monkeypatch.setattr(look, "_COSTS", 10.0)
    name = str(tmp_path / "job")
    await a_job(name)
    watched = Watched(store_of(name), True, SYSTEM_CLOCK)
    await watched.look()
    read = Watched._read

    async def slowly(self: Watched) -> look._Seen:
        await asyncio.sleep(0.1)
        return await read(self)

    monkeypatch.setattr(Watched, "_read", slowly)
    await watched.look()
    assert 1.0 <= watched.wait <= look._MOST


async def test_a_command_to_a_job_that_nobody_runs_is_answered(tmp_path: Path) -> None:
    """In words that the page shows."""
    name = str(tmp_path / "job")
    await a_job(name)
    watched = Watched(store_of(name), True)
    await watched.look()
    assert await watched.ask(Command.STOP) == "No process runs the job now."
    assert await watched.ask(Command.RUN) == "It is not paused."


async def test_nothing_foreign_is_more_than_text(tmp_path: Path) -> None:
    """Message, source, event, path, errors, and why a run has ended: the one script is our own."""
    watched = Watched(store_of(hostile(tmp_path / "a<b>").path), True)
    await watched.look()
    page = watched.page.decode()
    assert page.count("<script") == page.count('<script src="live.js" defer>') == 1
    assert "<img" not in page
    assert "eve@example.org" not in re.sub(r"<pre.*?</pre>", "", page, flags=re.DOTALL)


async def test_two_looks_of_an_idle_job_are_one_page(tmp_path: Path) -> None:
    """A browser is not told of what did not change."""
    watched = Watched(store_of(journals.troubled(tmp_path / "job").path), True)
    await watched.look()
    await watched.look()
    assert watched.version == 1
