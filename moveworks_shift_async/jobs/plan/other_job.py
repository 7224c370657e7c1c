"""People of another job, by what became of them: `other.journal:rejected,not_sent`.

Theory of operation. A place is taken as it stands wherever there is a job, or a file, of that very
name. Only if there is none is what follows its last colon a list of outcomes, so a Windows drive
and a file that is named `x:rejected` are what they are. Where both would be meant, it is refused.

A job that is being run moves: whom it calls planned now it may tell in the next second. So nobody
is planned from it, and to exclude its people takes them with those that it will still tell. What
is on its way just now may have been told: it counts as unknown here, which no account says before
the run has ended.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager

from attrs import evolve, field, frozen

from ...errors import InvalidInput, JournalError, Outcome
from ...sources import Block
from ...sources.files import STDIN
from ...sources.refusals import quoted
from ...storage.database_url import is_other_url, is_url
from ...text import people
from ..records import State
from ..store.names import store_of
from ..store.ports import AccountStore, JobState, Store
from ..store.standing import standing
from ..threads import FromThread

_OUTCOME = {
    State.PLANNED: Outcome.NOT_SENT,
    State.SENDING: Outcome.UNKNOWN,
    State.ACCEPTED: Outcome.ACCEPTED,
    State.REJECTED: Outcome.REJECTED,
    State.UNKNOWN: Outcome.UNKNOWN,
}
# Whoever was told, or may have been.
_TOLD = (Outcome.ACCEPTED, Outcome.UNKNOWN)
# Whom a job has told, or may tell before it ends.
_EVER_TOLD = {*_TOLD, Outcome.NOT_SENT}
_WORDS = re.compile(r"[a-z_]+(,[a-z_]+)*")
_NAMES = ", ".join(outcome.value for outcome in Outcome)


@frozen(kw_only=True)
class JobPart:
    """Those of a job to whom this happened."""

    store: Store
    #: None: nothing was said of it.
    outcomes: tuple[Outcome, ...] | None

    @property
    def name(self) -> str:
        """As it may be shown."""
        words = ":" + ",".join(self.outcomes) if self.outcomes else ""
        return f"{self.store.name}{words}"

    def told(self) -> JobPart:
        """Those who were told, or may have been, unless others were named."""
        return evolve(self, outcomes=self.outcomes or _TOLD)

    def chosen(self) -> JobPart:
        """`InvalidInput` unless outcomes were named: nobody is told again by accident."""
        if self.outcomes is None:
            raise InvalidInput(
                f"{self.name} is a job: say to which of its people this goes, like"
                f" {self.name}:rejected,not_sent ({_NAMES})"
            )
        return self


async def find_job(place: str) -> JobPart | None:
    """The job that is meant; None where it is a file, a query, or nothing at all."""
    if place == STDIN or is_other_url(place) or (is_url(place) and not _names_job(place)):
        return None
    base, colon, words = place.rpartition(":")
    whole, part = await _job_at(place), None
    if colon and _may_be_outcomes(words, base):
        part = await _job_at(base)
    if part is not None and (whole is not None or _is_file(place)):
        raise InvalidInput(
            f"{_shown(place)} is there, and so is {_shown(base)}, with outcomes behind the colon;"
            " rename one of them"
        )
    if whole is not None:
        return JobPart(store=whole, outcomes=None)
    if part is not None:
        return JobPart(store=part, outcomes=_outcomes(words))
    _check_none(place, base, words)
    return None


def _may_be_outcomes(words: str, base: str) -> bool:
    """Whether this may be outcomes, rightly written or not, of what stands before the colon."""
    return "/" not in words and "#" not in words and bool(base)


def _check_none(place: str, base: str, words: str) -> None:
    """Raise where a job was surely meant, and there is none."""
    if _names_job(place):
        store_of(place)  # which says what is wrong with the name
        raise JournalError(f"there is no job {_shown(place)}; make one with a plan")
    if base and _is_outcomes(words) and not _is_file(place):
        what = "is no journal" if _is_file(base) else "is not there"
        raise InvalidInput(f"{base} {what}; {words} would be outcomes of a job's people")


def _is_file(place: str) -> bool:
    return not is_url(place) and os.path.lexists(place)


def _names_job(place: str) -> bool:
    """Whether it is a URL that names a job of a database."""
    _, hash_, job = place.rpartition("#")
    return is_url(place) and bool(hash_) and "@" not in job


async def _job_at(place: str) -> Store | None:
    store = store_of(place)
    return store if await store.exists() else None


def _shown(place: str) -> str:
    return store_of(place).name


def _is_outcomes(words: str) -> bool:
    return _WORDS.fullmatch(words) is not None and {*words.split(",")} <= {*Outcome}


def _outcomes(words: str) -> tuple[Outcome, ...]:
    """In the order in which they were named, each once."""
    found = [*dict.fromkeys(map(str.strip, words.split(",")))]
    for word in found:
        if word not in {*Outcome}:
            raise InvalidInput(f"{quoted(word)} is no outcome; a job's people are {_NAMES}")
    return tuple(map(Outcome, found))


@frozen(kw_only=True)
class JobPeople:
    """The people of a part of a job, to be read once."""

    part: JobPart
    #: They are to be told; else they are not to be.
    _wanted: bool
    #: Of the whole job.
    _count: int
    #: Outcome of each chunk, and how many people it has.
    _found: Mapping[int, tuple[Outcome, int]] = field(repr=False)
    _chunks: Iterator[Sequence[tuple[int, tuple[str, ...]]]] = field(repr=False)

    @property
    def rows(self) -> Iterator[Block]:
        """Whom it is about; the line of a person is her place among them, 1 for the first."""
        taken, left = 0, dict(self._found)
        for some in self._chunks:
            for number, addresses in some:
                outcome, count = left.pop(number, (None, 0))
                if outcome is None or len(addresses) != count:
                    raise _moved(self.part)
                if outcome in (self.part.outcomes or ()):
                    lines = range(taken + 1, taken + 1 + count)
                    taken += count
                    yield Block(lines=lines, entries=addresses, values={})
        if left:
            raise _moved(self.part)

    def read_as(self) -> str:
        """How many of the job's people it is, and what its resume would do to them."""
        counts = dict.fromkeys(Outcome, 0)
        for outcome, count in self._found.values():
            counts[outcome] += count
        taken = sum(counts[outcome] for outcome in self.part.outcomes or ())
        said = f"a job, {taken:,} of its {people(self._count)}"
        left, taken_too = counts[Outcome.NOT_SENT], Outcome.NOT_SENT in (self.part.outcomes or ())
        if not left or taken_too is not self._wanted:
            return said
        whom = f"{left:,} of them, too" if taken_too else f"{left:,} more, not excluded"
        return f"{said}; do not resume it, for it would tell {whom}"


@asynccontextmanager
async def people_of(part: JobPart, loop: FromThread, *, wanted: bool) -> AsyncGenerator[JobPeople]:
    """Those people, as of now: `wanted` to be told, or not to be told.

    Raises `InvalidInput` for a job that is being run, unless all are not to be told whom it has
    told or will tell. `JournalError` for one that cannot be read.
    """
    async with part.store.reading() as store:
        state = await _state(store, part, wanted)
        found = {one.id: (_OUTCOME[one.state], one.people) for one in standing(state)}
        recipients, count = store.recipients(), state.header.people
        try:
            chunks = loop.each(recipients)
            yield JobPeople(part=part, wanted=wanted, count=count, found=found, chunks=chunks)
        finally:
            if isinstance(recipients, AsyncGenerator):
                await recipients.aclose()


async def _state(store: AccountStore, part: JobPart, wanted: bool) -> JobState:
    state = await store.state()
    if not state.header.complete:
        name = part.store.name
        raise JournalError(f"{name} is being planned, or its planning was interrupted")
    everybody = not wanted and _EVER_TOLD.issubset(part.outcomes or ())
    if (state.alive or state.submitted) and not everybody:
        raise _runs(part, wanted)
    return state


def _runs(part: JobPart, wanted: bool) -> InvalidInput:
    name = part.store.name
    wait = f"{name} is being run just now, and tells people meanwhile; wait for its end, or stop it"
    if wanted:
        return InvalidInput(f"{wait}: whom it has not told yet would be told twice")
    everybody = ",".join(outcome for outcome in Outcome if outcome in _EVER_TOLD)
    return InvalidInput(f"{wait}; or exclude whom it will tell, too: {name}:{everybody}")


def _moved(part: JobPart) -> JournalError:
    """Chunks were divided since, or their people are not what its plan says."""
    return JournalError(
        f"{part.store.name} has changed while it was read, or has lost people; try again, and if"
        " that does not help, restore a copy of it"
    )
