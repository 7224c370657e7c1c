"""The gate of this process: order, one timer, pauses, cancellation, threads, sharing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from asyncio import AbstractEventLoop
from collections.abc import Iterator
from math import inf
from typing import Any

import pytest
from attrs import define
from hypothesis import given, settings
from hypothesis import strategies as st

from moveworks_shift_async import ApiKey, MoveworksClient
from moveworks_shift_async.clock import SYSTEM_CLOCK
from moveworks_shift_async.errors import ConfigurationError, DeadlineExceeded
from moveworks_shift_async.limits import process
from moveworks_shift_async.limits.adaptive_window import AdaptiveWindow
from moveworks_shift_async.limits.process import ProcessGate, join_process_gate
from moveworks_shift_async.limits.window import CLOCK_SLACK, Slot
from moveworks_shift_async.sandbox import Sandbox
from moveworks_shift_async.settings import RateLimit

from .fakes import FakeClock, settle

WINDOW = 10.0
FULL_WINDOW = WINDOW * (1 + CLOCK_SLACK)


def make_gate(clock: FakeClock, budget: int = 2, max_in_flight: int = 32) -> ProcessGate:
    """A gate of `budget` slots in 10 s."""
    return ProcessGate(AdaptiveWindow.of(budget, WINDOW, max_in_flight), clock)


async def take(gate: ProcessGate, name: str, log: list[str]) -> None:
    """Acquire, note it, and answer at once."""
    slot = await gate.acquire()
    log.append(name)
    gate.release(slot, counted=True)


async def test_slots_are_free_until_the_budget_is_used(clock: FakeClock) -> None:
    """The first `budget` calls start at once, the next one window after the first answer."""
    gate, log = make_gate(clock), list[str]()
    async with asyncio.TaskGroup() as tasks:
        for name in "abc":
            tasks.create_task(take(gate, name, log))
        await settle()
        assert log == ["a", "b"]
        await clock.advance(WINDOW)
        assert log == ["a", "b"]
        await clock.advance(FULL_WINDOW - WINDOW)
        assert log == ["a", "b", "c"]


async def test_waiters_are_served_in_order_by_one_timer(clock: FakeClock) -> None:
    """10,000 waiters arm one timer and are served first come first served."""
    gate, log = make_gate(clock), list[str]()
    tasks = [asyncio.create_task(take(gate, str(i), log)) for i in range(10_000)]
    await settle()
    assert (clock.armed, gate.snapshot().waiting) == (1, 9_998)
    await clock.advance(FULL_WINDOW)
    assert log == ["0", "1", "2", "3"]
    assert clock.armed == 2
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert gate.snapshot().waiting == 0


async def test_a_cancelled_waiter_loses_no_slot(clock: FakeClock) -> None:
    """Cancelling a waiter, before or just after its slot was granted, leaves the slot to others."""
    gate, log = make_gate(clock, budget=1), list[str]()
    slot = await gate.acquire()
    first = asyncio.create_task(take(gate, "first", log))
    second = asyncio.create_task(take(gate, "second", log))
    third = asyncio.create_task(take(gate, "third", log))
    await settle()
    first.cancel()
    await settle()
    gate.release(slot, counted=False)  # grants the second, which has not run yet
    second.cancel()
    await settle()
    assert first.cancelled()
    assert second.cancelled()
    assert log == ["third"]
    assert gate.snapshot().in_flight == 0
    await third


async def test_a_request_that_never_went_out_gives_its_slot_back(clock: FakeClock) -> None:
    """A release that does not count frees the slot at once."""
    gate, log = make_gate(clock, budget=1), list[str]()
    slot = await gate.acquire()
    waiting = asyncio.create_task(take(gate, "next", log))
    await settle()
    gate.release(slot, counted=False)
    await waiting
    assert log == ["next"]


async def test_everybody_waits_for_a_429(clock: FakeClock) -> None:
    """A 429 holds back free slots until its deadline; another one does not shorten it."""
    gate, log = make_gate(clock, budget=3), list[str]()
    first, second = await gate.acquire(), await gate.acquire()
    gate.refused(first, 5.0)
    gate.refused(second, 1.0)
    waiting = asyncio.create_task(take(gate, "a", log))
    await clock.advance(4.9)
    assert log == []
    assert gate.snapshot().paused_for == pytest.approx(0.1)
    assert "paused for 0.1 s" in repr(gate)
    await clock.advance(0.1)
    assert log == ["a"]
    await waiting


async def test_after_a_429_one_goes_first_and_the_rest_follow_evenly(clock: FakeClock) -> None:
    """One probe; when it passes, the others go at a pace, on a timer that was moved forward."""
    gate, log = make_gate(clock, budget=10), list[str]()
    gate.refused(await gate.acquire(), 5.0)
    probing = asyncio.create_task(gate.acquire())
    waiting = [asyncio.create_task(take(gate, name, log)) for name in "abc"]
    await clock.advance(5.0)
    assert probing.done()
    assert gate.snapshot().mode == "probing"
    await clock.advance(1.0)
    assert log == []
    gate.release(probing.result(), counted=True)
    await settle()
    assert len(log) < 3
    await clock.advance(3.0)
    assert log == ["a", "b", "c"]
    assert gate.snapshot().mode == "paced"
    await asyncio.gather(*waiting)


async def test_max_in_flight_bounds_what_is_under_way(clock: FakeClock) -> None:
    """With `max_in_flight` requests out the next waits for an answer, and no timer runs."""
    gate, log = make_gate(clock, budget=10, max_in_flight=1), list[str]()
    slot = await gate.acquire()
    waiting = asyncio.create_task(take(gate, "next", log))
    await settle()
    assert (clock.armed, gate.snapshot().next_in) == (0, inf)
    gate.release(slot, counted=True)
    await waiting
    assert log == ["next"]


async def test_a_wait_known_to_outlast_the_deadline_is_not_begun(clock: FakeClock) -> None:
    """The caller is told at once that the slot would come too late."""
    gate = make_gate(clock, budget=1)
    slot = await gate.acquire()
    gate.release(slot, counted=True)
    with pytest.raises(DeadlineExceeded) as raised:
        await gate.acquire(deadline=clock.now() + 5)
    assert raised.value.retry_after == gate.snapshot().next_in > 5
    assert gate.snapshot().waiting == 0


async def test_a_pause_fails_those_whose_deadline_comes_before(clock: FakeClock) -> None:
    """When a pause makes a wait hopeless, it ends; the others wait on."""
    gate = make_gate(clock, budget=2, max_in_flight=2)
    slot, other = await gate.acquire(), await gate.acquire()
    hurried = asyncio.create_task(gate.acquire(clock.now() + 20))
    patient = asyncio.create_task(gate.acquire())
    await settle()
    gate.refused(other, 30.0)
    with pytest.raises(DeadlineExceeded) as raised:
        await hurried
    assert raised.value.retry_after == 30.0
    assert gate.snapshot().waiting == 1
    gate.release(slot, counted=False)
    await clock.advance(30.0)
    await patient


async def test_a_deadline_ends_the_wait_for_an_answer_that_does_not_come() -> None:
    """Where nobody can know the wait, it ends at the deadline itself."""
    gate = ProcessGate(AdaptiveWindow.of(1, WINDOW, 1))
    await gate.acquire()
    with pytest.raises(DeadlineExceeded) as raised:
        # An answer now would free the slot one window from now, so this is refused at once ...
        await gate.acquire(gate.clock.now() + 0.01)
    assert raised.value.retry_after == WINDOW
    gate = ProcessGate(AdaptiveWindow.of(2, WINDOW, 1))
    await gate.acquire()
    with pytest.raises(DeadlineExceeded) as raised:
        # ... and here it would free a slot at once, so only waiting can tell.
        await gate.acquire(gate.clock.now() + 0.01)
    assert raised.value.retry_after is None
    assert gate.snapshot().waiting == 0


def test_threads_with_loops_of_their_own_share_one_gate() -> None:
    """Calls from several event loops in several threads never exceed the budget, none is lost."""
    gate = ProcessGate(AdaptiveWindow.of(10, 0.05, 32))
    starts: list[float] = []

    async def work() -> None:
        for _ in range(10):
            slot = await gate.acquire()
            starts.append(gate.clock.now())
            await asyncio.sleep(0)
            gate.release(slot, counted=True)

    threads = [threading.Thread(target=lambda: asyncio.run(work())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    starts.sort()
    assert len(starts) == 40
    assert all(late - early >= 0.05 for early, late in zip(starts, starts[10:], strict=False))


def test_a_loop_that_dies_with_waiters_blocks_nobody() -> None:
    """A loop closed without cancelling its waiters leaves the gate usable for another loop."""
    gate = ProcessGate(AdaptiveWindow.of(1, 0.05, 32))
    dead = asyncio.new_event_loop()
    slot = dead.run_until_complete(gate.acquire())
    waiter = dead.create_task(gate.acquire())
    dead.run_until_complete(asyncio.sleep(0))
    gate.release(slot, counted=True)
    dead.close()
    asyncio.run(asyncio.wait_for(gate.acquire(), 60))
    assert gate.snapshot().in_flight == 1
    with contextlib.suppress(Exception):
        waiter.get_coro().close()
    waiter._log_destroy_pending = False  # type: ignore[attr-defined]


@contextlib.contextmanager
def stopped_loop(gate: ProcessGate, *names: str, log: list[str]) -> Iterator[AbstractEventLoop]:
    """An event loop in which these wait for the gate, and which stands still."""
    loop = asyncio.new_event_loop()
    tasks = [loop.create_task(take(gate, name, log)) for name in names]
    loop.run_until_complete(settle())
    yield loop
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.close()


def test_a_loop_that_stands_still_takes_no_slot_from_the_others() -> None:
    """Those in it are passed over; when it runs again they have their places, in their order."""
    clock, log = FakeClock(), list[str]()
    gate = make_gate(clock, budget=1)
    gate.release(asyncio.run(gate.acquire()), counted=True)
    with stopped_loop(gate, "still 1", "still 2", log=log) as loop:

        async def others() -> None:
            async with asyncio.TaskGroup() as tasks:
                for name in "abc":
                    tasks.create_task(take(gate, name, log))
                for number in range(3):
                    await clock.advance(FULL_WINDOW)
                    assert len(log) == number + 1

        asyncio.run(others())
        assert log == ["a", "b", "c"]
        assert gate.snapshot().in_flight == 0
        clock.time += FULL_WINDOW
        loop.run_until_complete(settle())
        assert log[3:] == ["still 1"]
        loop.run_until_complete(clock.advance(FULL_WINDOW))
    assert log[3:] == ["still 1", "still 2"]


def test_a_loop_that_stops_keeps_no_timer_for_the_others() -> None:
    """Each loop has its own: nothing else happens, and the second one is served all the same."""
    gate = ProcessGate(AdaptiveWindow.of(1, 0.05, 32))
    slot = asyncio.run(gate.acquire())
    first = asyncio.new_event_loop()
    running = threading.Thread(target=first.run_forever)
    running.start()
    waiting = asyncio.run_coroutine_threadsafe(gate.acquire(), first)

    async def second() -> None:
        while not gate.snapshot().waiting:  # noqa: ASYNC110 - another thread's
            await asyncio.sleep(0)
        mine = asyncio.create_task(gate.acquire())
        await settle()
        gate.release(slot, counted=True)
        first.call_soon_threadsafe(first.stop)
        running.join()
        await mine

    asyncio.run(asyncio.wait_for(second(), 60))
    waiting.cancel()
    first.run_until_complete(settle())
    first.close()


class ClosedJustNow(asyncio.SelectorEventLoop):
    """A loop that is closed between the question whether it runs and the answer."""

    closes = False

    def is_running(self) -> bool:
        """So it seems."""
        return self.closes or super().is_running()

    def call_soon_threadsafe(self, *args: Any, **options: Any) -> Any:  # type: ignore[override]
        """But nobody is there."""
        if self.closes:
            raise RuntimeError("Event loop is closed")
        return super().call_soon_threadsafe(*args, **options)


@pytest.mark.parametrize("ending", ["granted", "paused"])
def test_a_waiter_whose_loop_was_closed_just_now_keeps_no_slot(ending: str) -> None:
    """It is given back at once, and a 429 that makes its wait hopeless is still everybody's."""
    gate = make_gate(FakeClock(), budget=2, max_in_flight=1)
    loop = ClosedJustNow()
    slot = loop.run_until_complete(gate.acquire())
    waiter = loop.create_task(gate.acquire(gate.clock.now() + 3 * WINDOW))
    loop.run_until_complete(settle())
    loop.closes = True
    if ending == "granted":
        gate.release(slot, counted=False)
        assert gate.snapshot().used == 0
    else:
        gate.refused(slot, 9 * WINDOW)
        assert gate.snapshot().paused_for == 9 * WINDOW
    assert (gate.snapshot().in_flight, gate.snapshot().waiting) == (0, 0)
    loop.closes = False
    waiter.cancel()
    loop.run_until_complete(asyncio.gather(waiter, return_exceptions=True))
    loop.close()
    assert gate.snapshot().in_flight == 0


async def test_a_newcomer_overtakes_nobody(clock: FakeClock) -> None:
    """Also where a slot is free already and the timer for those who wait has not rung."""
    gate, log = make_gate(clock, budget=1), list[str]()
    gate.release(await gate.acquire(), counted=True)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(take(gate, "first", log))
        await settle()
        clock.time += FULL_WINDOW
        tasks.create_task(take(gate, "newcomer", log))
        await settle()
        await clock.advance(0)
        assert log == ["first"]
        await clock.advance(FULL_WINDOW)
    assert log == ["first", "newcomer"]


async def test_what_a_journal_knows_holds_its_slots(clock: FakeClock) -> None:
    """A gate that is told counts it for the rest of its window, beside what it knows itself."""
    gate, log = make_gate(clock, budget=3), list[str]()
    gate.observed([4.0, 1.0, WINDOW * 2])
    assert gate.snapshot().used == 2
    gate.release(await gate.acquire(), counted=True)
    gate.observed([4.0])  # it knows
    waiting = asyncio.create_task(take(gate, "next", log))
    await clock.advance(FULL_WINDOW - 4.1)
    assert (log, gate.snapshot().used) == ([], 3)
    await clock.advance(0.1)
    assert log == ["next"]
    await waiting


async def test_a_restart_meets_no_429_of_its_own_making() -> None:
    """Killed after its burst and gone on with in the same window, told what the journal says."""
    async with Sandbox(limit=4, window=0.4, limiter="sliding-log") as sandbox:

        async def run(ages: list[float]) -> list[float]:
            """One process; when its requests ended."""
            limit, ends = RateLimit(requests=4, per=0.4), list[float]()
            key = ApiKey(sandbox.api_key)
            client = MoveworksClient(key, base_url=sandbox.url, rate_limit=limit)
            async with client:
                client.gate.observed(ages)

                async def send(number: int) -> None:
                    await client.messages.send("hello", [f"p{number}@example.com"])
                    ends.append(SYSTEM_CLOCK.now())

                async with asyncio.TaskGroup() as tasks:
                    for number in range(4):
                        tasks.create_task(send(number))
            process._gates.clear()
            return ends

        ends = await run([])
        await run([SYSTEM_CLOCK.now() - end for end in ends])
        stats = sandbox.stats()
    assert (stats.accepted, stats.throttled, stats.max_arrived_in_window) == (8, 0, 4)


@define(eq=False)
class User:
    """Somebody who joins a gate."""


def test_clients_of_one_organisation_share_a_gate() -> None:
    """The same key gives the same gate, another key another; what was spent outlives its user."""
    clock, limit = FakeClock(), RateLimit(requests=1, per=WINDOW)
    ann, bob = User(), User()
    gate = join_process_gate(ann, "org", limit, 32, clock)
    assert join_process_gate(bob, "org", limit, 32, clock) is gate
    assert join_process_gate(bob, "other", limit, 32, clock) is not gate
    slot = asyncio.run(gate.acquire())
    gate.release(slot, counted=True)
    gate.leave(ann)
    gate.leave(bob)
    carol = User()
    assert join_process_gate(carol, "org", limit, 32, clock).snapshot().used == 1
    gate.leave(carol)
    clock.time += FULL_WINDOW
    join_process_gate(carol, "another", limit, 32, clock)
    assert (os.getpid(), "org") not in process._gates


def test_a_pause_outlives_the_clients_and_the_window() -> None:
    """A server that asked for more than a window of quiet gets it from the next client, too."""
    clock, limit, ann = FakeClock(), RateLimit(requests=2, per=WINDOW), User()
    gate = join_process_gate(ann, "org", limit, 32, clock)
    gate.refused(asyncio.run(gate.acquire()), 5 * WINDOW)
    gate.leave(ann)
    clock.time += 2 * WINDOW
    bob = User()
    assert join_process_gate(bob, "org", limit, 32, clock).snapshot().paused_for == 3 * WINDOW
    gate.leave(bob)
    clock.time += 3 * WINDOW
    join_process_gate(bob, "another", limit, 32, clock)
    assert (os.getpid(), "org") not in process._gates


def test_two_limits_for_one_organisation_are_refused_while_both_are_open() -> None:
    """A second client with another limit is told so; once the first has left it sets its own."""
    ann, bob = User(), User()
    gate = join_process_gate(ann, "org", RateLimit(requests=5), 32)
    with pytest.raises(ConfigurationError, match="share one gate"):
        join_process_gate(bob, "org", RateLimit(requests=6), 32)
    gate.leave(ann)
    assert join_process_gate(bob, "org", RateLimit(requests=6), 32).snapshot().budget == 6


def test_a_user_that_was_forgotten_leaves_by_itself() -> None:
    """A client that was dropped without closing does not hold the limit for ever."""
    ann, bob = User(), User()
    join_process_gate(ann, "org", RateLimit(requests=5), 32)
    del ann
    assert join_process_gate(bob, "org", RateLimit(requests=6), 32).snapshot().budget == 6


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["take", "cancel", "answer", "unsent", "429", "wait"])))
def test_no_interleaving_loses_or_makes_up_a_slot(steps: list[str]) -> None:
    """Whatever happens in whatever order, every waiter is served in the end and no slot leaks."""
    asyncio.run(_interleave(steps))


async def _interleave(steps: list[str]) -> None:
    clock = FakeClock()
    gate = make_gate(clock, budget=3, max_in_flight=2)
    tasks: list[asyncio.Task[Slot]] = []
    for step in steps:
        held = [task for task in tasks if task.done() and not task.cancelled()]
        match step:
            case "take":
                tasks.append(asyncio.create_task(gate.acquire()))
            case "cancel" if tasks:
                tasks[-1].cancel()
            case "answer" | "unsent" if held:
                tasks.remove(held[0])
                gate.release(held[0].result(), counted=step == "answer")
            case "429" if held:
                tasks.remove(held[0])
                gate.refused(held[0].result())
            case "wait":
                await clock.advance(4.0)
        await settle()
        assert 0 <= gate.snapshot().used <= 3
        assert gate.snapshot().in_flight <= 2
    while tasks:
        ended = [task for task in tasks if task.done()]
        for task in ended:
            tasks.remove(task)
            if not task.cancelled():
                gate.release(task.result(), counted=True)
        await clock.advance(FULL_WINDOW)
    await clock.advance(FULL_WINDOW)
    left = gate.snapshot()
    assert (left.used, left.in_flight, left.waiting) == (0, 0, 0)
    gate.release(await gate.acquire(clock.now()), counted=False)


async def test_a_forked_process_has_a_gate_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in flight in its parent never ends here, and would keep its slot for good."""
    parent, child = User(), User()
    gate = join_process_gate(parent, "org", RateLimit(), 1)
    await gate.acquire()
    monkeypatch.setattr("os.getpid", lambda: 1)
    forked = join_process_gate(child, "org", RateLimit(requests=7), 2)
    assert forked.snapshot().in_flight == 0
    assert await forked.acquire()
    assert join_process_gate(User(), "org", RateLimit(requests=7), 2) is forked
