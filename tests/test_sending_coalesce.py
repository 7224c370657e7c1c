"""Single sends that share requests: joined while they linger or wait, told once, never lost."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable
from typing import Any

import pytest
from attrs import define, field

from moveworks_shift_async import ApiKey, MoveworksClient, RateLimit
from moveworks_shift_async.call import Call
from moveworks_shift_async.endpoints.sending import Sender
from moveworks_shift_async.errors import (
    BadRequest,
    ClientClosed,
    InvalidInput,
    NotSent,
    Outcome,
    OutcomeUnknown,
)
from moveworks_shift_async.models import ChunkOutcome, Receipt
from moveworks_shift_async.sandbox import Sandbox
from moveworks_shift_async.sending.coalesce import LingeringBatcher
from moveworks_shift_async.wire.http import Request, Response
from moveworks_shift_async.wire.moveworks import Content

from .commands import HANG
from .fakes import Answer, FakeClock, answer, settle
from .test_session import Parts, build

EVENT = "7d9f7a54-3f9e-4c37-8a57-3b1a8f0f6a21"


@define(eq=False)
class Vendor:
    """Grants slots when `gate` is open; remembers whom each request was for."""

    open: asyncio.Event = field(factory=asyncio.Event)
    chunks: list[tuple[str, tuple[str, ...]]] = field(factory=list)
    error: BaseException | None = None
    before_slot: bool = False

    async def deliver(
        self, content: Content, people: Callable[[], tuple[str, ...]], call: Call
    ) -> Receipt:
        """One call: a slot, then the request."""
        await self.open.wait()
        if self.error is not None and self.before_slot:
            raise self.error
        chunk = people()
        call.attempts = call.requests = 1
        self.chunks.append((content.message, chunk))
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        assert people() == chunk
        return Receipt(status=200, state="RECEIVED", recipients=len(chunk), attempts=1)


def make(vendor: Vendor, clock: FakeClock, max_waiting: int = 50_000) -> LingeringBatcher:
    """A batcher that lingers for a second."""
    return LingeringBatcher(vendor.deliver, 1.0, max_waiting, "normal", clock)


def start(
    batcher: LingeringBatcher, *people: str, message: str = "hi"
) -> list[asyncio.Task[ChunkOutcome]]:
    """One send each."""
    return [asyncio.create_task(batcher.send(EVENT, message, person)) for person in people]


def crowd(count: int, name: str = "p") -> list[str]:
    """Distinct addresses."""
    return [f"{name}{number}@example.com" for number in range(count)]


class Careless(str):
    """A text that takes no notice of case."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self.lower() == other.lower()

    def __hash__(self) -> int:
        return hash(self.lower())


async def test_what_a_class_of_texts_calls_equal_shares_no_request(clock: FakeClock) -> None:
    """Each gets the text that was meant for him, whatever its class says of another."""
    vendor = Vendor()
    vendor.open.set()
    batcher = make(vendor, clock)
    tasks = start(batcher, "a@x.io", message=Careless("code: abc"))
    tasks += start(batcher, "b@x.io", message=Careless("code: ABC"))
    await settle()
    await clock.advance(1.0)
    await asyncio.gather(*tasks)
    assert vendor.chunks == [("code: abc", ("a@x.io",)), ("code: ABC", ("b@x.io",))]


@pytest.mark.parametrize("linger", [-1.0, float("nan")])
def test_a_linger_that_is_no_time_is_refused(linger: float, clock: FakeClock) -> None:
    """A timer for it would stop the others of the loop."""
    with pytest.raises(InvalidInput, match="linger"):
        LingeringBatcher(Vendor().deliver, linger, 1, "normal", clock)


async def test_sends_within_the_linger_share_a_request(clock: FakeClock) -> None:
    """They go out together when the oldest has lingered, not before, and all get the outcome."""
    vendor = Vendor()
    vendor.open.set()
    batcher = make(vendor, clock)
    tasks = start(batcher, "a@x.io", " b@x.io ")
    await clock.advance(0.9)
    tasks += start(batcher, "c@x.io")
    await settle()
    assert vendor.chunks == []
    await clock.advance(0.1)
    assert vendor.chunks == [("hi", ("a@x.io", "b@x.io", "c@x.io"))]
    outcomes = {id(await task) for task in tasks}
    assert len(outcomes) == 1
    assert (await tasks[0]).outcome is Outcome.ACCEPTED
    assert not batcher._groups


async def test_a_full_chunk_does_not_linger(clock: FakeClock) -> None:
    """500 go at once; the rest of the crowd follows in its own time."""
    vendor = Vendor()
    vendor.open.set()
    tasks = start(make(vendor, clock), *crowd(700))
    await settle()
    await settle()
    assert [len(chunk) for _, chunk in vendor.chunks] == [500]
    await clock.advance(1.0)
    assert [len(chunk) for _, chunk in vendor.chunks] == [500, 200]
    assert {(await task).index for task in tasks} == {0, 1}


async def test_who_comes_while_a_chunk_waits_for_its_slot_joins_it(clock: FakeClock) -> None:
    """The longer the wait, the fuller the chunk: it is cut when its slot is there."""
    vendor = Vendor()
    batcher = make(vendor, clock)
    tasks = start(batcher, "a@x.io")
    await clock.advance(5.0)
    tasks += start(batcher, *crowd(600))
    await clock.advance(5.0)
    assert vendor.chunks == []
    vendor.open.set()
    await settle()
    assert [len(chunk) for _, chunk in vendor.chunks] == [500, 101]
    await asyncio.gather(*tasks)


async def test_messages_take_turns(clock: FakeClock) -> None:
    """A crowd for one message does not keep another message from its turn."""
    order = asyncio.Queue[str]()
    turn = asyncio.Semaphore(0)

    async def deliver(
        content: Content, people: Callable[[], tuple[str, ...]], call: Call
    ) -> Receipt:
        await turn.acquire()  # first come, first served, as the gate is
        order.put_nowait(content.message)
        chunk = people()
        return Receipt(status=200, state=None, recipients=len(chunk), attempts=1)

    batcher = LingeringBatcher(deliver, 0.0, 50_000, "normal", clock)
    tasks = start(batcher, *crowd(1500), message="big")
    tasks += start(batcher, "a@x.io", message="small")
    await settle()
    for _ in range(4):
        turn.release()
        await settle()
    assert [order.get_nowait() for _ in range(4)] == ["big", "small", "big", "big"]
    await asyncio.gather(*tasks)


async def test_one_person_is_told_once_and_all_callers_hear(clock: FakeClock) -> None:
    """Two sends to one person in one chunk are one recipient, whatever the case."""
    vendor = Vendor()
    vendor.open.set()
    tasks = start(make(vendor, clock), "a@x.io", "A@X.io", "b@x.io")
    await clock.advance(1.0)
    assert vendor.chunks == [("hi", ("a@x.io", "b@x.io"))]
    assert len({id(await task) for task in tasks}) == 1


async def test_a_cancelled_caller_takes_out_its_recipient_only(clock: FakeClock) -> None:
    """Before the chunk goes out; not where another caller waits for the same person."""
    vendor = Vendor()
    vendor.open.set()
    batcher = make(vendor, clock)
    tasks = start(batcher, "a@x.io", "b@x.io", "b@x.io", "c@x.io")
    await settle()
    tasks[0].cancel()
    tasks[1].cancel()
    await clock.advance(1.0)
    assert vendor.chunks == [("hi", ("b@x.io", "c@x.io"))]
    assert (await tasks[2]).outcome is Outcome.ACCEPTED


def over(clock: FakeClock, *answers: Answer, **policy: Any) -> tuple[LingeringBatcher, Parts]:
    """A batcher that does not linger, over a session whose vendor gives these answers."""
    parts = build(clock, *answers, **policy)
    return Sender(parts.session, 32).batcher(0.0, 50_000, "normal"), parts


def told(parts: Parts, number: int = -1) -> list[str]:
    """Whom a request was for."""
    body = parts.transport.requests[number].body
    assert body is not None
    return list(json.loads(body)["recipients"])


async def test_who_is_cancelled_in_flight_may_have_been_told(clock: FakeClock) -> None:
    """The cancellation says so, as that of `events.send`; the others hear what became of it."""
    held = asyncio.Event()

    async def later(_: Request) -> Response:
        await held.wait()
        return answer(200)

    batcher, parts = over(clock, later)
    ann, bob = start(batcher, "ann@x.io", "bob@x.io")
    await clock.advance(0.0)
    assert told(parts) == ["ann@x.io", "bob@x.io"]
    ann.cancel()
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await ann
    assert isinstance(cancelled.value.__cause__, OutcomeUnknown)
    held.set()
    outcome = await bob
    assert (outcome.outcome, outcome.recipients) == (Outcome.ACCEPTED, ("ann@x.io", "bob@x.io"))


async def test_who_is_cancelled_when_the_answer_is_there_may_have_been_told(
    clock: FakeClock,
) -> None:
    """It is in the chunk's outcome, and the caller has not heard it yet."""

    async def now(_: Request) -> Response:
        asyncio.get_running_loop().call_soon(ann.cancel)
        return answer(200)

    batcher, _ = over(clock, now)
    (ann,) = start(batcher, "ann@x.io")
    await clock.advance(0.0)
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await ann
    assert isinstance(cancelled.value.__cause__, OutcomeUnknown)


@pytest.mark.parametrize("ends", ["accepted", "by what nobody sees", "cancelled"])
async def test_who_is_cancelled_as_the_request_ends_may_have_been_told(
    clock: FakeClock, ends: str
) -> None:
    """The request is in flight no more, and its outcome has reached nobody yet."""
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    held = asyncio.Event()

    async def later(_: Request) -> Response:
        await held.wait()
        if ends == "accepted":
            return answer(200)
        raise Unseen

    batcher, _ = over(clock, later)
    (ann,) = start(batcher, "ann@x.io")
    await clock.advance(0.0)
    if ends == "cancelled":
        closing = asyncio.create_task(batcher.close())
        await settle()
        closing.cancel()
        await asyncio.wait([closing])
    held.set()
    ann.cancel()
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await ann
    assert isinstance(cancelled.value.__cause__, OutcomeUnknown)


async def test_who_is_cancelled_before_a_second_request_may_have_been_told_by_the_first(
    clock: FakeClock,
) -> None:
    """And is not sent to again, whatever the policy says."""
    batcher, parts = over(clock, OutcomeUnknown("reset"), answer(200), on_unknown="resend")
    (ann,) = start(batcher, "ann@x.io")
    await clock.advance(0.0)
    assert told(parts) == ["ann@x.io"]
    ann.cancel()
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await ann
    assert isinstance(cancelled.value.__cause__, OutcomeUnknown)
    await clock.advance(60.0)
    assert len(parts.transport.requests) == 1


async def test_who_is_cancelled_in_a_pause_after_a_429_is_not_told(clock: FakeClock) -> None:
    """No request is out, and the next one is without this person."""
    batcher, parts = over(clock, answer(429), answer(200))
    ann, bob, bob_too = start(batcher, "ann@x.io", "bob@x.io", "bob@x.io")
    await clock.advance(0.0)
    assert told(parts) == ["ann@x.io", "bob@x.io"]
    ann.cancel()
    bob.cancel()
    for task in (ann, bob):
        with pytest.raises(asyncio.CancelledError) as cancelled:
            await task
        assert cancelled.value.__cause__ is None
    await clock.advance(120.0)
    assert len(parts.transport.requests) == 2
    assert told(parts) == ["bob@x.io"]
    outcome = await bob_too
    assert (outcome.recipients, outcome.attempts) == (("bob@x.io",), 2)
    assert outcome.receipt is not None
    assert outcome.receipt.recipients == 1


async def test_a_chunk_that_everybody_left_in_a_pause_is_not_sent_again(clock: FakeClock) -> None:
    """Nor does its call speak for those who came meanwhile; they have one of their own."""
    batcher, parts = over(clock, answer(429), answer(200))
    (ann,) = start(batcher, "ann@x.io")
    await clock.advance(0.0)
    ann.cancel()
    (bob,) = start(batcher, "bob@x.io")
    await clock.advance(120.0)
    assert (await bob).recipients == ("bob@x.io",)
    assert told(parts) == ["bob@x.io"]
    assert len(parts.transport.requests) == 2


async def test_who_is_cancelled_late_takes_no_later_send_out(clock: FakeClock) -> None:
    """The first send has gone with its chunk; the second to the same person is another one."""
    held = [asyncio.Event(), asyncio.Event()]
    numbers = iter((0, 1))

    async def later(_: Request) -> Response:
        await held[next(numbers)].wait()
        return answer(200)

    batcher, parts = over(clock, later)
    (first,) = start(batcher, "ann@x.io")
    await clock.advance(0.0)
    batcher._linger = 1.0
    (second,) = start(batcher, "ANN@x.io")
    await settle()
    first.cancel()
    await asyncio.wait({first})
    held[1].set()
    await clock.advance(1.0)
    assert told(parts) == ["ANN@x.io"]
    assert (await second).outcome is Outcome.ACCEPTED
    held[0].set()


async def test_what_was_passed_is_what_is_sent(clock: FakeClock) -> None:
    """Whatever the caller does to his context after the call, also before he awaits it."""
    batcher, parts = over(clock, answer(200))
    context: dict[str, Any] = {"slots": {"name": "Ann", "more": [1]}}
    ann = batcher.send(EVENT, "hi", "ann@x.io", context)
    context["slots"]["name"] = "Bob"
    context["slots"]["more"].append(2)
    bob = batcher.send(EVENT, "hi", "bob@x.io", context)
    context.clear()
    both = asyncio.gather(ann, bob)
    await clock.advance(0.0)
    await both
    bodies = [json.loads(request.body or b"") for request in parts.transport.requests]
    assert sorted((*body["recipients"], body["context"]["slots"]) for body in bodies) == [
        ("ann@x.io", {"name": "Ann", "more": [1]}),
        ("bob@x.io", {"name": "Bob", "more": [1, 2]}),
    ]


async def test_a_chunk_that_everybody_left_is_not_sent(clock: FakeClock) -> None:
    """Its slot is given back, and the group leaves nothing behind."""
    vendor = Vendor()
    batcher = make(vendor, clock)
    tasks = start(batcher, "a@x.io")
    await clock.advance(1.0)
    tasks[0].cancel()
    await settle()
    vendor.open.set()
    await settle()
    assert vendor.chunks == []
    assert not batcher._groups
    alone = start(batcher, "b@x.io")
    await settle()
    alone[0].cancel()
    await settle()
    assert not batcher._groups
    await batcher.close()


async def test_nobody_waits_for_a_request_that_is_for_nobody(clock: FakeClock) -> None:
    """In the queue, or in the pause after a 429: it ends at once, and so does the batcher."""
    batcher, parts = over(clock, answer(429))
    (ann,) = start(batcher, "ann@x.io")
    await clock.advance(0.0)
    (bob,) = start(batcher, "bob@x.io")
    await clock.advance(0.0)
    assert len(batcher._calls) == 2
    ann.cancel()
    bob.cancel()
    await asyncio.wait({ann, bob})
    await asyncio.wait_for(batcher.close(), HANG)
    assert parts.gate.snapshot().waiting == 0
    assert len(parts.transport.requests) == 1


async def test_who_comes_after_everybody_left_is_in_a_request_of_his_own(clock: FakeClock) -> None:
    """The end of the one that nobody waits for does not speak for him."""
    vendor = Vendor()
    batcher = make(vendor, clock)
    (ann,) = start(batcher, "ann@x.io")
    await clock.advance(1.0)
    ann.cancel()
    (bob,) = start(batcher, "bob@x.io")
    await settle()
    vendor.open.set()
    await clock.advance(1.0)
    assert (await bob).recipients == ("bob@x.io",)


async def test_a_chunk_in_flight_that_everybody_left_is_not_repeated(clock: FakeClock) -> None:
    """Its answer was a 429, so nobody was told, and nobody waits any more."""
    held = asyncio.Event()

    async def later(_: Request) -> Response:
        await held.wait()
        return answer(429)

    batcher, parts = over(clock, later)
    (ann,) = start(batcher, "ann@x.io")
    await clock.advance(0.0)
    ann.cancel()
    await asyncio.wait({ann})
    held.set()
    await asyncio.wait_for(batcher.close(), HANG)
    assert len(parts.transport.requests) == 1


async def test_who_withdraws_hears_of_the_request_on_its_way_and_is_in_no_other(
    clock: FakeClock,
) -> None:
    """A 429 ends it for him, and the repeat is for the others."""
    held = asyncio.Event()

    async def later(_: Request) -> Response:
        await held.wait()
        return answer(429)

    batcher, parts = over(clock, later, answer(200))
    ann, bob = start(batcher, "ann@x.io", "bob@x.io")
    await clock.advance(0.0)
    batcher.withdraw(ann)
    await settle()
    assert not ann.done()
    held.set()
    await settle()
    assert ann.cancelled()
    await clock.advance(120.0)
    assert (await bob).recipients == ("bob@x.io",)
    assert told(parts) == ["bob@x.io"]


async def test_who_withdraws_gets_the_answer_on_its_way(clock: FakeClock) -> None:
    """Alone or not; and who waits for a slot, or for room, goes at once."""
    held = asyncio.Event()

    async def later(_: Request) -> Response:
        await held.wait()
        return answer(200)

    batcher, _ = over(clock, later, budget=1)
    (ann,) = start(batcher, "ann@x.io")
    await clock.advance(0.0)
    batcher.withdraw(ann)
    (bob,) = start(batcher, "bob@x.io")
    batcher.withdraw(bob)
    await settle()
    assert bob.cancelled()
    held.set()
    assert (await ann).outcome is Outcome.ACCEPTED


async def test_a_batcher_that_is_stopped_sends_nothing_more(clock: FakeClock) -> None:
    """What is in flight ends with its answer, the rest is not sent, later sends are refused."""
    held = asyncio.Event()

    async def later(_: Request) -> Response:
        await held.wait()
        return answer(200)

    batcher, parts = over(clock, later, budget=1)
    (ann,) = start(batcher, "ann@x.io")
    await clock.advance(0.0)
    batcher._linger = 60.0
    others = start(batcher, *crowd(1100))
    await settle()
    batcher.stop()
    assert {(await task).outcome for task in others} == {Outcome.NOT_SENT}
    held.set()
    assert (await ann).outcome is Outcome.ACCEPTED
    with pytest.raises(ClientClosed):
        await batcher.send(EVENT, "hi", "late@x.io")
    await batcher.close()
    assert len(parts.transport.requests) == 1


@pytest.mark.parametrize("before_slot", [False, True])
@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (BadRequest("no", status=400), Outcome.REJECTED),
        (OutcomeUnknown("reset"), Outcome.UNKNOWN),
        (ZeroDivisionError(), Outcome.UNKNOWN),
    ],
)
async def test_a_failure_is_in_everybodys_outcome(
    clock: FakeClock, error: Exception, outcome: Outcome, before_slot: bool
) -> None:
    """A send does not raise what became of its chunk; it returns it."""
    vendor = Vendor(error=error, before_slot=before_slot)
    vendor.open.set()
    tasks = start(make(vendor, clock), "a@x.io", "b@x.io")
    await clock.advance(1.0)
    for task in tasks:
        assert (await task).outcome is outcome
        assert (await task).recipients == ("a@x.io", "b@x.io")


class Unseen(BaseException):
    """No `except Exception` sees it."""


@pytest.mark.parametrize("before_slot", [False, True])
@pytest.mark.parametrize("error", [Unseen, GeneratorExit])
async def test_what_a_gate_or_a_session_raises_is_in_everybodys_outcome(
    clock: FakeClock, error: type[BaseException], before_slot: bool
) -> None:
    """Nobody waits for ever, and the event loop hears of it."""
    vendor = Vendor(error=error(), before_slot=before_slot)
    vendor.open.set()
    heard = list[object]()
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: heard.append(context["exception"])
    )
    tasks = start(make(vendor, clock), "a@x.io", "b@x.io")
    await clock.advance(1.0)
    expected = Outcome.NOT_SENT if before_slot else Outcome.UNKNOWN
    for task in tasks:
        outcome = await task
        assert outcome.outcome is expected
        assert outcome.error is not None
        assert outcome.error.__cause__ is vendor.error
    gc.collect()
    assert heard == [vendor.error]


def test_a_loop_that_ends_while_a_chunk_waits_leaves_nothing_to_say(clock: FakeClock) -> None:
    """Who waited is gone with the loop; nothing is raised where nobody can hear it."""
    loop = asyncio.new_event_loop()

    async def begin() -> None:
        start(make(Vendor(), clock), "a@x.io")
        await settle()
        await clock.advance(1.0)

    try:
        loop.run_until_complete(begin())
    finally:
        loop.set_exception_handler(lambda *_: None)  # tasks that end unfinished are what is tested
        loop.close()
    gc.collect()


async def test_closing_flushes(clock: FakeClock) -> None:
    """What lingers goes out at once, later sends are refused, and closing waits for the answers."""
    vendor = Vendor()
    vendor.open.set()
    async with make(vendor, clock) as batcher:
        tasks = start(batcher, *crowd(700))
        await asyncio.sleep(0)
    assert sorted(len(chunk) for _, chunk in vendor.chunks) == [200, 500]
    assert {(await task).outcome for task in tasks} == {Outcome.ACCEPTED}
    with pytest.raises(ClientClosed):
        await batcher.send(EVENT, "hi", "late@x.io")


async def test_a_close_that_is_cancelled_leaves_nobody_waiting(clock: FakeClock) -> None:
    """Whoever waits for a chunk that will not go out is told that it was not sent."""
    batcher = make(Vendor(), clock)
    tasks = start(batcher, "a@x.io") + start(batcher, "b@x.io", message="other")
    await clock.advance(1.0)
    closing = asyncio.create_task(batcher.close())
    await settle()
    closing.cancel()
    await asyncio.wait({closing, *tasks}, timeout=HANG)
    assert closing.cancelled()
    assert [(await task).outcome for task in tasks] == [Outcome.NOT_SENT] * 2
    assert {type((await task).error) for task in tasks} == {NotSent}


async def test_a_call_cancelled_before_its_first_step_tells_its_callers(clock: FakeClock) -> None:
    """A task that never ran cannot speak for itself."""
    batcher = make(Vendor(), clock)
    tasks = start(batcher, "a@x.io")
    await settle()
    closing = asyncio.create_task(batcher.close())
    closing.cancel()
    await asyncio.wait({closing}, timeout=HANG)
    await clock.advance(1.0)
    for call in [*batcher._calls]:
        call.cancel()
    await asyncio.wait(tasks, timeout=HANG)
    assert (await tasks[0]).outcome is Outcome.NOT_SENT


async def test_memory_is_bounded_by_back_pressure(clock: FakeClock) -> None:
    """Beyond `max_waiting` a send waits for room before it takes any."""
    vendor = Vendor()
    batcher = make(vendor, clock, max_waiting=3)
    tasks = start(batcher, *crowd(5))
    await settle()
    assert sum(len(group.entries) for group in batcher._groups.values()) == 3
    vendor.open.set()
    await clock.advance(1.0)
    await clock.advance(1.0)
    assert [len(chunk) for _, chunk in vendor.chunks] == [3, 2]
    await asyncio.gather(*tasks)


async def test_bad_arguments_are_refused_at_once(clock: FakeClock) -> None:
    """Nobody else's chunk suffers from them."""
    batcher = make(Vendor(), clock)
    with pytest.raises(InvalidInput, match="no address"):
        await batcher.send(EVENT, "hi", "nobody")
    with pytest.raises(InvalidInput, match="no address"):
        await batcher.send(EVENT, "hi", None)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="UUID"):
        await batcher.send("x", "hi", "a@x.io")
    with pytest.raises(InvalidInput, match="key that is no text"):
        await batcher.send(EVENT, "hi", "a@x.io", {"slots": {"a": 1}, 7: "b"})  # type: ignore[dict-item]
    with pytest.raises(InvalidInput, match="20000"):
        await batcher.send(EVENT, "", "a@x.io")
    for linger, most in [(-1.0, 5), (1.0, 0)]:
        with pytest.raises(InvalidInput, match="linger"):
            LingeringBatcher(Vendor().deliver, linger, most, "normal", clock)


async def test_ten_thousand_single_sends_cost_twenty_requests() -> None:
    """Over real HTTP, under a limit of 5 a second: 20 requests, everybody told once, no 429."""
    async with (
        Sandbox(limit=5, window=0.2) as sandbox,
        MoveworksClient(
            ApiKey(sandbox.api_key),
            base_url=sandbox.url,
            rate_limit=RateLimit(requests=5, per=0.2),
        ) as client,
        client.events.batcher() as batcher,
    ):
        async with asyncio.TaskGroup() as tasks:
            sends = [
                tasks.create_task(batcher.send(sandbox.event_id, "hi", person, {"slots": {}}))
                for person in crowd(10_000)
            ]
        assert all(send.result().outcome is Outcome.ACCEPTED for send in sends)
        stats = sandbox.stats()
    assert (stats.accepted, stats.throttled) == (20, 0)
    assert (stats.people, stats.people_told_again) == (10_000, 0)
