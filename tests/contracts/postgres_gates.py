"""Gates in the PostgreSQL of this run, each test with a row and a database's clock of its own."""

from __future__ import annotations

import time
from collections.abc import Iterable
from uuid import uuid4

import pytest
from attrs import evolve

from moveworks_shift_async.clock import Clock
from moveworks_shift_async.limits.shared import pump, row
from moveworks_shift_async.limits.shared.postgres_gate import PostgresGate
from moveworks_shift_async.limits.window import Slot
from moveworks_shift_async.settings import RateLimit
from moveworks_shift_async.storage.postgres import Connection

# Real seconds between two looks of a gate, and seconds of the set time between two moments at which
# it is given that long to look.
_LOOK, _STEP = 0.02, 2.0
# Seconds that the database's clock is ahead of the machine's.
AHEAD = 1e6


class GateOfATest(PostgresGate):
    """Shares its row with the gates of one test alone."""

    test: str

    def join(self, user: object, organisation: str, limit: RateLimit, max_in_flight: int) -> None:
        """Enter it."""
        super().join(user, f"{organisation} {self.test}", limit, max_in_flight)

    def release(self, slot: Slot, *, counted: bool) -> None:
        """And have it written before the test sets the time: news are of the moment they come."""
        super().release(slot, counted=counted)
        self._settle()

    def refused(self, slot: Slot, retry_after: float | None = None) -> None:
        """As `release`."""
        super().refused(slot, retry_after)
        self._settle()

    def observed(self, ages: Iterable[float]) -> None:
        """As `release`."""
        super().observed(ages)
        self._settle()

    def _settle(self) -> None:
        while self._pump is not None and self._pump.slots.news:
            time.sleep(0.001)


def _let_it_look(clock: Clock) -> None:
    def tick() -> None:
        time.sleep(1.5 * _LOOK)
        clock.call_later(_STEP, tick)

    tick()


def gate_in_postgres(request: pytest.FixtureRequest, clock: Clock) -> PostgresGate:
    """One whose time is this clock's."""
    monkeypatch, take = request.getfixturevalue("monkeypatch"), row.Row.take

    async def at_the_time_that_was_set(connection: Connection, key: str, place: str) -> row.Row:
        return evolve(await take(connection, key, place), now=clock.now() + AHEAD)

    if not hasattr(request.node, "gates_row"):
        request.node.gates_row = str(uuid4())
        monkeypatch.setattr(row.Row, "take", at_the_time_that_was_set)
        monkeypatch.setattr(pump, "LOOK", _LOOK)
        _let_it_look(clock)
    gate = GateOfATest(request.getfixturevalue("postgres"), clock)
    gate.test = request.node.gates_row
    return gate
