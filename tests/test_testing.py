"""The pytest plugin, as the tests of an application use it."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from .test_public import python

PACKAGE = "moveworks_shift_async"
GUIDE = files(PACKAGE).joinpath("guide", "testing.md").read_text(encoding="utf-8")
#: Each block of Python is a test module, with its tests' names in it.
BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
#: pytest-asyncio warns of what an application has not decided.
ASYNCIO = ("-o", "asyncio_default_fixture_loop_scope=function")
NEITHER = ("-p", "no:asyncio", "-p", "no:anyio")
#: Which async plugin an application has -> its mark, and what it tells pytest.
PLUGINS = {
    "pytest-asyncio": ("@pytest.mark.asyncio", ("-p", "no:anyio", *ASYNCIO)),
    "anyio": ("@pytest.mark.anyio", ("-p", "no:asyncio")),
    "neither": ("@in_a_loop_of_its_own", NEITHER),
}
ASYNC = """
import asyncio, functools
import pytest
from moveworks_shift_async import MoveworksClient, Outcome

@pytest.fixture
def anyio_backend():
    return "asyncio"

def in_a_loop_of_its_own(test):
    return functools.wraps(test)(lambda **fixtures: asyncio.run(test(**fixtures)))

{mark}
@pytest.mark.moveworks(faults=["throttle", "processed-then-reset"])
async def test_what_was_told_is_shown(moveworks_env, moveworks_outbox, moveworks_sandbox):
    async with MoveworksClient.from_env() as client:
        report = await client.messages.send_bulk("Hi", ["ann@example.com"])
    assert (report.throttled, report.unknown) == (1, 1)
    assert [message.to for message in moveworks_outbox] == [("ann@example.com",)]
    assert moveworks_sandbox.stats().throttled == 1
"""
PLAIN = """
import asyncio
import pytest
from moveworks_shift_async import (
    ConnectionFailed, MoveworksClient, NotAuthenticated, ShiftClient, TokenUnavailable
)

EVENT = "15d8db87-9a06-4d5d-8e22-0b4e6c6c30a7"

async def tell(text, *people):
    async with MoveworksClient.from_env() as client:
        return await client.events.send(EVENT, text, people, context={"slots": {"n": "1"}})

def test_a_message_in_full(moveworks_env, moveworks_outbox):
    asyncio.run(tell("Hi", "Ann@example.com", "bob@example.com"))
    (message,) = moveworks_outbox
    assert message.to == ("Ann@example.com", "bob@example.com")
    assert message.message == "Hi"
    assert message.context == {"slots": {"n": "1"}}
    assert message.event_id == EVENT
    assert moveworks_outbox[0] is message
    assert moveworks_outbox[-1:] == [message]
    assert moveworks_outbox.to("ann@EXAMPLE.com") == [message]
    assert moveworks_outbox.to("an@example.com") == []
    assert "bob" not in repr(message) + repr(moveworks_outbox)
    moveworks_outbox.clear()
    assert len(moveworks_outbox) == 0

def test_each_test_has_its_own(moveworks_outbox, moveworks_sandbox):
    assert not moveworks_outbox
    assert not moveworks_sandbox.received().requests

@pytest.mark.parametrize("credentials", ["credentials", "api_key"])
def test_both_credentials_work(moveworks_sandbox, moveworks_outbox, credentials):
    async def main():
        found = getattr(moveworks_sandbox, credentials)
        async with MoveworksClient(found, base_url=moveworks_sandbox.url) as client:
            await client.auth.test()
            moveworks_sandbox.expire_tokens()
            await client.messages.send("Hi", ["ann@example.com"])
    asyncio.run(main())
    assert moveworks_outbox[0].event_id is None
    assert moveworks_outbox[0].context is None

def test_shift_is_there_too(moveworks_env, moveworks_sandbox):
    async def main():
        async with ShiftClient.from_env() as shift:
            await shift.messages.create(text="Hi", emails=["ann@example.com"])
        found = moveworks_sandbox.shift_credentials
        async with ShiftClient(found, base_url=moveworks_sandbox.url) as shift:
            await shift.messages.create(text="Hi", emails=["bob@example.com"])
    asyncio.run(main())
    assert moveworks_sandbox.received().shift == {"ann@example.com": 1, "bob@example.com": 1}

def test_faults_are_for_whom_they_are_asked(moveworks_env, moveworks_sandbox):
    moveworks_sandbox.faults.rate("send", "forbidden", 1.0)
    moveworks_sandbox.faults.clear()
    moveworks_sandbox.faults.script("token", "server-503-json", times=2)
    asyncio.run(tell("Hi", "ann@example.com"))
    assert moveworks_sandbox.stats().token_requests == 3
    assert moveworks_sandbox.url in repr(moveworks_sandbox)

def test_a_connection_is_refused(moveworks_env, moveworks_sandbox):
    moveworks_sandbox.stop_listening()
    with pytest.raises(ConnectionFailed):
        asyncio.run(tell("Hi", "ann@example.com"))
    moveworks_sandbox.start_listening()
    asyncio.run(tell("Hi", "ann@example.com"))

def test_the_environment_is_the_sandbox_alone(moveworks_env, monkeypatch):
    monkeypatch.setenv("MOVEWORKS_CLIENT_SECRET", "wrong")
    with pytest.raises(TokenUnavailable) as raised:
        asyncio.run(tell("Hi", "ann@example.com"))
    assert isinstance(raised.value.cause, NotAuthenticated)

@pytest.mark.moveworks(requests=2, per=30.0, faults=["forbidden"])
class TestMarkers:
    @pytest.mark.moveworks(faults=[])
    def test_the_nearest_wins(self, moveworks_env, moveworks_sandbox, moveworks_outbox):
        for _ in range(7):
            asyncio.run(tell("Hi", "ann@example.com"))
        assert len(moveworks_outbox) == 7
        assert moveworks_sandbox.stats().max_admitted_in_window == 2
        assert moveworks_sandbox.stats().throttled > 0
"""
WRONG = """
import pytest

@pytest.mark.moveworks(limit=3)
def test_a_word_that_it_does_not_take(moveworks_env):
    pass

@pytest.mark.moveworks(3)
def test_a_number_without_a_name(moveworks_env):
    pass

@pytest.mark.parametrize("given", [
    pytest.param(None, marks=pytest.mark.moveworks(**{name: value}))
    for name, value in [
        ("requests", 0), ("requests", "3"), ("requests", 1.5), ("requests", True),
        ("per", -1), ("per", float("nan")), ("per", float("inf")), ("per", "60"),
        ("faults", "forbidden"), ("faults", None), ("faults", [3]),
    ]
])
def test_a_value_that_is_none(moveworks_env, given):
    pass

@pytest.mark.moveworks(faults=["gremlin"])
def test_a_fault_that_there_is_not(moveworks_env):
    pass
"""
CLOCK = """
import asyncio, time
from moveworks_shift_async.clock import SYSTEM_CLOCK

async def waits():
    called = asyncio.Event()
    SYSTEM_CLOCK.call_later(50.0, called.set)
    await SYSTEM_CLOCK.sleep(40.0)
    await called.wait()

def test_a_wait_puts_the_clock_forward_and_it_stays(moveworks_sandbox):
    before, began = SYSTEM_CLOCK.now(), time.monotonic()
    asyncio.run(waits())
    took = time.monotonic() - began
    assert 50.0 <= SYSTEM_CLOCK.now() - before <= 50.0 + took

def test_time_never_goes_back():
    ahead = SYSTEM_CLOCK.now() - time.monotonic()
    assert ahead >= 40.0
    asyncio.run(SYSTEM_CLOCK.sleep(0.01))
    assert SYSTEM_CLOCK.now() - time.monotonic() - ahead < 1e-3
"""


def ran(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    """The application's tests, in a process of their own, with every warning an error."""
    common = ("-W", "error", "-p", "no:randomly", "-p", "no:cacheprovider", "--strict-markers")
    return pytester.runpytest_subprocess(*common, *options)


@pytest.mark.parametrize("plugin", PLUGINS)
def test_async_tests_use_it_under_either_plugin(pytester: pytest.Pytester, plugin: str) -> None:
    """Synchronous fixtures serve coroutine tests of pytest-asyncio and anyio, and plain tests."""
    mark, options = PLUGINS[plugin]
    pytester.makepyfile(ASYNC.format(mark=mark))
    ran(pytester, *options).assert_outcomes(passed=1)


def test_plain_tests_use_it(pytester: pytest.Pytester) -> None:
    """The outbox, the credentials, the faults, the environment and the markers of plain tests."""
    pytester.makepyfile(PLAIN)
    ran(pytester, *NEITHER).assert_outcomes(passed=9)


def test_a_wrong_marker_says_what_is_right(pytester: pytest.Pytester) -> None:
    """A word that it does not take, and a fault that there is not, end the test that asks."""
    pytester.makepyfile(WRONG)
    result = ran(pytester, *NEITHER)
    result.assert_outcomes(errors=14)
    wrong = ["requests is a whole number from 1, not '3'", "per is seconds above 0, not nan"]
    result.stdout.fnmatch_lines_random([f"*; {line}*" for line in wrong])
    result.stdout.fnmatch_lines(["*; faults is a list of names, not 'forbidden'*"])
    assert "Traceback" not in result.stdout.str()
    result.stdout.fnmatch_lines(["*marker is moveworks(requests=120, per=60.0, faults=())*"])
    result.stdout.fnmatch_lines(["*no fault 'gremlin'; there are *"])


def test_waits_are_short_and_time_goes_forward(pytester: pytest.Pytester) -> None:
    """A wait takes a thousandth, and the clock says afterwards that it took all of it."""
    pytester.makepyfile(CLOCK)
    ran(pytester, *NEITHER).assert_outcomes(passed=2)


def test_whoever_does_not_use_it_pays_nothing() -> None:
    """pytest loads the plugin everywhere, so it brings nothing of ours and no HTTP library."""
    found = python("-c", f"import pytest, {PACKAGE}.testing, sys; print(*sys.modules)")
    ours = {name for name in found.stdout.split() if name.startswith(PACKAGE)}
    assert ours == {PACKAGE, f"{PACKAGE}.testing"}
    assert not {"aiohttp", "attrs"} & set(found.stdout.split())


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_each_block_of_the_page_passes(pytester: pytest.Pytester, number: int) -> None:
    """As a test module of its own."""
    block = BLOCKS[number]
    pytester.makepyfile(block)
    tests = len(re.findall(r"^(?:async )?def test_", block, re.MULTILINE))
    ran(pytester, *ASYNCIO).assert_outcomes(passed=tests)
    assert tests
