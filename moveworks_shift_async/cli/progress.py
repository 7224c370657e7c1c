"""How far a send without a journal is. Pure: the account and the gate come in."""

from __future__ import annotations

import math

from ..jobs.run.progress import JobProgress, allowed, time_left, why
from ..limits.window import GateSnapshot
from ..models import BulkReport
from ..sending.batcher import CHUNK_SIZE
from ..settings import RateLimit
from ..text import plural


def read_progress(
    total: int, report: BulkReport, gate: GateSnapshot, limit: RateLimit, *, stopping: bool
) -> JobProgress:
    """What the account and the gate say together."""
    settled = report.accepted + report.rejected + report.unknown + report.not_sent
    to_send, ended = math.ceil((total - settled) / CHUNK_SIZE), math.ceil(settled / CHUNK_SIZE)
    # A time in which the gate made it wait is none to count on.
    free = ended and not report.throttled and ended <= gate.budget
    pace = ended / report.elapsed if free else None
    left = time_left(to_send, to_send - gate.in_flight, gate, pace)
    return JobProgress(
        total=total,
        told=report.accepted,
        rejected=report.rejected,
        unknown=report.unknown,
        requests=report.requests,
        throttled=report.throttled,
        last_minute=None,
        allowed_a_minute=allowed(gate, limit),
        finished=settled >= total,
        elapsed=report.elapsed,
        left=None if stopping else left,
        why=_why(report, gate, stopping=stopping) if settled < total else "",
    )


def _why(report: BulkReport, gate: GateSnapshot, *, stopping: bool) -> str:
    if stopping:
        return f"stopping: {plural(gate.in_flight, 'request')} in flight"
    return why(gate, report.requests)
