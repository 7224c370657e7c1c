"""The page of a job over HTTP, for browsers on this machine.

Whoever knows the address may see the job, and pause and stop it. A random word in it is the key, as
other users of this machine reach the port as well. What changes the job is asked for by the page
itself alone (`local_page`), and is not there at all where the page is for reading.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from importlib.resources import files

from aiohttp import web
from attrs import define, field

from ..clock import SYSTEM_CLOCK, Clock
from ..jobs.records import Command
from ..local_page import Feed, foreign, headers, log_of
from .look import Watched

logger: logging.Logger = log_of(__name__)
HOST = "127.0.0.1"
# Seconds, twice, that an answer on its way is waited for at the end: who asked may take nothing.
_GRACE = 0.5
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: What a button does.
_COMMANDS = {"pause": Command.PAUSE, "go-on": Command.RUN, "stop": Command.STOP}
# The page is one file with its style inside; where a script is not allowed its forms work as well,
# and then a browser names its origin only to a page that lets itself be named.
_HEADERS = headers({"style-src": "'unsafe-inline'", "form-action": "'self'"}) | {
    "Referrer-Policy": "same-origin"
}


@define(eq=False, repr=False)
class PageServer:
    """Serves the page of one job, from `open` to `close`."""

    watched: Watched
    #: 0: any free one.
    _port: int = 0
    _read_only: bool = False
    _clock: Clock = SYSTEM_CLOCK
    #: Whoever does not know it sees nothing.
    _word: str = field(factory=lambda: secrets.token_urlsafe(16), init=False)
    _feed: Feed = field(init=False)
    #: Browsers that listen, and whether there are any.
    _listening: int = field(default=0, init=False)
    _listened: asyncio.Event = field(factory=asyncio.Event, init=False)
    _looking: asyncio.Task[None] | None = field(default=None, init=False)
    _runner: web.AppRunner | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._feed = Feed(state=lambda: str(self.watched.version))

    @property
    def url(self) -> str:
        """The address, with its word; known once it is open."""
        assert self._runner is not None  # noqa: S101 - see above
        return f"http://{HOST}:{self._runner.addresses[0][1]}/{self._word}/"

    async def open(self) -> None:
        """Look at the job, and begin to serve.

        Raises `JournalError` for a job that cannot be read, `ConfigurationError` where the page
        needs what is not installed, and `OSError` for a port that is taken.
        """
        await self.watched.look()
        self._runner = web.AppRunner(
            self._app(),
            access_log=None,
            logger=logger,
            handler_cancellation=True,  # a browser that goes listens no more
            shutdown_timeout=_GRACE,
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self._port).start()
        self._looking = asyncio.create_task(self._look())

    async def close(self) -> None:
        """End every answer, and let go of the port."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        self._feed.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._checked])
        app.router.add_get("/{word}/", self._page)
        app.router.add_get("/{word}/events", self._events)
        app.router.add_get("/{word}/live.js", self._script)
        if not self._read_only:
            app.router.add_post("/{word}/{command:pause|go-on|stop}", self._ask)
        return app

    @web.middleware
    async def _checked(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        word = request.match_info.get("word", "")
        if (why := foreign(request)) is not None:
            return web.Response(status=403, text=why, headers=_HEADERS)
        if not secrets.compare_digest(word.encode(), self._word.encode()):
            text = "This is not the address of the page; the command has printed it."
            return web.Response(status=404, text=text, headers=_HEADERS)
        try:
            return await handler(request)
        except web.HTTPException as error:
            error.headers.update(_HEADERS)
            raise

    async def _page(self, _: web.Request) -> web.StreamResponse:
        page = await self.watched.fresh()
        return web.Response(body=page, content_type="text/html", charset="utf-8", headers=_HEADERS)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        self._listening += 1
        self._listened.set()
        try:
            return await self._feed.serve(request)
        finally:
            self._listening -= 1
            if not self._listening:
                self._listened.clear()

    async def _script(self, _: web.Request) -> web.StreamResponse:
        script = files(__package__).joinpath("live.js").read_text("utf-8")
        return web.Response(text=script, content_type="text/javascript", headers=_HEADERS)

    async def _ask(self, request: web.Request) -> web.StreamResponse:
        why = await self.watched.ask(_COMMANDS[request.match_info["command"]])
        self._feed.changed()
        if why is not None:
            return web.Response(status=409, text=why, headers=_HEADERS)
        raise web.HTTPSeeOther("./")

    async def _look(self) -> None:
        """As long as a browser listens."""
        while not self.watched.finished:
            await self._listened.wait()
            await self._clock.sleep(self.watched.wait)
            try:
                await self.watched.look()
            except Exception:  # a defect of ours must not end the looking for good
                logger.exception("the job could not be looked at")
            self._feed.changed()
