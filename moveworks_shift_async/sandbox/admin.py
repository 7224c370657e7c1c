"""The pages under `/_sandbox/`: what happened, and what shall go wrong. They are not recorded."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from aiohttp import web
from attrs import evolve, frozen

from ..errors import InvalidInput
from .faults import FAULTS, FaultPlan
from .ledger import Received
from .rules import read_json
from .sums import Stats

PREFIX = "/_sandbox/"

# Requests on a page of `received`, unless told otherwise: half a million people.
_REQUESTS = 1000
# People whose JSON is made in one go: 0.2 ms, and whoever else wants the interpreter has his turn.
_PEOPLE = 1000

Orders = Mapping[str, Any]


class Server(Protocol):
    """What these pages look at and change; `Sandbox` says what each does."""

    faults: FaultPlan

    def received(self, after: int = 0, limit: int | None = None) -> Received: ...
    def counting(self) -> Callable[[], Stats]: ...
    def reset(self) -> None: ...
    def expire_tokens(self) -> None: ...
    def refuse_soon(self, seconds: float) -> None: ...


async def admin_page(sandbox: Server, request: web.BaseRequest) -> web.StreamResponse:
    """Answer one of the sandbox's own pages, in JSON.

    It is made in a thread: what was received can be millions of people, and the sandbox serves on.
    """
    page = _PAGES.get((request.method, request.path.removeprefix(PREFIX)))
    if page is None:
        return web.json_response({"error": "no such page"}, status=404)
    try:
        orders = _orders(await request.read(), request.query, page.takes)
        make = page.do(sandbox, orders)
    except InvalidInput as error:
        return web.json_response({"error": str(error)}, status=400)
    body = await asyncio.to_thread(lambda: make().encode()) if make else b"{}"
    return web.Response(body=body, content_type="application/json")


def _orders(body: bytes, query: Mapping[str, str], takes: tuple[str, ...]) -> Orders:
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
    return orders


def _received(sandbox: Server, orders: Orders) -> Callable[[], str]:
    after, limit = _whole(orders, "after", 0), max(1, _whole(orders, "limit", _REQUESTS))
    found = sandbox.received(after, limit + 1)
    page = evolve(found, requests=found.requests[:limit])
    more = len(found.requests) > limit
    return lambda: _received_text(page, page.requests[-1].number if more else None)


def _whole(orders: Orders, name: str, default: int) -> int:
    try:
        number = int(orders.get(name, default))
    except (TypeError, ValueError):
        number = -1
    if number < 0:
        raise InvalidInput(f"`{name}` must be a whole number, 0 or more")
    return number


def _received_text(page: Received, following: int | None) -> str:
    """All of it and the number to go on after, made in small steps."""
    requests = ", ".join(json.dumps(record.as_json()) for record in page.requests)
    return (
        f'{{"people": {{{", ".join(_slices(page.people))}}}, '
        f'"shift": {{{", ".join(_slices(page.shift))}}}, '
        f'"requests": [{requests}], '
        f'"forgotten": {page.forgotten}, "next": {json.dumps(following)}}}'
    )


def _slices(told: Mapping[str, int]) -> Iterator[str]:
    """The insides of JSON objects that together are all of it."""
    items = list(told.items())
    for start in range(0, len(items), _PEOPLE):
        yield json.dumps(dict(items[start : start + _PEOPLE]))[1:-1]


def _stats(sandbox: Server, orders: Orders) -> Callable[[], str]:
    stats = sandbox.counting()
    return lambda: json.dumps(stats().as_json())


def _faults(sandbox: Server, orders: Orders) -> Callable[[], str]:
    sandbox.faults.load(orders)
    value = {"pending": sandbox.faults.pending(), "kinds": list(FAULTS)}
    return lambda: json.dumps(value)


def _refuse(sandbox: Server, orders: Orders) -> None:
    seconds: Any = orders.get("seconds")
    if type(seconds) not in (int, float) or not 0 <= seconds < math.inf:
        raise InvalidInput("`seconds` must be a number, 0 or more")
    sandbox.refuse_soon(seconds)


@frozen
class _Page:
    """What one does, in the event loop; what it returns, if anything, says more in any thread."""

    do: Callable[[Server, Orders], Callable[[], str] | None]
    takes: tuple[str, ...] = ()


_PAGES: dict[tuple[str, str], _Page] = {
    ("GET", "received"): _Page(_received, ("after", "limit")),
    ("GET", "stats"): _Page(_stats),
    ("GET", "faults"): _Page(_faults),
    ("POST", "faults"): _Page(_faults, ("clear", "script", "rates")),
    ("POST", "reset"): _Page(lambda sandbox, _: sandbox.reset()),
    ("POST", "expire"): _Page(lambda sandbox, _: sandbox.expire_tokens()),
    ("POST", "refuse"): _Page(_refuse, ("seconds",)),
}
