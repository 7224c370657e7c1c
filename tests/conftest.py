"""Fixtures that several test modules share."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
from aioresponses import aioresponses
from hypothesis import HealthCheck, settings

from moveworks_shift_async.jobs.store.postgres.schema import make_tables
from moveworks_shift_async.limits import process
from moveworks_shift_async.sandbox import Sandbox
from moveworks_shift_async.testing import short_waits

from . import postgres as postgres_server
from .commands import STARTED
from .fakes import FakeClock

# An example that takes long on a busy machine is no failure, nor is one that is slow to be made.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

pytest_plugins = ("pytester",)  # for the tests of our own plugin

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def begin_at_once(loop: asyncio.AbstractEventLoop) -> None:
    """Let tasks run to their first wait where they are made (Python 3.12 and later)."""

    def task(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        # Not asyncio's own factory: it takes uvloop's `eager_start` from Python 3.13.3 on only.
        return asyncio.Task(coro, loop=loop, **options | {"eager_start": True})

    loop.set_task_factory(task)


def eager_loop() -> asyncio.AbstractEventLoop:
    """A loop whose tasks run to their first wait when they are made."""
    loop = asyncio.new_event_loop()
    begin_at_once(loop)
    return loop


def uvloop_loop() -> asyncio.AbstractEventLoop:
    """A loop of uvloop, which many applications run."""
    loop: asyncio.AbstractEventLoop = importlib.import_module("uvloop").new_event_loop()
    return loop


LOOPS: Mapping[str, LoopFactory] = {
    "asyncio": asyncio.new_event_loop,
    "eager": eager_loop,
    "uvloop": uvloop_loop,
}


def pytest_asyncio_loop_factories() -> Mapping[str, LoopFactory]:
    """The loop of the async tests, by TEST_EVENT_LOOP: `asyncio`, `eager` or `uvloop`."""
    name = os.environ.get("TEST_EVENT_LOOP", "asyncio")
    return {name: LOOPS[name]}


@pytest.fixture(autouse=True)
def machine_time() -> Iterator[None]:
    """Take back the clock that a test with short waits put forward: other processes have none."""
    yield
    short_waits.AHEAD.seconds = 0.0


@pytest.fixture
def clock() -> FakeClock:
    """A clock that the test sets."""
    return FakeClock()


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Both vendors on a loopback port, with a limit that does not bind."""
    async with Sandbox(limit=100_000, window=1.0) as running:
        yield running


@pytest.fixture(autouse=True)
def own_gates() -> Iterator[None]:
    """Each test starts with no gate of another test in the process."""
    process._gates.clear()
    yield
    process._gates.clear()


@pytest.fixture
async def _end_processes() -> AsyncIterator[None]:
    yield
    for started in STARTED:
        if started.returncode is None:
            started.kill()
            await started.wait()
        started._transport.close()  # type: ignore[attr-defined] # else its pipes are left open
    STARTED.clear()


@pytest.fixture(autouse=True)
def no_process_is_left(request: pytest.FixtureRequest) -> None:
    """A test that fails ends what it has started."""
    if inspect.iscoroutinefunction(request.function):
        request.getfixturevalue("_end_processes")


@pytest.fixture(autouse=True, scope="session")
def signals_are_heard() -> None:
    """Commands inherit what the tests were started with, and `nohup` and `&` ignore signals."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True, scope="session")
def no_state_of_mine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Commands keep their gate in a folder of the tests, not in that of who runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


class _ClientResponse(aiohttp.ClientResponse):
    """aioresponses 0.7.9 does not pass the `stream_writer` that aiohttp 3.14 asks for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", Mock())
        try:
            super().__init__(*args, **kwargs)
        except TypeError:  # aiohttp before 3.14 does not know it
            kwargs.pop("stream_writer")
            super().__init__(*args, **kwargs)


@pytest.fixture
def mocked_http(monkeypatch: pytest.MonkeyPatch) -> Iterator[aioresponses]:
    """aioresponses, with answers that today's aiohttp accepts."""
    with aioresponses() as mocked:
        add = partial(mocked.add, response_class=_ClientResponse)
        monkeypatch.setattr(mocked, "add", add)
        yield mocked


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a database with our tables, which all tests of this run share."""
    url = postgres_server.shared(_folder_of_run(tmp_path_factory.getbasetemp()))
    with ThreadPoolExecutor(1) as elsewhere:  # a test that asks for it may run in a loop here
        elsewhere.submit(asyncio.run, make_tables(url)).result()
    return url


def _folder_of_run(folder: Path) -> Path:
    return folder.parent if folder.name.startswith("popen-") else folder


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End what the run has started."""
    if not hasattr(session.config, "workerinput"):
        factory = getattr(session.config, "_tmp_path_factory", None)
        if factory is not None:
            postgres_server.end(factory.getbasetemp())
