"""How each chunk of a job stands, for whoever asks what became of its people. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve

from ..records import DIED, UNWRITTEN, ChunkRecord, State, Stray
from .ports import JobState

# What makes unknown whom a file calls not sent, by why it may not be what the job was run from.
_DOUBTS = {
    Stray.COPY: "the journal is a copy; the request may have been made from the other file since",
    Stray.OLDER: "the journal is an older copy; the request may have been made since",
    Stray.TORN: "the journal is torn; the request may have been made since",
}


def standing(state: JobState) -> Iterator[ChunkRecord]:
    """Every chunk as it stands for the account, in order.

    What a dead run was sending is unknown. What waits to be sent again is as unknown as it was: a
    job that stops before it gets there must not call its people not sent. Nor may a file that may
    say less than what was done.
    """
    ended = {run.id for run in state.runs if run.ended_at is not None}
    for record in state.records:
        if record.state is State.SENDING and record.owner not in state.alive:
            reason = UNWRITTEN if record.owner in ended else DIED
            yield evolve(record, state=State.UNKNOWN, error="OutcomeUnknown", reason=reason)
        elif record.waits_again:
            yield evolve(record, state=State.UNKNOWN)
        elif state.stray is not None and record.state is State.PLANNED:
            reason = _DOUBTS[state.stray]
            yield evolve(record, state=State.UNKNOWN, error="JournalError", reason=reason)
        else:
            yield record
