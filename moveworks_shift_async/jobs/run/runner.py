"""From the journal through a client, and every outcome back into the journal.

For each chunk: a slot and a token; `sending` on the disk; the request; its end on the disk. The
requests of different chunks overlap, their steps share commits. A request is tried once: what was
not told goes back among the planned chunks, so a crash between two tries loses nothing and makes
nobody unknown. The circuit breaker says when to go on, wait or stop; the schedule says when
something may leave, by a clock that is read anew before each start. A run that does not wait is
for a journal that nobody resumes: a call repeats its request, and an open breaker is the end.

What comes next is said by `claims`, why nothing starts now by `holds`; what has ended is counted in
`_settled`, and whoever sees there that it is enough calls `stop`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import define, field

from ...call import Call
from ...client import MoveworksClient
from ...clock import SYSTEM_CLOCK, Clock
from ...errors import JournalError, MoveworksError, NotSent
from ...tasks import ending_of, is_cancelled
from ...text import plural
from ..records import Chunk, Command, Event, Incident, Settlement, State, Wanted
from ..store.ports import RunStore
from .claims import Claims
from .counting import Counting
from .ends import Ends
from .health import check_health
from .holds import Holds
from .hours import Hours
from .marker import Marker
from .progress import Tally
from .settlement import ENDED
from .stop_if import StopRule, crossed
from .telling import Telling

if TYPE_CHECKING:
    from ...telemetry.otel import Run

# Seconds between two looks at what another terminal asks for, and at the time. Where it waits for a
# window, perhaps all night, it looks half as often.
_LOOK = 0.5
# Chunks that start in one turn of the event loop: to write the request of one takes up to half a
# millisecond, and whoever else is in the loop has a turn between them.
_STARTS = 4


@define(eq=False, repr=False)
class Runner:
    """One run of a job, from its first chunk to its end."""

    _client: MoveworksClient
    _store: RunStore
    #: This run, which claims chunks and owns them while they are `sending`.
    _owner: str
    tally: Tally
    #: Requests that isolating may still add.
    _isolate: int = 0
    #: For a server that is away; without it an open breaker is the end.
    _waits: bool = True
    #: For a window; without it a closed one is the end.
    _stays: bool = True
    _max_in_flight: int = 32
    _clock: Clock = SYSTEM_CLOCK
    #: The run as others see it; None: nobody does.
    _traced: Run | None = None
    #: For the first ones alone.
    _confined: bool = False
    #: Limits at which it stops by itself.
    _stop_if: Sequence[StopRule] = ()
    holds: Holds = field(factory=Holds, init=False)
    #: Why it ends early, and the error that ended it, if one did.
    ending: str | None = field(default=None, init=False)
    error: MoveworksError | None = field(default=None, init=False)
    _claims: Claims = field(init=False)
    _counting: Counting = field(init=False)
    _ends: Ends = field(init=False)
    _hours: Hours = field(init=False)
    _telling: Telling = field(init=False)
    _running: set[asyncio.Task[None]] = field(factory=set, init=False)
    #: The calls whose outcome is not known yet, with their tasks: they may still be taken back.
    #: None until the task is made.
    _calls: dict[Call, asyncio.Task[None] | None] = field(factory=dict, init=False)
    _wake: asyncio.Event = field(factory=asyncio.Event, init=False)

    def __attrs_post_init__(self) -> None:
        ahead, alone = self._max_in_flight, self._confined
        self._claims = Claims(self._store, self._owner, ahead, self._clock, alone)
        self._counting = Counting(self._store, self.tally, self._clock)
        self._ends = Ends(self._store, self._clock, self._isolate)
        self._hours = Hours(self._store, self._clock, self.holds, self._stays)
        self._telling = Telling(self._store, self._owner, self._clock, self.holds)

    @property
    def under_way(self) -> int:
        """Chunks that were begun and whose end is not written yet."""
        return len(self._running)

    @property
    def waits_for(self) -> str | None:
        """What it waits for, if that is not the rate limit."""
        if (journal := self._store.waits_for) is not None:
            return journal
        if self.ending is not None:
            in_flight = self._client.gate.snapshot().in_flight
            return f"stopping: {plural(in_flight, 'request')} in flight"
        if (hold := self.holds.first) is not None:
            return hold.said(self._clock.now(), self._hours.now())
        idle = self._claims.others_hold and not (self._running or self._claims)
        return "waiting for what other runs of the job have" if idle else None

    async def run(self) -> None:
        """Until no chunk is planned any more, or it was told to end."""
        try:
            async with asyncio.TaskGroup() as tasks:
                health = check_health(self._client, self._clock, self.holds, _LOOK, self._wake.set)
                others = [tasks.create_task(self._listen()), tasks.create_task(health)]
                while self._fill(tasks):
                    await self._wake.wait()
                    self._wake.clear()  # not later: with eager tasks a store answers in `_fill`
                for other in others:
                    other.cancel()
        finally:
            for hold in self.holds.all:
                self._telling.note(hold)
            self.tally.unwritten = await asyncio.shield(self._ends.write_rest())

    def stop(self, why: str, error: MoveworksError | None = None) -> None:
        """Send nothing more. Requests in flight end; all others stay planned."""
        if self.ending is None:
            self.ending, self.error = why, error
            self.holds.over = True
        self._withdraw(self.ending)

    def _withdraw(self, why: str) -> None:
        """Take back what waits for its turn."""
        for call, task in self._calls.items():
            call.withdrawn = why
            if task is not None and not call.in_flight:
                task.cancel()
        self._wake.set()

    def _fill(self, tasks: asyncio.TaskGroup) -> bool:
        """Start what may start; say whether anything is left to wait for."""
        self._end_if_given_up()
        for _ in range(_STARTS):
            if self._may_start():
                self._start(tasks, self._claims.take())
        if self._may_start():
            asyncio.get_running_loop().call_soon(self._wake.set)
        if self.ending is not None:
            return bool(self._running)
        if self._claims.wants_more():
            tasks.create_task(self._claim())
        return bool(self._running or self._claims or not self._claims.exhausted)

    def _may_start(self) -> bool:
        return (
            bool(self._claims)
            and self.under_way < self._max_in_flight
            and self.ending is None
            and self._keeps_hours()
            and self.holds.may_start(self.under_way)
        )

    def _keeps_hours(self) -> bool:
        """Read the time anew; whether something may leave."""
        look = self._hours.look()
        if look.opens is not None:
            self._telling.note(look.opens)
            self._wake.set()
        if look.over is not None:
            self.stop(look.over)
        elif look.closes is not None:
            self._withdraw(look.closes)
        return look.over is None and self.holds.closed is None

    async def _claim(self) -> None:
        """Read the next chunks before they are needed."""
        try:
            await self._claims.claim(self._counting.count)
        except JournalError as error:
            self.stop(str(error), error)
        self._wake.set()

    def _start(self, tasks: asyncio.TaskGroup, chunk: Chunk) -> None:
        call = Call(priority="bulk", once=self._waits, part_of=self._traced)
        self._calls[call] = None
        self.holds.breaker.started()
        task = tasks.create_task(self._send(chunk, call))
        # An eager task has taken its first steps by now, and may even have ended.
        if call in self._calls:
            self._calls[call] = task
        self._running.add(task)
        task.add_done_callback(lambda task: self._ended(chunk, call, task))

    def _ended(self, chunk: Chunk, call: Call, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if call in self._calls:  # cancelled before its first step
            del self._calls[call]
            self._claims.give_back(chunk)
        self._wake.set()

    async def _send(self, chunk: Chunk, call: Call) -> None:
        """One request of a chunk, and what comes of it."""
        marker = Marker(self._store, self._clock, chunk, call, self._hours.why_not)
        call.before = marker.mark
        delivery = self._client.sender.deliver(chunk.content, chunk.recipients, call)
        _, error = await ending_of(delivery, lambda: NotSent("taken back"))
        del self._calls[call]
        if marker.lost:
            return self.tally.lose(len(chunk.recipients))
        met_nothing = call.withdrawn is not None and type(error) is NotSent
        if not (met_nothing or is_cancelled()):  # a cut says nothing about the server
            self._meet(error)
        if marker.written:
            await self._settle(chunk, call, error, met_nothing=met_nothing)
        else:
            self._claims.give_back(chunk)
        return None

    def _meet(self, error: MoveworksError | None) -> None:
        """A request has ended: the server is there, or away, or there again."""
        before = self.holds.outage
        self.holds.breaker.met(error, self._clock.now())
        after = self.holds.outage
        if before is not None and after is None:
            self._telling.note(before)
        self._end_if_given_up()
        if before is not None or after is None:
            return
        if self._waits:
            self._withdraw(after.reason)
        else:
            self.stop(self.holds.breaker.why_open, error)

    def _end_if_given_up(self) -> None:
        """End the job where the breaker has given it up."""
        if self.ending is None and (error := self.holds.breaker.given_up) is not None:
            self.stop(str(error), error)

    async def _settle(
        self, chunk: Chunk, call: Call, error: MoveworksError | None, *, met_nothing: bool
    ) -> None:
        """The end of a request is on the disk when this returns."""
        try:
            step = await self._ends.settle(chunk, call, error, met_nothing=met_nothing)
        except JournalError as full:
            return self.stop(str(full), full)
        if step is None:
            return self.tally.lose(len(chunk.recipients))
        return self._settled(chunk, step)

    def _settled(self, chunk: Chunk, step: Settlement) -> None:
        self.tally.add(step, len(chunk.recipients), self._clock.now())
        if (why := crossed(self._stop_if, self.tally.met(), self._client.rate_limit)) is not None:
            self.stop(why)
        if self._traced is not None and (outcome := ENDED.get(step.state)) is not None:
            self._traced.count(outcome, len(chunk.recipients))
        if step.throttled:
            waits = self._client.gate.snapshot().paused_for
            self._store.note(Event(at=step.at, incident=Incident.THROTTLED, seconds=waits))
        if step.state is State.PLANNED:
            self._claims.give_back(chunk)
        if step.state is State.SPLIT:
            self._claims.divided()

    async def _listen(self) -> None:
        """Hear what another terminal asks for."""
        while True:
            await self._clock.sleep(self._hours.next_look(_LOOK))
            self._telling.tell()
            try:
                self.follow(await self._store.wanted())
                if self._counting.is_due and self.holds.closed is None:
                    await self._counting.count()
            except MoveworksError as error:  # also a time zone that this machine does not know
                self.stop(str(error), error)

    def follow(self, wanted: Wanted) -> None:
        """Pause, go on or stop, unless it does so already, and keep to the schedule."""
        self.holds.schedule, command = wanted.schedule, wanted.command
        self._keeps_hours()
        if command is Command.STOP:
            self.stop("stopped from another terminal")
        elif command is Command.PAUSE and self.holds.paused(self._clock.now()):
            self._withdraw("paused")
        elif command is Command.RUN and (pause := self.holds.goes_on()) is not None:
            self._telling.note(pause)
            self._wake.set()
