"""What every gate promises, wherever it keeps its count; see `limits.gate.Gate`.

A new kind is one more entry in `KINDS`.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from math import inf

import pytest
from attrs import define, field

from moveworks_shift_async.errors import ConfigurationError, DeadlineExceeded
from moveworks_shift_async.limits.adaptive_window import AdaptiveWindow
from moveworks_shift_async.limits.choice import join_gate
from moveworks_shift_async.limits.gate import Gate
from moveworks_shift_async.limits.priority import Priority
from moveworks_shift_async.limits.process import ProcessGate
from moveworks_shift_async.limits.shared.file_gate import FileGate
from moveworks_shift_async.limits.window import CLOCK_SLACK
from moveworks_shift_async.settings import RateLimit
from moveworks_shift_async.validators import check_methods

from ..fakes import FakeClock, settle
from .memory_gate import memory_gate
from .postgres_gates import gate_in_postgres

LIMIT = RateLimit(requests=2, per=10.0)
FULL_WINDOW = LIMIT.per * (1 + CLOCK_SLACK) + 0.01
# A gate in a file looks so often whether others have given a slot back.
LOOK = 1.0


def process_gate(clock: FakeClock, request: pytest.FixtureRequest) -> Gate:
    """The gate of this process."""
    return ProcessGate(AdaptiveWindow.of(1, 1.0, 1), clock)


def file_gate(clock: FakeClock, request: pytest.FixtureRequest) -> Gate:
    """The gate of this machine."""
    return FileGate(request.getfixturevalue("tmp_path") / "gate", clock)


def gate_elsewhere(clock: FakeClock, request: pytest.FixtureRequest) -> Gate:
    """A shared gate whose state and clock are not of this machine."""
    return memory_gate(str(request.getfixturevalue("tmp_path")), clock)


def postgres_gate(clock: FakeClock, request: pytest.FixtureRequest) -> Gate:
    """The gate of many machines, with a row and a database's clock of this test's own."""
    return gate_in_postgres(request, clock)


KINDS = {
    "process": process_gate,
    "file": file_gate,
    "memory": gate_elsewhere,
    "postgres": postgres_gate,
}
Make = Callable[[], Gate]


class User:
    """A client, as far as a gate knows one."""


@define(eq=False)
class Waiting:
    """Calls that wait for a slot, and the order in which they were served."""

    gate: Gate
    served: list[str] = field(factory=list)

    def call(self, name: str, priority: Priority = "normal") -> asyncio.Task[None]:
        """One that waits, and gives its slot back when it has it."""
        return asyncio.ensure_future(self._take(name, priority))

    async def _take(self, name: str, priority: Priority) -> None:
        slot = await self.gate.acquire(inf, priority)
        self.served.append(name)
        self.gate.release(slot, counted=True)


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, clock: FakeClock) -> Make:
    """Makes gates of one kind, all of the same place if it has one."""
    return lambda: KINDS[request.param](clock, request)


@pytest.fixture
def user() -> User:
    """Who joined the gate."""
    return User()


@pytest.fixture
def gate(make: Make, user: User) -> Gate:
    """One that a client has joined."""
    gate = make()
    gate.join(user, "acme", LIMIT, 32)
    return gate


async def test_it_lets_the_budget_through_and_then_makes_wait(gate: Gate, clock: FakeClock) -> None:
    """The next starts one window after an answer, and not before."""
    for _ in range(LIMIT.budget):
        gate.release(await gate.acquire(inf, "normal"), counted=True)
    waiting = Waiting(gate)
    task = waiting.call("next")
    await clock.advance(LIMIT.per * 0.99)
    assert (waiting.served, gate.snapshot().waiting) == ([], 1)
    await clock.advance(LIMIT.per * 0.02 + LOOK)
    await task
    assert waiting.served == ["next"]


async def test_a_process_that_is_held_up_starts_nothing_early(gate: Gate, clock: FakeClock) -> None:
    """On a busy machine time passes between two looks at the clock, and none of it is lost."""
    for _ in range(LIMIT.budget):
        gate.release(await gate.acquire(inf, "normal"), counted=True)
    released, clock.held_up = clock.time, LIMIT.per / 100
    waiting = Waiting(gate)
    tasks = [waiting.call("next") for _ in range(30)]
    while not waiting.served:
        await clock.advance(LIMIT.per / 100)
    assert clock.time - released >= LIMIT.per
    clock.held_up = 0.0
    await clock.advance(30 * FULL_WINDOW)
    await asyncio.gather(*tasks)


async def test_a_slot_in_flight_is_held_however_long(gate: Gate, clock: FakeClock) -> None:
    """Its window begins with the answer."""
    slots = [await gate.acquire(inf, "normal") for _ in range(LIMIT.budget)]
    waiting = Waiting(gate)
    task = waiting.call("next")
    await clock.advance(10 * FULL_WINDOW)
    assert waiting.served == []
    assert gate.snapshot().in_flight == LIMIT.budget
    gate.release(slots[0], counted=True)
    await clock.advance(FULL_WINDOW + LOOK)
    await task


async def test_what_never_left_gives_its_slot_back_at_once(gate: Gate, clock: FakeClock) -> None:
    """The server can have counted nothing."""
    slots = [await gate.acquire(inf, "normal") for _ in range(LIMIT.budget)]
    waiting = Waiting(gate)
    task = waiting.call("next")
    gate.release(slots[0], counted=False)
    await clock.advance(LOOK)
    await task
    assert waiting.served == ["next"]


async def test_a_429_pauses_everybody_for_as_long_as_was_asked(
    gate: Gate, clock: FakeClock
) -> None:
    """Nobody starts before."""
    gate.refused(await gate.acquire(inf, "normal"), 30.0)
    assert gate.snapshot().paused_for == pytest.approx(30.0)
    waiting = Waiting(gate)
    task = waiting.call("next")
    await clock.advance(29.9)
    assert waiting.served == []
    await clock.advance(0.2 + LOOK)
    await task


async def test_a_429_without_a_time_pauses_for_a_while(gate: Gate) -> None:
    """How long is the gate's to know."""
    gate.refused(await gate.acquire(inf, "normal"), None)
    assert 0 < gate.snapshot().paused_for < inf


async def test_a_wait_that_outlasts_the_deadline_is_not_begun(gate: Gate, clock: FakeClock) -> None:
    """It ends at once, or at the deadline where nobody could know."""
    slots = [await gate.acquire(inf, "normal") for _ in range(LIMIT.budget)]
    task = asyncio.ensure_future(gate.acquire(clock.now() + 5.0, "normal"))
    await settle()
    gate.refused(slots[0], 60.0)
    with pytest.raises(DeadlineExceeded):
        await task
    with pytest.raises(DeadlineExceeded) as raised:
        await gate.acquire(clock.now() + 5.0, "normal")
    assert (raised.value.retry_after or 0.0) > 5.0
    assert gate.snapshot().waiting == 0


async def test_the_urgent_are_served_first(gate: Gate, clock: FakeClock) -> None:
    """And of one urgency who came first."""
    slots = [await gate.acquire(inf, "normal") for _ in range(LIMIT.budget)]
    waiting = Waiting(gate)
    calls: list[tuple[str, Priority]] = [
        ("job", "bulk"),
        ("one", "normal"),
        ("two", "normal"),
        ("alert", "urgent"),
    ]
    tasks = [waiting.call(*call) for call in calls]
    await settle()
    for slot in slots:
        gate.release(slot, counted=True)
    await clock.advance(3 * FULL_WINDOW + LOOK)
    await asyncio.gather(*tasks)
    assert waiting.served == ["alert", "one", "two", "job"]


async def test_cancelling_a_call_that_waits_loses_nothing(gate: Gate, clock: FakeClock) -> None:
    """Before its slot or with it, the next one gets it."""
    slot, _ = [await gate.acquire(inf, "normal") for _ in range(LIMIT.budget)]
    waiting = Waiting(gate)
    first, second = waiting.call("first"), waiting.call("second")
    await settle()
    gate.release(slot, counted=False)
    first.cancel()
    await clock.advance(LOOK)
    await asyncio.wait({first, second})
    assert first.cancelled()
    assert waiting.served == ["second"]


async def test_what_others_know_of_is_counted(gate: Gate, clock: FakeClock) -> None:
    """For as long as a window lasts since, and no request twice."""
    gate.observed([0.0, 4.0])
    gate.observed([4.0])
    assert gate.snapshot().used == LIMIT.budget
    await clock.advance(FULL_WINDOW - 4.0)
    assert gate.snapshot().used == 1


async def test_it_has_the_budget_of_those_who_joined(gate: Gate, make: Make, user: User) -> None:
    """Another limit is refused while somebody uses it, and taken when nobody does any more."""
    other, more = User(), RateLimit(requests=3, per=10.0)
    assert gate.snapshot().budget == LIMIT.budget
    with pytest.raises(ConfigurationError):
        gate.join(other, "acme", more, 32)
    gate.join(other, "acme", LIMIT, 32)
    gate.leave(user)
    with pytest.raises(ConfigurationError):
        gate.join(user, "acme", more, 32)
    gate.leave(other)
    gate.leave(other)
    gate.join(user, "acme", more, 32)
    assert gate.snapshot().budget == 3


async def test_it_is_for_one_organisation_at_a_time(gate: Gate, user: User) -> None:
    """Two of them would share what each has for itself."""
    other = User()
    with pytest.raises(ConfigurationError, match="another base_url or credential"):
        gate.join(other, "else", LIMIT, 32)
    gate.leave(user)
    gate.join(other, "else", LIMIT, 32)


async def test_what_was_spent_outlives_those_who_spent_it(gate: Gate, user: User) -> None:
    """The next client begins with it."""
    gate.release(await gate.acquire(inf, "normal"), counted=True)
    gate.leave(user)
    gate.join(User(), "acme", LIMIT, 32)
    assert gate.snapshot().used == 1


def test_it_has_what_a_client_asks_of_it(make: Make, clock: FakeClock, user: User) -> None:
    """A client takes it as it is."""
    gate = make()
    check_methods(gate, Gate)
    assert join_gate(gate, user, "acme", LIMIT, 32, clock) is gate
    assert "Gate" in repr(gate)
    gate.leave(user)


async def test_who_was_forgotten_without_leaving_binds_nobody(make: Make) -> None:
    """Another limit is taken at once, as after a `leave`."""
    gate, user = make(), User()
    join_gate(gate, user, "o", LIMIT, 1, FakeClock())
    del user
    gc.collect()
    other = User()
    join_gate(gate, other, "o", RateLimit(requests=3, per=10.0), 1, FakeClock())
    assert gate.snapshot().budget == 3
