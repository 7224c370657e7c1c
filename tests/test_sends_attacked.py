"""Sends that are stopped, cancelled, left and broken off anywhere: the account says what happened.

Each recipient that was taken is in the account once, and the server's own record agrees with it:
accepted is told once, rejected and not sent is never told, unknown is told at most once.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import aclosing, suppress
from typing import Any

import pytest
from attrs import define, field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from moveworks_shift_async import ApiKey, Attempt, MoveworksClient, Outcome, RateLimit, RetryPolicy
from moveworks_shift_async.addresses import address_fault
from moveworks_shift_async.endpoints.sending import Sender
from moveworks_shift_async.errors import ClientClosed, OutcomeUnknown
from moveworks_shift_async.models import ChunkOutcome
from moveworks_shift_async.sandbox import Sandbox
from moveworks_shift_async.sending.stream import BulkSend, Recipients
from moveworks_shift_async.wire.http import Request, Response

from .conftest import LOOPS
from .fakes import Answer, FakeClock, answer, settle
from .test_sending_coalesce import EVENT
from .test_session import build

#: What a send may meet without waiting for seconds.
FAULTS = (
    "none",
    "throttle",
    "server-503-json",
    "processed-then-500-html",
    "processed-then-reset",
    "reset-before-body",
    "reset-mid-body",
    "half-answer",
    "malformed-json",
    "forbidden",
    "redirect-302",
    "redirect-307",
)
EAGER = hasattr(asyncio, "eager_task_factory")


class Unseen(BaseException):
    """No `except Exception` sees it."""


@pytest.mark.parametrize("way", ["bulk", "batcher"])
async def test_who_watches_and_cancels_what_has_ended_denies_nothing(
    sandbox: Sandbox, way: str
) -> None:
    """The answer is there, and a callback cancels the task that has it: nobody is "not sent"."""

    def cancel(_: Attempt) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    key = ApiKey(sandbox.api_key)
    async with MoveworksClient(key, base_url=sandbox.url, on_attempt=cancel) as client:
        if way == "bulk":
            report = await client.messages.send_bulk("hi", ["a@x.test"])
            assert (report.unknown, report.not_sent) == (1, 0)
        else:
            async with client.events.batcher() as batcher:
                outcome = await batcher.send(sandbox.event_id, "hi", "a@x.test")
            assert outcome.outcome is Outcome.UNKNOWN
    assert sandbox.stats().people == 1


@frozen
class Plan:
    """How one bulk send goes."""

    people: int
    #: Every so many entries one that is there already, and one that is no address.
    spoiled: int
    kind: str
    #: Entries after which the source raises; None: it does not.
    breaks_at: int | None
    error: type[BaseException]
    faults: tuple[str, ...]
    at_once: int
    how: str
    #: Turns of the event loop, or outcomes, after which it happens.
    after: int
    eager: bool


PLANS = st.builds(
    Plan,
    people=st.integers(0, 9).map(lambda count: 437 * count),
    spoiled=st.sampled_from([3, 50, 10_000]),
    kind=st.sampled_from(["list", "iterator", "async"]),
    breaks_at=st.none() | st.integers(0, 8).map(lambda count: 431 * count),
    error=st.sampled_from([LookupError, Unseen, GeneratorExit, asyncio.CancelledError]),
    faults=st.lists(st.sampled_from(FAULTS), min_size=2, max_size=8).map(tuple),
    at_once=st.integers(1, 5),
    how=st.sampled_from(["finish", "stop", "cancel", "cancel twice", "break", "close"]),
    after=st.integers(0, 60),
    eager=st.booleans() if EAGER else st.just(False),
)


@define(eq=False)
class Source:
    """Recipients that remember what they gave."""

    plan: Plan
    given: list[str] = field(factory=list)

    def entries(self) -> Iterator[str]:
        """One after the other, noted as it is given."""
        for entry in self._all():
            self.given.append(entry)
            yield entry

    async def elsewhere(self) -> AsyncIterator[str]:
        """The same, in its own time."""
        for number, entry in enumerate(self._all()):
            if number % 7 == 0:
                await asyncio.sleep(0)
            self.given.append(entry)
            yield entry

    def _all(self) -> Iterator[str]:
        for number in range(self.plan.people):
            if number == self.plan.breaks_at:
                raise self.plan.error
            entry = f"p{number}@example.com"
            if number % self.plan.spoiled == self.plan.spoiled - 1:
                entry = "nobody" if number % 2 else "P0@Example.com"
            yield entry

    def recipients(self) -> Recipients:
        """As the plan has it."""
        match self.plan.kind:
            case "list":
                with suppress(BaseException):
                    return [*self.entries()]
                return [*self.given]
            case "iterator":
                return self.entries()
            case _:
                return self.elsewhere()


async def turns(count: int) -> None:
    """So many of the event loop."""
    for _ in range(count):
        await asyncio.sleep(0)


async def undergo(plan: Plan, bulk: BulkSend, client: MoveworksClient) -> None:
    """What the plan has in store for it; in the end it has ended."""
    if plan.how == "break":
        count = 0
        with suppress(plan.error, OutcomeUnknown, ValueError):
            async with aclosing(bulk.__aiter__()) as outcomes:
                async for _ in outcomes:
                    count += 1
                    if count > plan.after // 10:
                        break
        return
    task = asyncio.ensure_future(bulk)
    if plan.how != "finish":
        await turns(plan.after)
    match plan.how:
        case "stop":
            bulk.stop()
        case "cancel" | "cancel twice":
            task.cancel()
            await turns(plan.after % 5)
            if plan.how == "cancel twice":
                task.cancel()
        case "close":
            await client.close()
    await asyncio.wait({task})
    with suppress(BaseException):
        task.exception()
    if pending := {task for task, chunk in bulk._running.items() if chunk.outcome is None}:
        await asyncio.wait(pending)
        await settle()


def check(bulk: BulkSend, source: Source, told: Counter[str]) -> None:
    """The laws of the account."""
    report = bulk.report
    valid = [entry.lower() for entry in source.given if address_fault(entry) is None]
    failed = Counter(person for failure in report.failures for person in failure.recipients)
    assert set(failed.values()) <= {1}
    accepted = {*valid} - failed.keys()
    assert failed.keys() <= {*valid}
    assert len(accepted) == report.accepted
    assert sum(failed.values()) == report.rejected + report.unknown + report.not_sent
    assert report.duplicates == len(valid) - len({*valid})
    assert len(report.invalid) == len(source.given) - len(valid)
    assert {told[person] for person in accepted} <= {1}
    assert told.keys() <= {*valid}
    for failure in report.failures:
        most = 1 if failure.outcome is Outcome.UNKNOWN else 0
        assert all(told[person] <= most for person in failure.recipients)


@settings(max_examples=40, deadline=None)
@given(plan=PLANS)
def test_a_bulk_send_is_accounted_for_however_it_goes(plan: Plan) -> None:
    """Over real sockets."""

    async def scenario() -> None:
        async with Sandbox(limit=100_000, window=1.0) as sandbox:
            sandbox.faults.script("send", *plan.faults)
            source = Source(plan)
            async with MoveworksClient(
                ApiKey(sandbox.api_key),
                base_url=sandbox.url,
                max_in_flight=plan.at_once,
                rate_limit=RateLimit(requests=100_000, per=0.05),
                retry=RetryPolicy(throttled=3, backoff=0.0),
            ) as client:
                bulk = client.messages.send_bulk("hi", source.recipients())
                await undergo(plan, bulk, client)
            check(bulk, source, Counter(sandbox.received().people))

    run(scenario(), eager=plan.eager)


def run(scenario: Coroutine[Any, Any, None], *, eager: bool) -> None:
    """In a loop of its own."""
    with asyncio.Runner(loop_factory=LOOPS["eager" if eager else "asyncio"]) as runner:
        runner.run(scenario)


@define(eq=False)
class Tellings:
    """What the vendor of a batcher has done, answer by answer."""

    #: Told for certain, and told or not.
    told: Counter[str] = field(factory=Counter)
    maybe: Counter[str] = field(factory=Counter)

    def answer(self, kind: str) -> Answer:
        """One that comes after some turns, and is noted when it is given."""

        async def later(request: Request) -> Response:
            people = told_by(request)
            try:
                for _ in range(3):
                    await asyncio.sleep(0)
            except asyncio.CancelledError as cancelled:
                self.maybe.update(people)
                raise cancelled from OutcomeUnknown("cancelled after it was sent")
            if kind == "reset":
                self.maybe.update(people)
                raise OutcomeUnknown("reset")
            if kind == "200":
                self.told.update(people)
            return answer(int(kind))

        return later


def told_by(request: Request) -> list[str]:
    """Whom a request is for."""
    assert request.body is not None
    return list(json.loads(request.body)["recipients"])


#: What happens next to a batcher: a send to a new person, a cancellation, some turns of the event
#: loop, or some time. Long, and most of it sends and waits: short ones end before anything is out.
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 1)),
        st.tuples(st.just("cancel"), st.integers(0, 12)),
        st.tuples(st.just("turns"), st.integers(1, 12)),
        st.tuples(st.just("time"), st.sampled_from([0, 0, 1, 30])),
    ),
    min_size=15,
    max_size=60,
)


@settings(max_examples=100, deadline=None)
@given(
    steps=STEPS,
    kinds=st.lists(st.sampled_from(["200", "429", "400", "503", "reset"]), min_size=4, max_size=9),
    again=st.sampled_from(["report", "resend"]),
    linger=st.sampled_from([0.0, 1.0]),
    eager=st.booleans() if EAGER else st.just(False),
)
def test_whatever_is_cancelled_the_batcher_says_what_is_known(
    steps: list[tuple[str, int]], kinds: list[str], again: Any, linger: float, eager: bool
) -> None:
    """Each send is for a person of its own; a cancellation without a cause told nobody."""

    async def scenario() -> None:
        clock, vendor = FakeClock(), Tellings()
        parts = build(clock, *map(vendor.answer, [*kinds, "200"]), on_unknown=again)
        batcher = Sender(parts.session, 32).batcher(linger, 5, "normal")
        sends: list[asyncio.Task[ChunkOutcome]] = []
        for step, number in steps:
            match step:
                case "send":
                    text, person = f"text {number % 2}", f"p{len(sends)}@x.io"
                    sends.append(asyncio.create_task(batcher.send(EVENT, text, person)))
                case "cancel" if sends:
                    sends[number % len(sends)].cancel()
                case "turns":
                    for _ in range(number):
                        await asyncio.sleep(0)
                case _:
                    await clock.advance(float(number))
        closing = asyncio.create_task(batcher.close())
        while not closing.done():
            await clock.advance(30.0)
        await settle()
        for number, send in enumerate(sends):
            agree(send, vendor.told[f"p{number}@x.io"], vendor.maybe[f"p{number}@x.io"])

    run(scenario(), eager=eager)


def agree(send: asyncio.Task[ChunkOutcome], told: int, maybe: int) -> None:
    """What a send has said, and what the vendor has done."""
    assert send.done()
    if send.cancelled():
        try:
            send.result()
        except asyncio.CancelledError as cancelled:
            if cancelled.__cause__ is None:
                assert (told, maybe) == (0, 0)
        return
    if isinstance(send.exception(), ClientClosed):  # it waited for room when the batcher closed
        assert (told, maybe) == (0, 0)
        return
    match send.result().outcome:
        case Outcome.ACCEPTED:
            assert told == 1
        case Outcome.UNKNOWN:
            assert (told, maybe > 0) in ((0, True), (0, False))
        case _:
            assert (told, maybe) == (0, 0)
