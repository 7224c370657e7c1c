"""The sandbox's own addresses, over real sockets, as a test in any language uses them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from moveworks_shift_async.sandbox import Sandbox

from .fakes import until
from .test_sandbox_server import order, send

ANN, BOB = "ann+test@example.com", "bob@example.com"


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A plain client, nothing of this package."""
    async with aiohttp.ClientSession() as session:
        yield session


async def get(
    http: aiohttp.ClientSession, sandbox: Sandbox, path: str, status: int = 200, /, **query: Any
) -> Any:
    """What an address answers."""
    async with http.get(f"{sandbox.url}/_sandbox/api/{path}", params=query) as answer:
        assert answer.status == status
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        return await answer.json()


async def test_a_message_in_full(http: aiohttp.ClientSession) -> None:
    """Everything that a test may want to compare."""
    async with Sandbox() as sandbox:
        await send(http, sandbox, ANN, BOB, context={"slots": {"n": "Ann"}})
        (listed,) = (await get(http, sandbox, "messages"))["messages"]
        time = listed.pop("time")
        assert time.endswith("+00:00")
        assert listed == {
            "number": 1,
            "route": "events.send",
            "event_id": sandbox.event_id,
            "message": "Hello",
            "context": {"slots": {"n": "Ann"}},
            "people": 2,
            "outcome": "told",
            "status": 200,
            "fault": None,
        }
        latest = await get(http, sandbox, "messages/latest", to=ANN.upper())
        assert latest == listed | {"time": time, "to": [ANN, BOB]}
        whole = await get(http, sandbox, "messages/1")
        assert whole == latest | {"told_before": {}}


async def test_messages_are_looked_for(http: aiohttp.ClientSession) -> None:
    """By person, text and event; the newest first, in pages, refused ones with what they said."""
    async with Sandbox() as sandbox:
        sandbox.faults.script("send", "none", "none", "forbidden", "none")
        for number, to in enumerate([ANN, BOB, ANN, ANN]):
            await send(http, sandbox, to, message=f"Hello {number}")
        first = await get(http, sandbox, "messages", limit=2)
        rest = await get(http, sandbox, "messages", limit=2, before=first["next"])
        pages = [[m["message"] for m in page["messages"]] for page in (first, rest)]
        assert pages == [["Hello 3", "Hello 2"], ["Hello 1", "Hello 0"]]
        assert (rest["next"], rest["dropped"]) == (None, 0)
        outcomes = [(m["outcome"], m["fault"], m["people"]) for m in first["messages"]]
        assert outcomes == [("told", None, 1), ("fault", "forbidden", 1)]
        searches: list[tuple[dict[str, Any], list[str]]] = [
            ({"to": ANN}, ["Hello 3", "Hello 0"]),
            ({"to": ANN.replace("+", " ")}, ["Hello 3", "Hello 0"]),  # as an unescaped plus reads
            ({"text": "hello 1"}, ["Hello 1"]),
            ({"event": "another"}, []),
            ({"event": sandbox.event_id, "to": BOB}, ["Hello 1"]),
        ]
        for query, said in searches:
            found = (await get(http, sandbox, "messages", **query))["messages"]
            assert [message["message"] for message in found] == said
        wrong: list[dict[str, Any]] = [{"before": "x"}, {"limit": "-1"}, {"page": "2"}]
        for query in wrong:
            await get(http, sandbox, "messages", 400, **query)


async def test_a_list_need_not_hold_whole_texts(http: aiohttp.ClientSession) -> None:
    """Fifty of a megabyte each would be slow to look at."""
    async with Sandbox() as sandbox:
        await send(http, sandbox, ANN, message="x" * 20_001, context={"slots": {"n": "x" * 999}})
        await send(http, sandbox, ANN, message="y" * 9, context={"slots": {"n": "Ann"}})
        first, second = (await get(http, sandbox, "messages", cut=5))["messages"]
        assert [first["message"], second["message"]] == ["yyyyy", "xxxxx"]
        assert [first["context"], second["context"]] == [None, None]
        (hers,) = (await get(http, sandbox, f"people/{ANN}", cut=5))["messages"]
        assert hers == first | {"again": False}
        assert (await get(http, sandbox, "messages/2"))["message"] == "y" * 9
        await get(http, sandbox, "messages", 400, cut=-1)


async def test_what_is_looked_for_is_text(http: aiohttp.ClientSession) -> None:
    """It may come in a body as well, and there it can be anything."""
    async with Sandbox() as sandbox:
        url = f"{sandbox.url}/_sandbox/api/messages"
        wrong = ('{"to": 7}', "texts"), ('{"after": 1e999}', "whole"), ('{"limit": []}', "whole")
        for body, why in wrong:
            async with http.get(url, data=body) as answer:
                assert (answer.status, why in (await answer.json())["error"]) == (400, True)


async def test_one_person_and_what_she_was_told_twice(http: aiohttp.ClientSession) -> None:
    """Her messages, and which of them says what an older one has said."""
    async with Sandbox() as sandbox:
        for text in ("Hello", "Bye", "Hello"):
            await send(http, sandbox, ANN, message=text)
        await send(http, sandbox, BOB)
        found = await get(http, sandbox, f"people/{ANN}", limit=2)
        assert (found["address"], found["told"], found["told_again"]) == (ANN, 3, 1)
        assert [(m["message"], m["again"]) for m in found["messages"]] == [
            ("Hello", True),
            ("Bye", False),
        ]
        older = await get(http, sandbox, f"people/{ANN}", before=found["next"])
        assert [(m["message"], m["again"]) for m in older["messages"]] == [("Hello", False)]
        assert (await get(http, sandbox, "people/nobody@example.com"))["told"] == 0
        assert (await get(http, sandbox, "messages/3"))["told_before"] == {ANN: 1}


async def test_it_waits_for_a_message(http: aiohttp.ClientSession) -> None:
    """One that is there is answered at once, one that comes as soon as it does."""
    async with Sandbox() as sandbox:
        await send(http, sandbox, ANN, message="first")
        assert (await get(http, sandbox, "messages/wait", to=ANN))["message"] == "first"
        asking = asyncio.create_task(get(http, sandbox, "messages/wait", to=ANN, after=1))
        await until(lambda: sandbox._waiting)
        await send(http, sandbox, BOB, message="for another")
        sandbox.faults.script("send", "forbidden", "processed-then-reset")
        await send(http, sandbox, ANN, message="nobody got it")
        with pytest.raises(aiohttp.ClientConnectionError):
            await send(http, sandbox, ANN, message="and the answer is lost")
        assert (await asking)["message"] == "and the answer is lost"
        assert not sandbox._waiting


async def test_it_does_not_wait_for_ever(http: aiohttp.ClientSession) -> None:
    """No message is a 404, of `latest` at once; nothing is left behind."""
    async with Sandbox() as sandbox:
        assert "no such" in (await get(http, sandbox, "messages/latest", 404, to=ANN))["error"]
        late = await get(http, sandbox, "messages/wait", 404, to=ANN, timeout=0.01)
        assert late["error"] == "no such message within 0.01 s"
        assert not sandbox._waiting
        for number in ("7", "0"):
            await get(http, sandbox, f"messages/{number}", 404)
        for query in ({"timeout": "x"}, {"timeout": "-1"}, {"timeout": "inf"}):
            await get(http, sandbox, "messages/wait", 400, **query)
        await get(http, sandbox, "messages/x", 400)
        await get(http, sandbox, "people", 404)
        asking = asyncio.create_task(get(http, sandbox, "messages/wait", timeout=300))
        await until(lambda: sandbox._waiting)
    with pytest.raises(aiohttp.ClientConnectionError):
        await asking


async def test_it_closes_although_a_page_is_open(http: aiohttp.ClientSession) -> None:
    """And is live again when it is entered again."""
    sandbox = Sandbox()
    for _ in range(2):
        async with sandbox:
            answer = await http.get(f"{sandbox.url}/_sandbox/inbox/feed")
            assert (await answer.content.readline()).startswith(b"data: {")
            await send(http, sandbox)
            assert await answer.content.readline() == b"\n"
            assert b'"deliveries": ' in await answer.content.readline()
        with pytest.raises(aiohttp.ClientError):
            await answer.read()


async def test_the_records_can_be_forgotten(http: aiohttp.ClientSession) -> None:
    """Faults and used quota stay; what was dropped by itself is said."""
    async with Sandbox(keep=0) as sandbox:
        await send(http, sandbox)
        assert (await get(http, sandbox, "messages"))["dropped"] == 1
        assert await get(http, sandbox, "stats") == sandbox.stats().as_json()
        sandbox.faults.script("send", "forbidden")
        async with http.delete(f"{sandbox.url}/_sandbox/api/messages") as answer:
            assert answer.status == 200
        assert (await get(http, sandbox, "messages"))["dropped"] == 0
        assert (await send(http, sandbox))[0] == 403


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_another_page_changes_nothing(http: aiohttp.ClientSession, method: str) -> None:
    """Nor does a name that was pointed here; both are said and nothing is done."""
    async with Sandbox() as sandbox:
        await send(http, sandbox)
        path = {"POST": "reset", "DELETE": "messages"}[method]
        url = f"{sandbox.url}/_sandbox/api/{path}"
        for foreign in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
            async with http.request(method, url, headers=foreign) as answer:
                assert answer.status == 403
                assert "page" in (await answer.json())["error"]
        async with http.get(url, headers={"Host": "evil.example"}) as answer:
            assert answer.status == 403
        assert len(sandbox.records()) == 1
        assert await order(http, sandbox, "reset") == 200
        assert not sandbox.records()
