"""Which requests somebody looks for, in records that come the newest first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal

from attrs import frozen

from .entry import RequestRecord
from .kept import Content, count_people, person, print_of

Outcome = Literal["told", "fault", "refused", "open"]
Said = tuple[str, str | None, Content | None]

#: Requests that carry a message.
_ROUTES = ("events.send", "messages.send", "shift.messages")


def outcome(record: RequestRecord) -> Outcome:
    """What the server did. Whoever was told was told, whatever the client got to know."""
    if record.told is not None:
        return "told"
    if record.fault is not None:
        return "fault"
    return "refused" if record.status is not None else "open"


@frozen(kw_only=True)
class Wanted:
    """What is looked for; an empty text is anything."""

    #: A person who was told.
    to: str = ""
    #: Words in the text or its context.
    text: str = ""
    #: An event's id, or its beginning.
    event: str = ""
    #: Only requests with a higher number, and only with a lower one; 0: with any.
    after: int = 0
    before: int = 0
    #: Only where people were told.
    told: bool = False

    def fits(self, record: RequestRecord) -> bool:
        """Is it one of these?"""
        return self.lies_there(record) and self.says_it(record.content)

    def lies_there(self, record: RequestRecord) -> bool:
        """All but the text, which many requests have in common."""
        return (
            record.route in _ROUTES
            and record.number > self.after
            and (not self.before or record.number < self.before)
            and (record.told is not None or not (self.told or self.to))
            and (record.event_id or "").startswith(self.event)
            and (not self.to or (record.told is not None and record.told.tells(self.to)))
        )

    def says_it(self, content: Content | None) -> bool:
        """Are the words there?"""
        return not self.text or (content is not None and content.says(self.text))


def find(records: Iterable[RequestRecord], wanted: Wanted) -> Iterator[RequestRecord]:
    """Those of them, in their order. A text is looked at once, however many requests have it."""
    says: dict[Content | None, bool] = {}
    for record in records:
        if not wanted.lies_there(record):
            continue
        if record.content not in says:
            says[record.content] = wanted.says_it(record.content)
        if says[record.content]:
            yield record


def page(found: Iterable[RequestRecord], limit: int) -> tuple[Sequence[RequestRecord], int | None]:
    """The first of them, and the number before which the next lie, if there are more."""
    some = list(islice(found, limit + 1))
    return some[:limit], some[limit - 1].number if len(some) > limit else None


def said(record: RequestRecord) -> Said:
    """Equal for two messages in which a person sees no difference."""
    return record.route, record.event_id, record.content


def repeats(records: Iterable[RequestRecord]) -> set[int]:
    """The numbers of a person's records, the newest first, that say what an older one has said."""
    seen: set[Said] = set()
    again = set()
    for record in reversed(list(records)):
        if said(record) in seen:
            again.add(record.number)
        seen.add(said(record))
    return again


def numbered(records: Iterable[RequestRecord], number: int) -> RequestRecord | None:
    """The message of this number; None: it is none, or dropped."""
    return next(find(records, Wanted(after=number - 1, before=number + 1)), None)


@frozen(kw_only=True)
class Thread:
    """What one person was told: a page of it, the newest first."""

    page: Sequence[RequestRecord]
    #: The number before which the next lie; None: there are no more.
    following: int | None
    #: Of all pages: how many messages, and the numbers of those that say what an older one says.
    told: int
    again: set[int]


def thread_of(records: Iterable[RequestRecord], address: str, before: int, limit: int) -> Thread:
    """So many of a person's messages with a lower number; 0: the newest."""
    theirs = list(find(records, Wanted(to=address)))
    older = (record for record in theirs if not before or record.number < before)
    some, following = page(older, limit)
    return Thread(page=some, following=following, told=len(theirs), again=repeats(theirs))


def count_repeated(records: Iterable[RequestRecord]) -> int:
    """How many people were told the same more than once; for each text that this is true of."""
    told = ((record.told, hash(said(record))) for record in records if record.told is not None)
    return count_people(told)[1]


def told_before(record: RequestRecord, records: Iterable[RequestRecord]) -> dict[str, int]:
    """Whom of a request's people an older one has told the same: address -> the latest of them.

    The records come the newest first.
    """
    if record.told is None:
        return {}
    left = {person(address): address for address in record.told.addresses()}
    prints, before = set(map(print_of, left)), dict[str, int]()
    for other in records:
        if other.number >= record.number or other.told is None or said(other) != said(record):
            continue
        if not prints.isdisjoint(other.told.prints()):
            for one in left.keys() & set(map(person, other.told.addresses())):
                before[left.pop(one)] = other.number
        if not left:
            break
    return before
