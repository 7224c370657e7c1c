"""The page at `/`, kept live: its files, its feed of numbers, and the frames with messages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Protocol

from aiohttp import web
from attrs import define, field

from ...local_page import Feed, headers
from ..entry import RequestRecord
from ..faults import FaultPlan
from ..search import count_repeated, numbered, thread_of
from . import frames

#: What the page asks for; what tests ask for as well is under `/_sandbox/api/`.
PREFIX = "/_sandbox/inbox/"

# Messages of a thread's page.
_THREAD = 50
# Seconds until the numbers are looked at again by themselves: the window moves on.
_TICK = 1.0

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_FILES = frozenset(
    f"{name}.js" for name in ("inbox", "messages", "people", "faults", "limit", "server", "dom")
) | {"inbox.css"}


class Server(Protocol):
    """What the page shows; `Sandbox` says what each is."""

    faults: FaultPlan

    def records(self) -> list[RequestRecord]: ...
    def numbers(self) -> Mapping[str, Any]: ...


@define(eq=False)
class Inbox:
    """The page of one sandbox while it runs."""

    _sandbox: Server
    _feed: Feed = field(init=False)
    _tick: asyncio.TimerHandle | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._feed = Feed(state=self._state)

    def changed(self) -> None:
        """Something has happened."""
        self._feed.changed()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request for `/` or below `PREFIX`."""
        name, _, rest = request.path.removeprefix(PREFIX).partition("/")
        if request.path == "/":
            return _file("inbox.html")
        if name in _FILES:
            return _file(name)
        if name == "feed":
            return await self._feed.serve(request)
        if name == "repeated":
            return await self._repeated()
        if name == "message":
            return await self._message(rest)
        if name == "person":
            return await self._thread(rest, request.query.get("before", "0"))
        return _frame("", 404)

    async def _repeated(self) -> web.Response:
        count = await asyncio.to_thread(count_repeated, self._sandbox.records())
        return web.json_response({"repeated": count}, headers=headers())

    async def _message(self, number: str) -> web.Response:
        if (record := numbered(self._sandbox.records(), _number(number))) is None:
            return _frame("", 404)
        return _frame(await asyncio.to_thread(frames.message_document, record))

    async def _thread(self, address: str, before: str) -> web.Response:
        records = self._sandbox.records()

        def made() -> str:
            thread = thread_of(records, address, _number(before), _THREAD)
            return frames.thread_document(thread.page[::-1], thread.again)

        return _frame(await asyncio.to_thread(made))

    def _state(self) -> str:
        numbers = self._sandbox.numbers()
        if numbers["in_window"] and self._tick is None:
            self._tick = asyncio.get_running_loop().call_later(_TICK, self._again)
        return json.dumps({**numbers, "faults": self._sandbox.faults.pending()})

    def _again(self) -> None:
        self._tick = None
        self._feed.changed()


def _number(text: str) -> int:
    """The number of a message; 0, which none has, for what is no number."""
    try:
        return max(0, int(text))
    except ValueError:
        return 0


@cache
def _file_bytes(name: str) -> bytes:
    return files(__package__).joinpath(name).read_bytes()


def _file(name: str) -> web.Response:
    return web.Response(
        body=_file_bytes(name),
        content_type=_TYPES[name.rpartition(".")[2]],
        charset="utf-8",
        headers=headers(),
    )


def _frame(text: str, status: int = 200) -> web.Response:
    return web.Response(
        status=status,
        body=text.encode("utf-8", "replace"),
        content_type="text/html",
        charset="utf-8",
        headers=frames.frame_headers(),
    )
