"""The pages under `/_sandbox/`: what happened, and what shall go wrong. They are not recorded."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web

from moveworks_shift_async.errors import InvalidInput

from .faults import FAULTS
from .ledger import as_json

if TYPE_CHECKING:
    from .server import Sandbox

PREFIX = "/_sandbox/"

_Page = Callable[["Sandbox", Mapping[str, Any]], Any]


async def control(sandbox: Sandbox, request: web.BaseRequest) -> web.StreamResponse:
    """Answer one of the sandbox's own pages, in JSON."""
    page = _PAGES.get((request.method, request.path.removeprefix(PREFIX)))
    if page is None:
        return web.json_response({"error": "no such page"}, status=404)
    try:
        orders = _orders(await request.read())
        return web.json_response(page(sandbox, orders))
    except InvalidInput as error:
        return web.json_response({"error": str(error)}, status=400)


def _orders(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InvalidInput("the body is not a JSON object")
    return value


def _received(sandbox: Sandbox, orders: Mapping[str, Any]) -> Any:
    return as_json(sandbox.received())


def _stats(sandbox: Sandbox, orders: Mapping[str, Any]) -> Any:
    return as_json(sandbox.stats())


def _faults(sandbox: Sandbox, orders: Mapping[str, Any]) -> Any:
    sandbox.faults.load(orders)
    return {"pending": sandbox.faults.pending(), "kinds": list(FAULTS)}


def _reset(sandbox: Sandbox, orders: Mapping[str, Any]) -> Any:
    sandbox.reset()
    return {}


def _expire(sandbox: Sandbox, orders: Mapping[str, Any]) -> Any:
    sandbox.expire_tokens()
    return {}


def _refuse(sandbox: Sandbox, orders: Mapping[str, Any]) -> Any:
    seconds = orders.get("seconds")
    if not isinstance(seconds, int | float) or seconds < 0:
        raise InvalidInput("`seconds` must be a number, 0 or more")
    sandbox.refuse_soon(seconds)
    return {}


_PAGES: dict[tuple[str, str], _Page] = {
    ("GET", "received"): _received,
    ("GET", "stats"): _stats,
    ("GET", "faults"): _faults,
    ("POST", "faults"): _faults,
    ("POST", "reset"): _reset,
    ("POST", "expire"): _expire,
    ("POST", "refuse"): _refuse,
}
