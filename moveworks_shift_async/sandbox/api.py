"""The addresses under `/_sandbox/api/`, for tests and for the page: what people were told, and what
shall go wrong. They are not recorded.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from aiohttp import web
from attrs import evolve, frozen

from ..errors import InvalidInput
from ..local_page import headers
from .entry import RequestRecord
from .faults import FAULTS, FaultPlan
from .rules import read_json
from .search import Wanted, find, numbered, outcome, page, thread_of, told_before
from .sums import Stats

PREFIX = "/_sandbox/api/"

# Messages of a page, unless told otherwise, and at most: a test may want all that it has sent.
_LIMIT, _MOST = 50, 1000
# Seconds that a request waits for a message, unless told otherwise, and at most.
_WAIT, _LONGEST = 10.0, 300.0

Orders = Mapping[str, Any]


class Server(Protocol):
    """What these addresses look at and change; `Sandbox` says what each does."""

    faults: FaultPlan

    @property
    def forgotten(self) -> int: ...
    def records(self) -> list[RequestRecord]: ...
    def next_told(self, wanted: Wanted) -> asyncio.Future[RequestRecord]: ...
    def counting(self) -> Callable[[], Stats]: ...
    def forget(self) -> None: ...
    def reset(self) -> None: ...
    def expire_tokens(self) -> None: ...
    def refuse_soon(self, seconds: float) -> None: ...


class _NothingThere(Exception):
    """No such address, or no such message."""


async def answer(sandbox: Server, request: web.BaseRequest) -> web.Response:
    """Answer a request for one of these, in JSON."""
    try:
        text = await _ask(sandbox, request)
        status = 200
    except InvalidInput as error:
        text, status = json.dumps({"error": str(error)}), 400
    except _NothingThere as error:
        text, status = json.dumps({"error": str(error)}), 404
    return web.Response(
        status=status, text=text, content_type="application/json", headers=headers()
    )


async def _ask(sandbox: Server, request: web.BaseRequest) -> str:
    path = request.path.removeprefix(PREFIX)
    call = _CALLS.get((request.method, path))
    name = ""
    if call is None:
        folder, _, name = path.partition("/")
        call = _CALLS.get((request.method, f"{folder}/")) if name else None
    if call is None:
        raise _NothingThere("no such page")
    return await call.do(sandbox, _orders(await request.read(), request.query, call.takes, name))


def _orders(body: bytes, query: Mapping[str, str], takes: tuple[str, ...], name: str) -> Orders:
    try:
        value = read_json(body or b"{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InvalidInput("the body is not a JSON object")
    orders = value | dict(query)
    if unknown := orders.keys() - set(takes):
        known = " and ".join(takes) or "nothing"
        raise InvalidInput(f"this page takes {known}, not {', '.join(sorted(unknown))}")
    return orders | {"name": name}


# Messages


def plain(record: RequestRecord) -> dict[str, Any]:
    """A message as a plain dictionary, but for its people."""
    content = record.content
    return {
        "number": record.number,
        "time": datetime.fromtimestamp(record.epoch, UTC).isoformat(timespec="milliseconds"),
        "route": record.route,
        "event_id": record.event_id,
        "message": None if content is None else content.message(),
        "context": None if content is None else content.context(),
        "people": record.people,
        "outcome": outcome(record),
        "status": record.status,
        "fault": record.fault,
    }


def _listed(record: RequestRecord, cut: int) -> dict[str, Any]:
    """For a list; of a long text so many characters, and no context, unless `cut` is 0."""
    if not cut:
        return plain(record)
    said = None if record.content is None else record.content.message()[:cut]
    return plain(evolve(record, content=None)) | {"message": said}


def _whole(record: RequestRecord) -> dict[str, Any]:
    return plain(record) | {"to": record.recipients}


async def _messages(sandbox: Server, orders: Orders) -> str:
    """What was asked for, the newest first, and whatever became of it."""
    return await _page(sandbox, orders, _wanted(orders))


async def _page(sandbox: Server, orders: Orders, wanted: Wanted) -> str:
    limit = max(1, min(_whole_number(orders, "limit", _LIMIT), _MOST))
    records, dropped, cut = sandbox.records(), sandbox.forgotten, _whole_number(orders, "cut", 0)

    def made() -> str:
        some, following = page(find(records, wanted), limit)
        listed = [_listed(record, cut) for record in some]
        return json.dumps({"messages": listed, "next": following, "dropped": dropped})

    # In a thread: there may be millions of people, and the sandbox serves on.
    return await asyncio.to_thread(made)


async def _person(sandbox: Server, orders: Orders) -> str:
    """What one person was told, the newest first, and which of it twice."""
    limit = max(1, min(_whole_number(orders, "limit", _LIMIT), _MOST))
    before, cut = (_whole_number(orders, name, 0) for name in ("before", "cut"))
    records, dropped, address = sandbox.records(), sandbox.forgotten, orders["name"]

    def made() -> str:
        thread = thread_of(records, address, before, limit)
        listed = [_listed(one, cut) | {"again": one.number in thread.again} for one in thread.page]
        told = {"address": address, "told": thread.told, "told_again": len(thread.again)}
        return json.dumps(told | {"messages": listed, "next": thread.following, "dropped": dropped})

    return await asyncio.to_thread(made)


async def _latest(sandbox: Server, orders: Orders) -> str:
    """The last message that told somebody, with its people."""
    wanted, records = _wanted(orders, told=True), sandbox.records()
    return await asyncio.to_thread(_first, records, wanted)


def _first(records: Iterable[RequestRecord], wanted: Wanted) -> str:
    for record in find(records, wanted):
        return json.dumps(_whole(record))
    raise _NothingThere("no such message")


async def _wait(sandbox: Server, orders: Orders) -> str:
    """The same, as soon as there is one."""
    wanted = _wanted(orders, told=True)
    seconds = min(_seconds(orders, "timeout", _WAIT), _LONGEST)
    # Asked for first, so that nothing comes unseen while the others are looked through.
    coming = sandbox.next_told(wanted)
    try:
        with contextlib.suppress(_NothingThere):
            return await asyncio.to_thread(_first, sandbox.records(), wanted)
        # The loop's own time: whoever waits out there has a clock that nobody puts forward.
        async with asyncio.timeout(seconds):
            return json.dumps(_whole(await coming))
    except TimeoutError:
        raise _NothingThere(f"no such message within {seconds:g} s") from None
    finally:
        coming.cancel()


async def _one(sandbox: Server, orders: Orders) -> str:
    """One message with its people, and who of them was told the same before."""
    records, number = sandbox.records(), _whole_number(orders, "name", 0)
    if (record := numbered(records, number)) is None:
        raise _NothingThere("no such message")
    before = await asyncio.to_thread(told_before, record, records)
    return json.dumps(_whole(record) | {"told_before": before})


def _wanted(orders: Orders, *, told: bool = False) -> Wanted:
    to, text, event = (orders.get(name, "") for name in ("to", "text", "event"))
    if not all(isinstance(value, str) for value in (to, text, event)):
        raise InvalidInput("`to`, `text` and `event` must be texts")
    return Wanted(
        # In a query a plus sign that was not escaped reads as a space, and no address has one.
        to=to.strip().replace(" ", "+"),
        text=text.strip(),
        event=event.strip(),
        after=_whole_number(orders, "after", 0),
        before=_whole_number(orders, "before", 0),
        told=told,
    )


def _whole_number(orders: Orders, name: str, default: int) -> int:
    try:
        number = int(orders.get(name, default))
    except (TypeError, ValueError, OverflowError):
        number = -1
    if number < 0:
        raise InvalidInput(f"`{name}` must be a whole number, 0 or more")
    return number


def _seconds(orders: Orders, name: str, default: float | None = None) -> float:
    value: Any = orders.get(name, default)
    try:
        seconds = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise InvalidInput(f"`{name}` must be a number, 0 or more")
    return seconds


# The server


async def _stats(sandbox: Server, orders: Orders) -> str:
    stats = await asyncio.to_thread(sandbox.counting())
    return json.dumps(stats.as_json())


async def _faults(sandbox: Server, orders: Orders) -> str:
    sandbox.faults.load({name: value for name, value in orders.items() if name != "name"})
    return json.dumps(
        {
            "pending": sandbox.faults.pending(),
            "kinds": {kind: fault.sentence for kind, fault in FAULTS.items()},
        }
    )


def _doing(do: Callable[[Server, Orders], None]) -> Callable[[Server, Orders], Awaitable[str]]:
    """What changes something and has nothing to say."""

    async def done(sandbox: Server, orders: Orders) -> str:
        do(sandbox, orders)
        return "{}"

    return done


@frozen
class _Call:
    """What an address does, and what it may be given."""

    do: Callable[[Server, Orders], Awaitable[str]]
    takes: tuple[str, ...] = ()


_SEARCH = ("to", "text", "event", "after")
_CALLS: Mapping[tuple[str, str], _Call] = {
    ("GET", "messages"): _Call(_messages, (*_SEARCH, "before", "limit", "cut")),
    ("GET", "messages/latest"): _Call(_latest, _SEARCH),
    ("GET", "messages/wait"): _Call(_wait, (*_SEARCH, "timeout")),
    ("GET", "messages/"): _Call(_one),
    ("DELETE", "messages"): _Call(_doing(lambda sandbox, _: sandbox.forget())),
    ("GET", "people/"): _Call(_person, ("before", "limit", "cut")),
    ("GET", "stats"): _Call(_stats),
    ("GET", "faults"): _Call(_faults),
    ("POST", "faults"): _Call(_faults, ("clear", "script", "rates")),
    ("POST", "reset"): _Call(_doing(lambda sandbox, _: sandbox.reset())),
    ("POST", "expire"): _Call(_doing(lambda sandbox, _: sandbox.expire_tokens())),
    ("POST", "refuse"): _Call(
        _doing(lambda sandbox, orders: sandbox.refuse_soon(_seconds(orders, "seconds"))),
        ("seconds",),
    ),
}
