"""`Sandbox`: a Moveworks and a SHIFT on one loopback port, with a record of what they did."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Self

from aiohttp import web
from attrs import define, field

from ..local_page import asked_by_page, foreign, headers
from . import api
from .app import App, new_limiter
from .entry import RequestRecord
from .faults import FaultPlan
from .inbox import page
from .ledger import Received
from .listener import Listener
from .options import Options
from .search import Wanted
from .sums import Stats

# The sandbox's own addresses, beside `/`: no vendor has them.
_OWN = "/_sandbox/"


def _new_id() -> str:
    return secrets.token_hex(4)


@define(eq=False, kw_only=True)
class Sandbox(Options):
    """Both vendors over real HTTP, from `async with` to its end.

    All options are keywords with working defaults. The records, the tokens and the port
    outlive the block: entered again, the same sandbox goes on at the same address.
    """

    #: Faults: `script`, `rate`, `clear`, `load`, `pending`.
    faults: FaultPlan = field(init=False, repr=False)
    _app: App = field(init=False, repr=False)
    _listener: Listener = field(init=False, repr=False)
    _inbox: page.Inbox = field(init=False, repr=False)
    #: Another one when the records are forgotten: their numbers begin anew.
    _records_id: str = field(factory=_new_id, init=False, repr=False)
    #: Who waits for a message.
    _waiting: dict[asyncio.Future[RequestRecord], Wanted] = field(
        factory=dict, init=False, repr=False
    )

    def __attrs_post_init__(self) -> None:
        self.faults = FaultPlan(seed=self.seed, storm=self.fault_options.storm)
        self._app = App(self, self.faults, self._noted)
        self._inbox = page.Inbox(self)
        self._listener = Listener(
            handler=self._serve, host=self.host, port=self.port, clock=self.clock
        )

    # Open and close

    async def __aenter__(self) -> Self:
        self._inbox = page.Inbox(self)  # its parts belong to the event loop of now
        await self._listener.open()
        self.port: int = self._listener.port
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop at once: hanging requests end with their connection."""
        await self._listener.close()

    async def serve_forever(self, started: Callable[[Sandbox], None] | None = None) -> None:
        """Run until cancelled; `started` is called once the address is known."""
        async with self:
            if started is not None:
                started(self)
            await asyncio.get_running_loop().create_future()

    @property
    def url(self) -> str:
        """The address of both vendors, without a slash at its end; known from the entry on."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    # Connections refused

    async def stop_listening(self) -> None:
        """Refuse connections; idle ones end now, those with a request after its answer."""
        await self._listener.stop_listening()

    async def start_listening(self) -> None:
        """Accept connections again, on the same port."""
        await self._listener.start_listening()

    async def refuse(self, seconds: float) -> None:
        """Refuse connections for some seconds; returns when they are accepted again."""
        await self._listener.refuse(seconds)

    def refuse_soon(self, seconds: float) -> None:
        """Refuse connections for some seconds from the next turn of the event loop on."""
        self._listener.refuse_soon(seconds)

    # Credentials

    def issue_token(self) -> str:
        """A Moveworks token without a request for it."""
        return self._app.moveworks.issue_token(self.clock.now())

    def issue_shift_tokens(self) -> tuple[str, str]:
        """SHIFT's access token and refresh token, as after a login."""
        return self._app.shift.issue_tokens(self.clock.now())

    def expire_tokens(self) -> None:
        """End every access token of both vendors now; refresh tokens go on."""
        self._app.moveworks.expire_tokens(self.clock.now())
        self._app.shift.expire_tokens(self.clock.now())

    # Records

    def received(self, after: int = 0, limit: int | None = None) -> Received:
        """Who was told, how often, and every request, since the start or the last reset.

        Only requests with a number above `after`, and at most `limit` of them.
        """
        return self._app.ledger.received(after, limit)

    def stats(self) -> Stats:
        """The numbers, since the start or the last reset."""
        return self._app.ledger.stats()

    def counting(self) -> Callable[[], Stats]:
        """The requests as they are now; what is returned gives their `stats`, in any thread."""
        return self._app.ledger.counting()

    def records(self) -> list[RequestRecord]:
        """Every request that is kept, the newest first."""
        return self._app.ledger.records()

    @property
    def forgotten(self) -> int:
        """Requests whose records were dropped, the oldest, because `keep` bytes were full."""
        return self._app.ledger.forgotten

    def numbers(self) -> Mapping[str, Any]:
        """What is quickly said, for a page that lives: how the limit and the records stand."""
        ledger = self._app.ledger
        return {
            "records": self._records_id,
            "newest": ledger.newest,
            "dropped": ledger.forgotten,
            "deliveries": ledger.deliveries,
            "in_window": ledger.in_window(self.clock.now()),
            "limit": self.limit,
            "window": self.window,
            "throttled": ledger.throttled,
        }

    def next_told(self, wanted: Wanted) -> asyncio.Future[RequestRecord]:
        """The next request that tells somebody and is wanted; cancel it if you wait no longer."""
        coming: asyncio.Future[RequestRecord] = asyncio.get_running_loop().create_future()
        self._waiting[coming] = wanted
        coming.add_done_callback(self._waiting.pop)
        return coming

    def forget(self) -> None:
        """Forget the records; faults and used quota stay."""
        self._app.ledger.reset()
        self._records_id = _new_id()
        self._inbox.changed()

    def reset(self) -> None:
        """Forget records, faults and used quota; tokens and the address stay."""
        self.forget()
        self._app.faults.clear()
        self._app.limiter = new_limiter(self)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path != "/" and not request.path.startswith(_OWN):
            # Or any page of the web could use up the limit and the faults.
            if asked_by_page(request):
                text = "this is for servers; a page in a browser cannot ask for it"
                return web.json_response({"error": text}, status=403, headers=headers())
            return await self._app.serve(request)
        if why := foreign(request, self.host):
            return web.json_response({"error": why}, status=403, headers=headers())
        if not request.path.startswith(api.PREFIX):
            return await self._inbox.answer(request)
        answer = await api.answer(self, request)
        if request.method != "GET":
            self._inbox.changed()
        return answer

    def _noted(self, record: RequestRecord) -> None:
        """Tell those who wait for it, and those who look."""
        self._inbox.changed()
        for coming, wanted in list(self._waiting.items()):
            if not coming.done() and wanted.fits(record):
                coming.set_result(record)
