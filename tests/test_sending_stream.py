"""Bulk sends: every recipient ends in exactly one place, however the send ends."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from moveworks_shift_async.call import Call
from moveworks_shift_async.endpoints.sending import Sender
from moveworks_shift_async.errors import (
    BadRequest,
    ClientClosed,
    InvalidInput,
    MoveworksError,
    NotAuthenticated,
    Outcome,
    OutcomeUnknown,
    RateLimited,
)
from moveworks_shift_async.models import BulkReport, ChunkOutcome, Receipt
from moveworks_shift_async.sending.stream import BulkSend, Recipients
from moveworks_shift_async.wire.http import Request, Response
from moveworks_shift_async.wire.moveworks import Content

from .fakes import Answer, FakeClock, answer, settle
from .test_session import build


def people(count: int) -> list[str]:
    """Distinct addresses."""
    return [f"p{number}@example.com" for number in range(count)]


@define(eq=False)
class Vendor:
    """Takes chunks; `hold` keeps answers back, `errors` gives the failure of a chunk by number."""

    hold: asyncio.Event | None = None
    errors: dict[int, BaseException] = field(factory=dict)
    told: list[tuple[str, ...]] = field(factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def deliver(self, chunk: tuple[str, ...], call: Call) -> Receipt:
        """One chunk, as the endpoint would send it."""
        number = len(self.told)
        self.told.append(chunk)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self._answer(number, chunk, call)
        finally:
            self.at_once -= 1
            call.in_flight = False

    async def _answer(self, number: int, chunk: tuple[str, ...], call: Call) -> Receipt:
        call.attempts = call.requests = 1
        call.in_flight = True
        try:
            if self.hold is not None:
                await self.hold.wait()
            await asyncio.sleep(0)
        except asyncio.CancelledError as cancelled:
            raise cancelled from OutcomeUnknown("cancelled after it was sent")
        if number in self.errors:
            raise self.errors[number]
        return Receipt(status=200, state="RECEIVED", recipients=len(chunk), attempts=1)


def start(vendor: Vendor, recipients: Recipients, at_once: int = 4) -> BulkSend:
    """A bulk send through that vendor."""
    return BulkSend(vendor.deliver, recipients, at_once, clock=FakeClock())


def total(report: BulkReport) -> int:
    """All entries that the report accounts for."""
    outcomes = report.accepted + report.rejected + report.unknown + report.not_sent
    return outcomes + report.duplicates + len(report.invalid)


async def numbers(count: int) -> AsyncIterator[str]:
    """An async source."""
    for address in people(count):
        await asyncio.sleep(0)
        yield address


@pytest.mark.parametrize("make", [people, lambda n: iter(people(n)), lambda n: set(people(n))])
async def test_any_iterable_is_cut_into_chunks_of_500(make: object) -> None:
    """1,201 people are three requests, and everybody is in one of them."""
    vendor = Vendor()
    report = await start(vendor, make(1201))  # type: ignore[operator]
    assert sorted(map(len, vendor.told)) == [201, 500, 500]
    assert Counter(a for chunk in vendor.told for a in chunk) == Counter(people(1201))
    assert (report.accepted, report.requests, total(report)) == (1201, 3, 1201)
    assert report.failures == ()


async def test_an_async_source_is_read_as_there_is_room() -> None:
    """No more chunks are read than may be in flight, and none of the rest is taken."""
    vendor = Vendor(hold=asyncio.Event())
    read = 0

    async def source() -> AsyncIterator[str]:
        nonlocal read
        for address in people(10_000):
            read += 1
            yield address

    bulk = start(vendor, source(), at_once=3)
    task = asyncio.ensure_future(bulk)
    while len(vendor.told) < 3:
        await settle()
    await settle()
    assert (len(vendor.told), read) == (3, 1500)
    assert vendor.hold is not None
    vendor.hold.set()
    assert (await task).accepted == 10_000
    assert vendor.most_at_once == 3


async def test_nobody_is_nothing() -> None:
    """No recipients: no request, an empty account."""
    report = await start(Vendor(), [])
    assert (total(report), report.requests, report.elapsed) == (0, 0, 0.0)


async def test_the_stream_gives_each_chunk_as_it_ends() -> None:
    """Outcomes come with their recipients; the index is their place, not their order of ending."""
    vendor = Vendor(errors={1: BadRequest("bad list", status=400)})
    bulk = start(vendor, people(1500))
    outcomes = [outcome async for outcome in bulk]
    assert sorted(outcome.index for outcome in outcomes) == [0, 1, 2]
    failed = next(outcome for outcome in outcomes if outcome.index == 1)
    assert (failed.outcome, failed.receipt) == (Outcome.REJECTED, None)
    assert isinstance(failed.error, BadRequest)
    assert failed.recipients == tuple(people(1500)[500:1000])
    assert bulk.report.failures == (failed,)
    assert (bulk.report.accepted, bulk.report.rejected) == (1000, 500)
    assert "example.com" not in repr(bulk.report)


async def test_duplicates_and_invalid_entries_are_counted_not_sent() -> None:
    """Case and spaces do not make a second person; positions count the caller's entries."""
    vendor = Vendor()
    report = await start(vendor, ["a@x.io", " A@X.io ", "no", "b@x.io", None])  # type: ignore[list-item]
    assert vendor.told == [("a@x.io", "b@x.io")]
    assert report.duplicates == 1
    assert [(i.position, i.text) for i in report.invalid] == [(2, "no"), (4, "None")]
    assert total(report) == 5


@pytest.mark.parametrize("wrong", ["a@x.io", b"a@x.io", 7, None])
def test_a_single_text_is_not_a_list(wrong: object) -> None:
    """What cannot be a collection of addresses is refused before anything starts."""
    with pytest.raises(InvalidInput, match="iterable"):
        start(Vendor(), wrong)  # type: ignore[arg-type]


async def test_a_bulk_send_runs_once() -> None:
    """Awaiting it again does not tell anybody again."""
    vendor = Vendor()
    bulk = start(vendor, people(3))
    await bulk
    with pytest.raises(InvalidInput, match="once"):
        await bulk
    assert len(vendor.told) == 1


async def test_the_callers_list_may_change_meanwhile() -> None:
    """What the caller does to the list after the call loses nobody."""
    recipients = people(1200)
    bulk = start(Vendor(), recipients)
    recipients.clear()
    assert (await bulk).accepted == 1200


async def test_cancelling_accounts_for_everybody() -> None:
    """In flight is unknown, the rest is not sent, done stays done."""
    vendor = Vendor(hold=asyncio.Event())
    bulk = start(vendor, people(5000), at_once=2)
    task = asyncio.ensure_future(bulk)
    await settle()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert (bulk.report.unknown, bulk.report.not_sent) == (1000, 4000)
    assert total(bulk.report) == 5000
    assert bulk.report.requests == 2


async def test_cancelling_twice_accounts_for_everybody() -> None:
    """A second cancellation during the clean-up loses nobody."""
    stubborn = asyncio.Event()

    async def deliver(chunk: tuple[str, ...], call: Call) -> Receipt:
        call.in_flight, call.requests = True, 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as cancelled:
            await stubborn.wait()
            raise cancelled from OutcomeUnknown("cancelled after it was sent")
        raise AssertionError

    bulk = BulkSend(deliver, people(1700), 2)
    task = asyncio.ensure_future(bulk)
    await settle()
    for _ in range(2):
        task.cancel()
        await settle()
    assert task.done()
    stubborn.set()
    await settle()
    assert total(bulk.report) == 1700
    assert bulk.report.unknown == 1000


async def test_leaving_the_loop_early_ends_what_runs() -> None:
    """`break` cancels the rest, and the account says so."""
    vendor = Vendor()
    bulk = start(vendor, people(5000), at_once=2)
    async for _ in bulk:
        break
    gc.collect()
    await settle()
    assert total(bulk.report) == 5000
    assert bulk.report.accepted >= 500
    assert bulk.report.not_sent >= 3000


async def test_stopping_lets_requests_in_flight_end() -> None:
    """After `stop` what is out ends, and everybody else is reported as not sent, in the stream."""
    vendor = Vendor(hold=asyncio.Event())
    bulk = start(vendor, people(3100), at_once=2)
    outcomes: list[ChunkOutcome] = []

    async def follow() -> None:
        outcomes.extend([outcome async for outcome in bulk])

    task = asyncio.create_task(follow())
    await settle()
    bulk.stop()
    await settle()
    assert vendor.hold is not None
    vendor.hold.set()
    await task
    assert (bulk.report.accepted, bulk.report.not_sent) == (1000, 2100)
    assert sum(len(o.recipients) for o in outcomes if o.outcome is Outcome.NOT_SENT) == 2100
    assert "stopped" in str(bulk.report.failures[0].error)


async def test_stopping_withdraws_what_waits() -> None:
    """A chunk that waits for the rate limit is withdrawn, not sent."""

    async def deliver(chunk: tuple[str, ...], call: Call) -> Receipt:
        await asyncio.Event().wait()
        raise AssertionError

    bulk = BulkSend(deliver, people(900), 2)
    task = asyncio.ensure_future(bulk)
    await settle()
    bulk.stop()
    report = await task
    assert (report.not_sent, report.requests) == (900, 0)


async def test_stopping_before_the_start_sends_nothing() -> None:
    """A stopped send that is then awaited reports everybody as not sent."""
    vendor = Vendor()
    bulk = start(vendor, people(700))
    bulk.stop()
    assert (await bulk).not_sent == 700
    assert vendor.told == []


@pytest.mark.parametrize(
    "error", [NotAuthenticated("no", status=401), ClientClosed("closed")], ids=["401", "closed"]
)
async def test_what_holds_for_all_chunks_ends_the_send(error: MoveworksError) -> None:
    """After a refused credential or a closed client no further request is wasted."""
    vendor = Vendor(errors={0: error})
    report = await start(vendor, people(5000), at_once=1)
    assert len(vendor.told) == 1
    assert total(report) == 5000
    assert report.accepted == 0
    assert str(error) in str(report.failures[-1].error)


async def test_an_unexpected_exception_costs_no_account() -> None:
    """A defect becomes an unknown chunk that carries it; the other chunks go on."""
    report = await start(Vendor(errors={0: ZeroDivisionError()}), people(1000))
    assert (report.accepted, report.unknown) == (500, 500)
    error = report.failures[0].error
    assert error is not None
    assert isinstance(error.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_broken_source_raises_after_what_it_gave_has_ended(asynchronous: bool) -> None:
    """The source's own exception comes last; whole chunks were sent, the rest is accounted for."""

    def source() -> Iterator[str]:
        yield from people(1200)
        raise LookupError("database gone")

    async def async_source() -> AsyncIterator[str]:
        for address in source():
            yield address

    bulk = start(Vendor(), async_source() if asynchronous else source())
    with pytest.raises(LookupError, match="database gone"):
        await bulk
    assert (bulk.report.accepted, bulk.report.not_sent) == (1000, 200)
    assert "LookupError" in str(bulk.report.failures[0].error)


async def test_throttled_answers_are_counted() -> None:
    """429s met by any chunk are in the report, also while it runs."""

    async def deliver(chunk: tuple[str, ...], call: Call) -> Receipt:
        call.requests, call.throttled = 3, 2
        raise RateLimited("slow", status=429)

    bulk = BulkSend(deliver, people(600), 2)
    report = await bulk
    assert (report.throttled, report.requests, report.rejected) == (4, 6, 600)


async def test_the_account_is_readable_while_it_runs() -> None:
    """`report` counts requests under way and the time so far."""
    vendor = Vendor(hold=asyncio.Event())
    clock = FakeClock()
    bulk = BulkSend(vendor.deliver, people(1000), 2, clock=clock)
    assert bulk.report.elapsed == 0.0
    task = asyncio.ensure_future(bulk)
    await settle()
    clock.time += 5
    assert (bulk.report.requests, bulk.report.elapsed, bulk.report.accepted) == (2, 5.0, 0)
    assert vendor.hold is not None
    vendor.hold.set()
    await task
    clock.time += 5
    assert bulk.report.elapsed == 5.0


@settings(max_examples=50, deadline=None)
@given(
    count=st.integers(0, 6000),
    at_once=st.integers(1, 6),
    cancel_after=st.integers(0, 60),
    asynchronous=st.booleans(),
)
def test_whenever_it_is_cancelled_the_account_agrees_with_what_happened(
    count: int, at_once: int, cancel_after: int, asynchronous: bool
) -> None:
    """Cancelled after any number of steps, nobody who was sent to is reported as not sent."""

    async def scenario() -> None:
        vendor = Vendor()
        bulk = start(vendor, numbers(count) if asynchronous else people(count), at_once)
        task = asyncio.ensure_future(bulk)
        for _ in range(cancel_after):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        report = bulk.report
        told = sum(map(len, vendor.told))
        assert report.accepted + report.unknown == told
        if not asynchronous and cancel_after:
            assert total(report) == count

    asyncio.run(scenario())


async def test_nothing_is_sent_again_after_a_stop(clock: FakeClock) -> None:
    """A request in flight that is answered 429 after the stop ends as not sent, at once."""
    stopped = asyncio.Event()

    def later(status: int) -> Answer:
        async def given(_: Request) -> Response:
            await stopped.wait()
            return answer(status)

        return given

    parts = build(clock, later(429), later(503), later(200))
    content = Content(event_id=None, message="hi")
    bulk = Sender(parts.session, 4).send_bulk(content, people(1100), "bulk")
    task = asyncio.ensure_future(bulk)
    while len(parts.transport.requests) < 3:
        await settle()
    bulk.stop()
    stopped.set()
    report = await task
    assert (report.not_sent, report.unknown, report.accepted) == (500, 500, 100)
    assert (report.requests, report.throttled, len(parts.transport.requests)) == (3, 1, 3)


async def test_a_source_that_is_cancelled_by_itself_has_broken_off() -> None:
    """Its silence is not taken for its end: the error comes, and nobody is missing."""

    async def source() -> AsyncIterator[str]:
        for address in people(700):
            yield address
        raise asyncio.CancelledError

    bulk = start(Vendor(), source())
    with pytest.raises(InvalidInput, match="source was cancelled"):
        await bulk
    assert (bulk.report.accepted, bulk.report.not_sent) == (500, 200)


class Group(BaseExceptionGroup[BaseException]):
    """Of what no `except Exception` sees."""


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    "error",
    [
        pytest.skip.Exception("not today"),
        GeneratorExit(),
        KeyboardInterrupt(),
        SystemExit(3),
        Group("several", [KeyboardInterrupt()]),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_a_source_raises_breaks_it_off(
    error: BaseException, asynchronous: bool
) -> None:
    """It is not taken for the end: it comes out, once, and nobody is missing."""
    source = Broken(people(1200), error, asynchronous)
    bulk = start(Vendor(), source.entries())
    with pytest.raises(BaseException) as raised:  # noqa: PT011 - it is any
        await bulk
    assert raised.value is error
    assert (bulk.report.accepted, bulk.report.not_sent) == (1000, 200)
    assert type(error).__name__ in str(bulk.report.failures[0].error)


@define
class Broken:
    """Entries, then an exception."""

    addresses: list[str]
    error: BaseException
    asynchronous: bool

    def entries(self) -> Recipients:
        """In one way or the other."""

        def here() -> Iterator[str]:
            yield from self.addresses
            raise self.error

        async def elsewhere() -> AsyncIterator[str]:
            for address in self.addresses:
                yield address
            raise self.error

        return elsewhere() if self.asynchronous else here()


async def test_an_iterator_that_always_raises_is_asked_once() -> None:
    """It is not asked again and again for what it does not have."""
    asked = 0

    class Iterators:
        def __iter__(self) -> Iterators:
            return self

        def __next__(self) -> str:
            nonlocal asked
            asked += 1
            raise GeneratorExit

    bulk = start(Vendor(), Iterators())
    with pytest.raises(GeneratorExit):
        await bulk
    assert (asked, total(bulk.report)) == (1, 0)


class Bare:
    """What `iter` takes, and loops take: an iterator that is no iterable."""

    def __init__(self, count: int) -> None:
        self.left = people(count)

    def __next__(self) -> str:
        if not self.left:
            raise StopIteration
        return self.left.pop()

    async def __anext__(self) -> str:
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop()


class OfBare:
    """Whose iterator has `__next__` alone."""

    def __iter__(self) -> Bare:
        return Bare(1201)


class AsyncOfBare:
    """Whose iterator has `__anext__` alone."""

    def __aiter__(self) -> Bare:
        return Bare(1201)


class Indexed:
    """An old sequence, without a length."""

    def __getitem__(self, index: int) -> str:
        return people(1201)[index] if index < 1201 else [][index]


class Measured(Indexed):
    """An old sequence, with a length."""

    def __len__(self) -> int:
        return 1201


@pytest.mark.parametrize("make", [OfBare, AsyncOfBare, Indexed, Measured])
async def test_what_loops_take_is_taken(make: type) -> None:
    """Whatever `iter` and `aiter` accept, and what they need of an iterator."""
    if make is not AsyncOfBare:
        assert len([*make()]) == 1201
    report = await start(Vendor(), make())
    assert report.accepted == 1201


async def test_what_loops_refuse_is_refused() -> None:
    """At the call."""

    class Never:
        __iter__ = None

        def __getitem__(self, index: int) -> str:
            return "a@x.io"

    for wrong in (Never(), object(), 5):
        with pytest.raises(TypeError):
            iter(wrong)  # type: ignore[call-overload]
        with pytest.raises(InvalidInput, match="iterable"):
            start(Vendor(), wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["stop", "break", "cancel", "halt"])
async def test_an_async_generator_is_closed_when_the_send_has_ended(how: str) -> None:
    """However it ends: a connection to a database is given back then, not when it is collected."""
    closed = list[str]()

    async def source() -> AsyncIterator[str]:
        try:
            for address in people(5000):
                yield address
        finally:
            await asyncio.sleep(0)
            closed.append(how)

    errors: dict[int, BaseException] = {0: ClientClosed("closed")} if how == "halt" else {}
    kept = source()
    bulk = start(Vendor(errors=errors), kept, at_once=1)
    async with aclosing(bulk.__aiter__()) as outcomes:
        task = asyncio.ensure_future(anext(outcomes))
        if how == "cancel":
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait({task})
        if how == "stop":
            bulk.stop()
            assert [outcome async for outcome in outcomes] == []
        elif how == "halt":
            assert [outcome async for outcome in outcomes] == []
    assert closed == [how]
    assert kept.ag_frame is None  # type: ignore[attr-defined]


async def test_after_aclosing_the_account_is_complete() -> None:
    """At once: what was in flight is unknown, the rest not sent."""
    vendor, second = Vendor(hold=asyncio.Event()), asyncio.Event()

    async def deliver(chunk: tuple[str, ...], call: Call) -> Receipt:
        if chunk[0] == "p0@example.com":
            await second.wait()
            return Receipt(status=200, state=None, recipients=len(chunk), attempts=1)
        second.set()
        return await vendor.deliver(chunk, call)

    bulk = BulkSend(deliver, people(5000), 3)
    async with aclosing(bulk.__aiter__()) as outcomes:
        async for _ in outcomes:
            break
    report = bulk.report
    assert (report.accepted, report.unknown) == (500, sum(map(len, vendor.told)))
    assert report.unknown >= 500
    assert total(report) == 5000
    assert "ended" in repr(bulk)


async def test_stop_ends_a_send_whose_source_is_silent() -> None:
    """It waits for nobody but what is in flight; what the source gave is in the account."""
    silent = asyncio.Event()

    async def source() -> AsyncIterator[str]:
        for address in people(700):
            yield address
        silent.set()
        await asyncio.Event().wait()

    bulk = start(Vendor(), source())
    task = asyncio.ensure_future(bulk)
    await silent.wait()
    bulk.stop()
    report = await task
    assert (report.accepted, report.not_sent) == (500, 200)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("how", ["finish", "stop", "cancel"])
async def test_many_entries_that_make_no_chunk_leave_others_their_turn(
    asynchronous: bool, how: str
) -> None:
    """A hundred thousand duplicates are read in slices, also when they are only to be counted."""
    turns, ended = 0, asyncio.Event()

    async def others() -> None:
        nonlocal turns
        while not ended.is_set():
            turns += 1
            await asyncio.sleep(0)

    async def elsewhere() -> AsyncIterator[str]:
        for address in ["ann@x.io"] * 100_000:
            yield address

    counting = asyncio.create_task(others())
    source = elsewhere() if asynchronous else ["ann@x.io"] * 100_000
    bulk = BulkSend(Vendor().deliver, source, 2)
    if how == "stop":
        bulk.stop()
    sending = asyncio.ensure_future(bulk)
    if how == "cancel":
        await asyncio.sleep(0)
        sending.cancel()
    await asyncio.wait({sending})
    ended.set()
    await counting
    if not asynchronous or how == "finish":  # else nobody asked the source for them
        assert total(bulk.report) == 100_000
        assert turns >= 100


async def test_a_send_that_is_dropped_unstarted_says_that_nobody_was_told() -> None:
    """As a coroutine does that was never awaited."""
    with pytest.warns(RuntimeWarning, match="never started, so nobody was told: await it"):
        start(Vendor(), people(3))


@pytest.mark.parametrize(
    "how", ["awaited", "iterated", "stopped", "closed", "refused", "cancelled"]
)
async def test_no_other_send_warns(how: str) -> None:
    """Not one that was begun, stopped or refused, nor one whose task was cancelled at once."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if how == "refused":
            with pytest.raises(InvalidInput):
                start(Vendor(), 5)  # type: ignore[arg-type]
            return
        bulk = start(Vendor(), people(3))
        match how:
            case "awaited":
                await bulk
            case "iterated":
                async for _ in bulk:
                    pass
            case "stopped":
                bulk.stop()
            case "closed":
                bulk.close()
            case "cancelled":
                task = asyncio.ensure_future(bulk)
                task.cancel()
                await asyncio.wait({task})
                assert (bulk.report.not_sent, bulk.report.requests) == (3, 0)
        del bulk
        gc.collect()


async def test_a_send_can_be_made_a_task() -> None:
    """In a task group, and by whatever else takes a coroutine."""
    async with asyncio.TaskGroup() as tasks:
        sends = [tasks.create_task(start(Vendor(), people(count))) for count in (3, 700)]
    assert [send.result().accepted for send in sends] == [3, 700]


async def test_a_send_shows_how_far_it_is() -> None:
    """Without anybody in it."""
    vendor = Vendor(hold=asyncio.Event(), errors={1: BadRequest("no", status=400)})
    bulk = start(vendor, people(1200))
    assert repr(bulk) == "<BulkSend not started>"
    task = asyncio.ensure_future(bulk)
    await settle()
    assert repr(bulk) == "<BulkSend running: accepted 0, rejected 0, unknown 0, not sent 0>"
    assert vendor.hold is not None
    vendor.hold.set()
    await task
    assert repr(bulk) == "<BulkSend ended: accepted 700, rejected 500, unknown 0, not sent 0>"
    assert "example.com" not in repr(task)


class Unseen(BaseException):
    """No `except Exception` sees it."""


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize("error", [pytest.skip.Exception("no"), Group("g", [Unseen()]), Unseen()])
async def test_what_a_gate_or_a_session_raises_ends_it_with_everybody_in_the_account(
    sent: bool, error: BaseException
) -> None:
    """Unknown if a request may have left; the others are not sent, and the exception comes out."""

    async def deliver(chunk: tuple[str, ...], call: Call) -> Receipt:
        if "p0@example.com" in chunk:
            return Receipt(status=200, state=None, recipients=len(chunk), attempts=1)
        call.requests += sent
        raise error

    bulk = BulkSend(deliver, people(5000), 1)
    with pytest.raises(type(error)) as raised:
        await bulk
    assert raised.value is error
    report = bulk.report
    assert (report.accepted, report.unknown, total(report)) == (500, 500 * sent, 5000)
    failed = report.failures[0].error
    assert failed is not None
    assert failed.__cause__ is error


async def test_failures_hold_on_to_nothing_but_what_they_say(clock: FakeClock) -> None:
    """A traceback keeps all requests and answers alive; of thousands, these are gigabytes."""

    async def refused(_: Request) -> Response:
        return answer(400)

    parts = build(clock, refused, refused)
    send = Sender(parts.session, 32).send_bulk(
        Content(event_id=None, message="hi"), people(1000), "bulk"
    )
    failures = (await send).failures
    assert len(failures) == 2
    for failure in failures:
        error: BaseException | None = failure.error
        while error is not None:
            assert error.__traceback__ is None
            error = error.__cause__ or error.__context__
