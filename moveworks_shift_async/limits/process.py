"""The gate of this process, and the one of each organisation that its clients share."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Coroutine, Iterable
from math import inf
from typing import Any

from attrs import define, field

from ..clock import SYSTEM_CLOCK, Clock
from ..errors import ConfigurationError
from ..settings import RateLimit
from .adaptive_window import AdaptiveWindow
from .priority import Priority
from .queue import WaitQueue
from .window import GateSnapshot, Quota, Slot


@define(eq=False, repr=False)
class ProcessGate:
    """Shares one budget among all callers of this process, from whatever thread; see `Gate`."""

    window: AdaptiveWindow
    clock: Clock = SYSTEM_CLOCK
    #: Whoever joined and has not left; a client that was forgotten unclosed leaves by itself.
    users: weakref.WeakSet[Any] = field(factory=weakref.WeakSet, init=False)
    _organisation: str = field(default="", init=False)
    _queue: WaitQueue = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._queue = WaitQueue(self.window, self.clock)

    def join(self, user: object, organisation: str, limit: RateLimit, max_in_flight: int) -> None:
        """A client begins to use the gate; what was spent before stays."""
        wanted = Quota(limit.budget, limit.per, max_in_flight)
        with self._queue.lock:
            if self.users and organisation != self._organisation:
                raise ConfigurationError(
                    "another open client uses this gate for another base_url or credential;"
                    " give each organisation a gate of its own"
                )
            if self.users and wanted != self.window.quota:
                raise ConfigurationError(
                    "another open client of this process has the same base_url and credential and"
                    " another rate_limit or max_in_flight; they share one gate, so give both the"
                    " same"
                )
            self.window.retune(wanted)
            self._organisation = organisation
            self.users.add(user)

    def leave(self, user: object) -> None:
        """One user less. What was spent stays counted until its window ends."""
        self.users.discard(user)

    def acquire(
        self, deadline: float = inf, priority: Priority = "normal"
    ) -> Coroutine[Any, Any, Slot]:
        """Wait for a slot among the calls of that priority."""
        return self._queue.acquire(deadline, priority)

    def release(self, slot: Slot, *, counted: bool) -> None:
        """Give the slot back: one window from now if the server may have counted the request."""
        self._queue.release(slot, counted=counted)

    def refused(self, slot: Slot, retry_after: float | None = None) -> None:
        """Give the slot back after a 429, which is everybody's."""
        self._queue.refused(slot, retry_after)

    def observed(self, ages: Iterable[float]) -> None:
        """Count requests that somebody else knows of."""
        self._queue.observed(ages)

    def snapshot(self) -> GateSnapshot:
        """What the gate knows now."""
        return self._queue.snapshot()

    @property
    def idle(self) -> bool:
        """Whether nobody uses it, and it knows nothing that the next one should."""
        snapshot = self.snapshot()
        return not (self.users or snapshot.used or snapshot.paused_for)

    def __repr__(self) -> str:
        return f"<ProcessGate {self.snapshot()}>"


# The limit belongs to the organisation, so its clients in this process share one gate, and a new
# client starts with what the last one has spent. The number is this process's: after a fork those
# of the parent are let go, for requests in flight there end there, and never here.
_gates: dict[tuple[int, str], ProcessGate] = {}
_gates_lock = threading.Lock()


def join_process_gate(
    user: object,
    organisation: str,
    limit: RateLimit,
    max_in_flight: int,
    clock: Clock = SYSTEM_CLOCK,
) -> ProcessGate:
    """Join the gate of this process for an organisation, and return it.

    Raises `ConfigurationError` if another user has it open with another limit.
    """
    ours = os.getpid(), organisation
    with _gates_lock:
        for key in [key for key, gate in _gates.items() if key[0] != ours[0] or gate.idle]:
            del _gates[key]
        gate = _gates.get(ours)
        if gate is None:
            gate = ProcessGate(AdaptiveWindow.of(limit.budget, limit.per, max_in_flight), clock)
            _gates[ours] = gate
        gate.join(user, organisation, limit, max_in_flight)
        return gate
