"""One job, looked at again and again: its page as of the last look.

To look disturbs nobody: a file is copied without its addresses, which holds up a commit for some
milliseconds, and a database is read as of one moment. How often it is done follows from what it
costs, and nobody looks while no browser does. What cannot be read leaves the last page as it was,
with a word about why; so does a name that another job has by now.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence

from attrs import define, evolve, field, frozen

from ..clock import SYSTEM_CLOCK, Clock
from ..errors import JournalError
from ..jobs.records import Command
from ..jobs.report.account import JobAccount, account_of, read_state
from ..jobs.report.live import Live, live_of
from ..jobs.report.page import drawings, render_page
from ..jobs.report.sentences import moment, moment_of, standing_of
from ..jobs.store.ports import JobState, Store
from ..jobs.threads import in_thread
from ..text import one_line
from ..wire.moveworks import Content

# Seconds between two looks: at least; at least so many times longer than a look, for whoever leaves
# the page open; and at most, for what is older than that nobody calls live.
_EVERY, _COSTS, _MOST = 1.0, 10.0, 10.0
# The same for the plot, which takes half a second to draw.
_DRAWN_EVERY, _DRAWN_COSTS = 5.0, 20.0


@frozen(eq=False)
class _Seen:
    """A job as it stood."""

    state: JobState
    account: JobAccount
    live: Live


@define(eq=False, repr=False)
class Watched:
    """A job, and its page."""

    store: Store
    #: Somebody may pause and stop it from the page.
    _buttons: bool
    _clock: Clock = SYSTEM_CLOCK
    #: As of the last look, in UTF-8.
    page: bytes = field(default=b"", init=False)
    #: Another number whenever the page says something else.
    version: int = field(default=0, init=False)
    #: The page is the report, and stays so.
    finished: bool = field(default=False, init=False)
    #: Why the job could not be read at the last look; None: it was.
    trouble: str | None = field(default=None, init=False)
    #: Seconds until another look is worth its cost.
    wait: float = field(default=_EVERY, init=False)
    _looked_at: float = field(default=-math.inf, init=False)
    _seen: _Seen | None = field(default=None, init=False)
    _drawn: Mapping[str, str] = field(factory=dict, init=False)
    #: Seconds that drawing took in the last look, and when it may be done again.
    _drawing: float = field(default=0.0, init=False)
    _draws_at: float = field(default=-math.inf, init=False)
    _lock: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    async def fresh(self) -> bytes:
        """The page; after a look, if the last one is old."""
        if self._clock.now() - self._looked_at > self.wait:
            await self.look()
        return self.page

    async def look(self) -> None:
        """Make the page anew. Raises `JournalError` if there has never been one."""
        async with self._lock:
            if self.finished:
                return
            began, self._drawing = self._clock.now(), 0.0
            await self._look()
            self._looked_at = self._clock.now()
            cost = self._looked_at - began - self._drawing
            self.wait = min(max(_EVERY, _COSTS * cost), _MOST)

    async def ask(self, command: Command) -> str | None:
        """Ask this of whoever runs the job; why that cannot be, in words."""
        await self.look()  # another job may have its name by now
        if self.trouble is not None:
            return self.trouble
        try:
            asked = await self.store.ask(command, self._clock.utcnow().timestamp())
        except JournalError as error:
            return one_line(error)
        await self.look()
        if asked:
            return None
        return "It is not paused." if command is Command.RUN else "No process runs the job now."

    async def _look(self) -> None:
        try:
            seen = await self._read()
            self.trouble = self._another(seen)
        except JournalError as error:
            if self._seen is None:
                raise
            self.trouble, seen = one_line(error), self._seen
        if self.trouble is not None:
            seen = self._old(self.trouble)
        changed = self._seen is None or seen.live.trouble != self._seen.live.trouble
        if changed or not self.trouble:
            await self._make(seen)

    async def _read(self) -> _Seen:
        async with self.store.reading(addresses=False) as store:
            state, texts = await read_state(store)
        return await in_thread(lambda: self._account(state, texts))

    def _account(self, state: JobState, texts: Sequence[tuple[Content, int]]) -> _Seen:
        account = account_of(state, texts, self._clock)
        return _Seen(state, account, live_of(state, account, buttons=self._buttons))

    def _another(self, seen: _Seen) -> str | None:
        """Why it is not the job that was looked at first."""
        if self._seen is None or not self._seen.state.header.complete:
            return None
        if seen.state.header.key == self._seen.state.header.key:
            return None
        planned = moment_of(seen.state.header.planned_at)
        return (
            f"{one_line(self.store.name)} is another job's by now, planned {planned}; to see that"
            " one, end this command and begin it again."
        )

    def _old(self, trouble: str) -> _Seen:
        """The last one that was read, with a word about why it may be old."""
        assert self._seen is not None  # noqa: S101 - the first look raises
        at = moment(self._seen.account.read_at)
        said = f"It is as of {at}. Since then: {trouble.rstrip('.')}. It is tried again."
        live = evolve(self._seen.live, trouble=said, said=said, buttons=False, left="")
        return _Seen(self._seen.state, self._seen.account, live)

    async def _make(self, seen: _Seen) -> None:
        ends = self.trouble is None and standing_of(seen.account) in ("finished", "forgotten")
        page = await in_thread(lambda: self._rendered(seen, ends=ends))
        before, self._seen, self.page, self.finished = self._seen, seen, page, ends
        if before is None or seen.account.running or _said(before) != _said(seen):
            self.version += 1

    def _rendered(self, seen: _Seen, *, ends: bool) -> bytes:
        if ends:
            return render_page(seen.account).encode(errors="backslashreplace")
        began = self._clock.now()
        if began >= self._draws_at or not seen.account.running:
            self._drawn = drawings(seen.account)
            self._drawing = self._clock.now() - began
            pause = max(_DRAWN_EVERY, _DRAWN_COSTS * self._drawing)
            self._draws_at = began + self._drawing + pause
        page = render_page(seen.account, live=seen.live, drawn=self._drawn)
        return page.encode(errors="backslashreplace")


def _said(seen: _Seen) -> tuple[JobAccount, Live]:
    """What tells two looks apart while nobody works on the job: not when they were."""
    return evolve(seen.account, read_at=seen.account.planned_at), seen.live
