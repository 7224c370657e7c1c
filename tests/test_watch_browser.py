"""The live page in Chromium, beside a real job: a process that is paused, killed and resumed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from attrs import define
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from moveworks_shift_async import Job
from moveworks_shift_async.sandbox import Sandbox

from . import browsers
from .browsers import CONTRAST, CONTRASTS, logged, look_as
from .commands import environment, start, until

#: What the page shows, as one line.
TEXT = "return document.body.innerText.replace(/\\s+/g, ' ')"


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    """A headless Chromium."""
    yield from browsers.started()


@pytest.fixture
async def slow() -> AsyncIterator[Sandbox]:
    """A sandbox that takes its time: there is always a request in flight."""
    async with Sandbox(limit=100_000, window=1.0, latency=0.5) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgres"])
def name(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a job is going to be, in each kind of store."""
    if request.param == "sqlite":
        return str(tmp_path / "tonight.journal")
    return f"{request.getfixturevalue('postgres')}#{uuid4()}"


@define(eq=False)
class Page:
    """The page of a job that a command serves, in a browser."""

    browser: webdriver.Chrome
    command: asyncio.subprocess.Process
    url: str

    @classmethod
    async def opened(cls, browser: webdriver.Chrome, name: str, *options: str) -> Page:
        """Begin the command, and open the address that it prints."""
        command = await start("watch", name, *options, env=environment())
        assert command.stdout is not None
        line = (await command.stdout.readline()).decode()
        found = re.search(r"http://127\.0\.0\.1:\d+/\S+/", line)
        assert found, line
        look_as(browser, width=1280, scheme="light")
        logged(browser, "browser")  # of the last test's page, whose command has ended
        await asyncio.to_thread(browser.get, found[0])
        return cls(browser, command, found[0])

    async def run(self, script: str, *given: object) -> Any:
        """What a script returns."""
        return await asyncio.to_thread(self.browser.execute_script, script, *given)

    async def shows(self, words: str, *, there: bool = True) -> str:
        """Its text, once it says this, or does no more."""
        while (words in (found := await self.run(TEXT))) is not there:  # noqa: ASYNC110 - of others
            await asyncio.sleep(0.05)
        return str(found)

    async def press(self, keys: str) -> None:
        """Where the focus is."""
        await asyncio.to_thread(self.browser.switch_to.active_element.send_keys, keys)

    async def focus(self, element: str) -> None:
        """Go there."""
        await self.run("document.querySelector(arguments[0]).focus()", element)

    async def focused(self) -> str:
        """The name of what has the focus."""
        return str(await self.run("return document.activeElement.id"))

    async def ended(self) -> int:
        """End the command by Ctrl-C; its exit code."""
        self.command.terminate()
        return await self.command.wait()


def limited(sandbox: Sandbox) -> dict[str, str]:
    """A user whose limit does not bind."""
    return environment(sandbox, MOVEWORKS_REQUESTS_PER_MINUTE="100000")


async def a_job(name: str, chunks: int) -> Job:
    """Planned: so many requests, each with a text of its own."""
    people = [{"email": f"p{n}@example.com", "n": str(n)} for n in range(chunks)]
    await Job.plan(name, people, template="Floor {n}", legacy=True)
    return Job(name)


async def told_more(sandbox: Sandbox) -> None:
    """Wait until somebody else is told."""
    told = sandbox.stats().accepted
    await until(lambda: sandbox.stats().accepted > told)


async def test_a_job_is_paused_killed_and_resumed_while_the_page_is_open(
    browser: webdriver.Chrome, name: str, slow: Sandbox, tmp_path: Path
) -> None:
    """One page all the while, by keyboard; at its end it is the report."""
    job = await a_job(name, 600)
    page = await Page.opened(browser, name)
    assert "Nothing was sent yet" in await page.shows("not begun")
    await page.run("window.first = true")
    # A database waits for a dead process as long as its lease.
    lease = ("--lease", "8") if "#" in name else ()
    run = await start("run", name, "--yes", *lease, env=limited(slow))
    await page.shows("under way")
    await page.focus("#hold")
    await page.press(Keys.ENTER)
    await page.shows("Paused since")
    assert await page.focused() == "hold"
    assert (await job.account()).paused
    await page.press(Keys.ENTER)
    await page.shows("under way")
    assert await page.focused() == "hold"
    await told_more(slow)
    run.kill()
    await run.wait()
    shown = await page.shows("not finished")
    assert "Who has worked on it" in shown
    assert "gone without a word" in shown
    assert "Decide about" in shown
    on = await start("resume", name, "--unknown", "skip", env=limited(slow))
    await on.wait()
    # The page is the report in the end, and so is what was changed in place.
    while await page.run("return !!document.querySelector('[data-live]')"):  # noqa: ASYNC110 - of others
        await asyncio.sleep(0.05)
    assert await page.run("return window.first")
    assert (await page.run(TEXT)).startswith("finished ")
    await job.write_page(tmp_path / "report.html")
    inside = "return document.querySelector('main').innerHTML"
    live = await page.run(inside)
    await asyncio.to_thread(browser.get, (tmp_path / "report.html").as_uri())
    assert as_of_then(live) == as_of_then(await page.run(inside))
    assert [entry for entry in logged(browser, "browser") if entry["level"] == "SEVERE"] == []
    assert await page.ended() == 0


def as_of_then(page: str) -> str:
    """Without the moment of which it is."""
    return re.sub(r"As of [^.]*\.", "", page)


async def test_stop_takes_two_steps_and_reaches_the_process(
    browser: webdriver.Chrome, tmp_path: Path, slow: Sandbox
) -> None:
    """What is open stays open while the page changes; then the process ends."""
    name = str(tmp_path / "job")
    await a_job(name, 2000)
    page = await Page.opened(browser, name)
    run = await start("run", name, "--yes", env=limited(slow))
    await page.shows("under way")
    await page.focus("#ending summary")
    await page.press(Keys.ENTER)
    version = await page.run("return document.querySelector('footer').innerText")
    while await page.run("return document.querySelector('footer').innerText") == version:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    assert await page.run("return document.querySelector('#ending').open")
    await page.press(Keys.TAB)
    assert await page.focused() == "stop"
    await page.press(Keys.ENTER)
    assert await run.wait() == 3
    shown = await page.shows("not finished")
    assert "can go on where it ended" in shown
    assert await page.run("return document.querySelector('#hold')") is None
    said = await page.run("return document.querySelector('#said').innerText")
    assert said.startswith("Not finished. ")


async def test_a_page_whose_command_has_ended_says_so(
    browser: webdriver.Chrome, tmp_path: Path
) -> None:
    """What stands there is as old as that."""
    name = str(tmp_path / "job")
    await a_job(name, 3)
    page = await Page.opened(browser, name, "--read-only")
    assert "served no more" not in await page.shows("not begun")
    assert await page.run("return document.querySelector('button')") is None
    assert await page.ended() == 0
    await page.shows("This page is served no more")


async def test_every_text_of_a_live_page_can_be_read(
    browser: webdriver.Chrome, tmp_path: Path, slow: Sandbox
) -> None:
    """In light and dark, narrow and wide: enough contrast, nothing to the side."""
    name = str(tmp_path / "job")
    await a_job(name, 1000)
    page = await Page.opened(browser, name)
    run = await start("run", name, "--yes", env=limited(slow))
    await page.shows("under way")
    await told_more(slow)
    await page.focus("#hold")
    await page.press(Keys.ENTER)
    await page.shows("Paused since")
    await can_be_read(page)
    await page.press(Keys.ENTER)
    await told_more(slow)
    run.kill()
    await run.wait()
    await page.shows("Decide about")
    await can_be_read(page)


async def can_be_read(page: Page) -> None:
    """All of it, in either scheme, on a telephone and on a desk."""
    for width in (390, 1280):
        for scheme in ("light", "dark"):
            look_as(page.browser, width=width, scheme=scheme)
            found = await page.run(CONTRASTS)
            assert [text for ratio, _, text in found if ratio < CONTRAST] == []
            assert [text for _, size, text in found if size < 9.5] == []
            assert await page.run("return document.documentElement.scrollWidth") == width


async def test_nothing_is_asked_of_anybody_else(browser: webdriver.Chrome, tmp_path: Path) -> None:
    """Not a picture, not a font, and no word of complaint."""
    name = str(tmp_path / "job")
    await a_job(name, 3)
    browser.get("about:blank")  # a page of before still asks for its server
    logged(browser, "performance")
    logged(browser, "browser")
    page = await Page.opened(browser, name)
    await page.shows("not begun")
    asked = re.findall(r'"url":"(http[^"]*)"', str(logged(browser, "performance")))
    assert [url for url in asked if not url.startswith(page.url)] == []
    assert logged(browser, "browser") == []
