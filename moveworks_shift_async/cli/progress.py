"""How far a send is, and what it is waiting for. Pure: the account and the gate come in."""

from __future__ import annotations

import math

from attrs import frozen

from ..batcher import CHUNK_SIZE
from ..limits.window import GateSnapshot
from ..models import BulkReport
from ..settings import RateLimit
from .terminal import duration, people, plural

# Seconds before a rate says anything.
_RATE_AFTER = 1.0


@frozen(kw_only=True)
class Progress:
    """One moment of a send. Counts are people."""

    total: int
    told: int
    rejected: int
    unknown: int
    #: Nobody is left to wait for; some may not have been sent to.
    finished: bool
    elapsed: float
    #: Seconds; None where nothing tells.
    left: float | None
    #: What it is waiting for.
    why: str

    @property
    def done(self) -> int:
        """People whose requests have ended."""
        return self.told + self.rejected + self.unknown

    def counts(self) -> str:
        """`told 1,000, rejected 0, unknown 0, 12,000 people a minute`."""
        texts = [f"told {self.told:,}", f"rejected {self.rejected:,}", f"unknown {self.unknown:,}"]
        if self.told and self.elapsed >= _RATE_AFTER:
            texts.append(f"{people(round(self.told / self.elapsed * 60))} a minute")
        return ", ".join(texts)

    def time_left(self) -> str:
        """`12 s left`, or nothing."""
        if self.left is None or self.finished:
            return ""
        return f"{duration(math.ceil(self.left))} left"


def read_progress(
    total: int, report: BulkReport, gate: GateSnapshot, limit: RateLimit, *, stopping: bool
) -> Progress:
    """What the account and the gate say together."""
    settled = report.accepted + report.rejected + report.unknown + report.not_sent
    left = _time_left(total - settled, settled, report.elapsed, gate, limit)
    return Progress(
        total=total,
        told=report.accepted,
        rejected=report.rejected,
        unknown=report.unknown,
        finished=settled >= total,
        elapsed=report.elapsed,
        left=None if stopping else left,
        why=_why(report, gate, stopping=stopping) if settled < total else "",
    )


def _time_left(
    people_left: int, settled: int, elapsed: float, gate: GateSnapshot, limit: RateLimit
) -> float | None:
    """The gate's own arithmetic where it binds, else the pace so far."""
    to_start = math.ceil(people_left / CHUNK_SIZE) - gate.in_flight
    beyond = to_start - max(0, gate.budget - gate.used)
    if beyond > 0 and math.isfinite(gate.next_in):
        return gate.next_in + (beyond - 1) // gate.budget * limit.per
    return people_left * elapsed / settled if settled else None


def _why(report: BulkReport, gate: GateSnapshot, *, stopping: bool) -> str:
    if stopping:
        return f"stopping: {plural(gate.in_flight, 'request')} in flight"
    if gate.paused_for > 0:
        return f"paused {math.ceil(gate.paused_for)} s after a 429"
    if gate.waiting and gate.mode != "burst" and gate.why:
        return f"{gate.mode} at {gate.rate * 60:.0f} requests a minute: {gate.why}"
    if gate.waiting and 0 < gate.next_in < math.inf:
        return f"waiting {math.ceil(gate.next_in)} s for the rate limit"
    if gate.in_flight:
        return f"waiting for answers: {gate.in_flight} in flight"
    return "waiting to try again after a failure" if report.requests else "starting"
