"""What the end of a request makes of its chunk. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import MoveworksError, Outcome, OutcomeUnknown
from ...sending.breaker import chunk_outcome
from ..records import Chunk, Settlement, State
from ..store.ports import Parts
from .bisect import COST, blames_the_list, halves

_STATES = {
    Outcome.ACCEPTED: State.ACCEPTED,
    Outcome.REJECTED: State.REJECTED,
    Outcome.UNKNOWN: State.UNKNOWN,
    Outcome.NOT_SENT: State.PLANNED,
}
#: What is counted of a chunk that has ended for good.
ENDED: Mapping[State, Outcome] = {
    state: outcome for outcome, state in _STATES.items() if state is not State.PLANNED
}


def settlement_of(
    chunk: Chunk,
    error: MoveworksError | None,
    at: float,
    *,
    met_nothing: bool = False,
    requests: int,
    throttled: int,
    isolate: int,
) -> tuple[Settlement, Parts]:
    """How the chunk is settled, and the parts that it is divided into, if it is.

    With `met_nothing` it was taken back: the error is no failure. `isolate` is how many requests
    dividing may still add.
    """
    state = _STATES[chunk_outcome(error)]
    parts: Parts = ()
    if state is State.REJECTED and isolate >= COST and blames_the_list(error):
        parts = halves(chunk.recipients)
    if parts:
        state = State.SPLIT
    elif state is State.REJECTED and chunk.resent:
        # A refusal of what was sent again denies nothing of what the first request may have done.
        state, said = State.UNKNOWN, "an earlier request may have been processed; the last step"
        error = OutcomeUnknown(f"{said}: {error}")
    settlement = Settlement(
        chunk=chunk.id,
        owner=chunk.owner,
        state=state,
        at=at,
        requests=requests,
        throttled=throttled,
        error=None if error is None or met_nothing else type(error).__name__,
        reason=None if error is None or met_nothing else str(error),
    )
    return settlement, parts
