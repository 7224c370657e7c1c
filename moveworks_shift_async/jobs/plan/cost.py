"""A plan as a value: whom it is for, what it costs, and that in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from attrs import field, frozen

from ...limits.window import least_time
from ...sending.batcher import CHUNK_SIZE
from ...settings import RateLimit
from ...text import at_least, duration, one_line, plural, rate
from ..left_out import Exclusion, InvalidLine
from ..schedule.forecast import Forecast, forecast, said
from ..schedule.schedule import Schedule

#: Messages a minute that each chat platform takes, once a thread with the person exists; the first
#: message to a person takes longer. Source: help.moveworks.com, "Moveworks product rate limits".
PACE: Mapping[str, int] = {
    "Slack": 525,
    "Microsoft Teams": 2500,
    "Google Chat": 150,
    "Webex": 600,
    "Zoom": 1500,
    "Moveworks for Web": 1000,
}


@frozen(kw_only=True)
class Plan:
    """A job that is ready to run. Counts are people, unless said otherwise."""

    journal: str
    #: Where the recipients came from.
    source: str
    #: What the source was taken for: format, rows, column; empty for a program's own rows.
    read_as: str = ""
    #: Who will be told.
    people: int
    #: Who is not told, for she is on one of the lists in `exclusions`.
    excluded: int = 0
    #: The lists of people who are not to be told, each with what it did.
    exclusions: tuple[Exclusion, ...] = ()
    #: Entries left out because the same address had come before.
    duplicates: int
    #: How many of the duplicates had another text than the one that is sent.
    differing: int
    #: Where the first ten of these stand.
    differing_lines: tuple[int, ...] = ()
    #: Entries that are no address.
    invalid: int
    #: The first ten of these.
    invalid_examples: tuple[InvalidLine, ...] = ()
    #: Requests, if none must be repeated.
    chunks: int
    #: Different messages with their contexts.
    texts: int
    rate_limit: RateLimit
    #: When the job may send.
    schedule: Schedule = field(factory=Schedule)
    planned_at: datetime

    @property
    def least_time(self) -> float:
        """Seconds until the last request may start, from an empty window."""
        return least_time(self.chunks, self.rate_limit.budget, self.rate_limit.per)

    @property
    def forecast(self) -> Forecast:
        """When it sends, if it is run at once: at the earliest, by its schedule and the rate."""
        budget, per = self.rate_limit.budget, self.rate_limit.per
        return forecast(self.schedule, self.planned_at, self.chunks, budget, per)

    @property
    def shown_at(self) -> Mapping[str, datetime]:
        """When each chat platform has shown the messages, if all people used it. See `delivery`.

        The vendor delivers what it has been given, also outside of the schedule.
        """
        found = self.forecast
        in_time = 1 - found.late / self.chunks if self.chunks else 0.0
        return found.shown(self.people * in_time, PACE)

    @property
    def delivery(self) -> Mapping[str, float]:
        """Minutes that each chat platform takes to show the messages, if all people used it.

        Source: the newest table of help.moveworks.com, "Moveworks product rate limits: chat
        systems, APIs, etc.", which states messages a minute for each.
        """
        return {platform: self.people / pace for platform, pace in PACE.items()}

    def __str__(self) -> str:
        limit = self.rate_limit
        lines = [
            ("Read as", self.read_as),
            ("People", f"{self.people:,}"),
            *self._excluded(),
            ("Duplicates", self._duplicates()),
            ("Invalid", self._invalid()),
            ("Requests", f"{self.chunks:,}, {plural(self.texts, 'text')}"),
            ("", self._price_of_texts()),
            ("Least time", f"{at_least(self.least_time)} at {rate(limit.budget, limit.per)}"),
            *self._hours(),
            ("Delivery", self._delivery()),
        ]
        rows = [f"  {name:<12}{text}" for name, text in lines if text]
        return "\n".join([f"Plan of {self.source}, in {self.journal}", *rows])

    def _excluded(self) -> list[tuple[str, str]]:
        if not self.exclusions:
            return []
        return [
            ("Excluded", f"{self.excluded:,}"),
            *(("", excluding(one)) for one in self.exclusions),
        ]

    def _hours(self) -> list[tuple[str, str]]:
        """When it may send, and when it will have; nothing if it always may."""
        if not self.schedule:
            return []
        lines = [(name.capitalize(), text) for name, text in self.schedule.lines()]
        return [*lines, ("Ends", said(self.forecast, self.schedule, self.planned_at))]

    def _duplicates(self) -> str:
        if not self.differing:
            return f"{self.duplicates:,}"
        where = _lines(self.differing_lines, self.differing)
        verb = "has" if self.differing == 1 else "have"
        left_out = f"{self.differing:,} of them {verb} another text, which is not sent"
        return f"{self.duplicates:,}; {left_out} ({where})"

    def _invalid(self) -> str:
        if not self.invalid:
            return "0"
        return f"{self.invalid:,} ({_where(self.invalid_examples, self.invalid)})"

    def _price_of_texts(self) -> str:
        """What it costs that people get different texts; empty if it costs nothing."""
        at_best = -(-self.people // CHUNK_SIZE)
        if self.chunks <= at_best:
            return ""
        limit = self.rate_limit
        best = at_least(least_time(at_best, limit.budget, limit.per))
        whose = "every person has a different text" if self.texts == self.people else ""
        rule = "each different text is a request of its own"
        instead = f"one text for all would take {plural(at_best, 'request')} and {best}"
        return "; ".join(part for part in (whose, rule, instead) if part)

    def _delivery(self) -> str:
        """The platforms, fastest first: how long they take, or, with a schedule, until when."""
        if self.schedule:
            until = sorted(self.shown_at.items(), key=lambda item: item[1])
            return ", ".join(f"{name} until {self.schedule.shown(at)}" for name, at in until)
        ordered = sorted(self.delivery.items(), key=lambda item: item[1])
        return ", ".join(f"{platform} {duration(60 * took)}" for platform, took in ordered)


def excluding(one: Exclusion) -> str:
    """What a list does, in words: whom it excludes, who is on it, and what of it is broken."""
    what = one.read_as or plural(one.addresses, "address", "addresses")
    said = [f"{one.people:,}" if one.people else "nobody", f" by {one_line(one.source)}: {what}"]
    if one.addresses and not one.people:
        said.append("; nobody on it is among the recipients")
    if one.invalid:
        verb = "is no address, and excludes" if one.invalid == 1 else "are no address, and exclude"
        where = _where(one.invalid_examples, one.invalid)
        said.append(f"; {one.invalid:,} of its entries {verb} nobody ({where})")
    return "".join(said)


def _where(examples: Sequence[InvalidLine], count: int) -> str:
    return _lines([found.line for found in examples], count)


def _lines(numbers: Sequence[int], count: int) -> str:
    """Line numbers as words: `line 3`, `lines 3, 5`, `lines 3, 5, ...`."""
    more = ", ..." if count > len(numbers) else ""
    word = "line" if count == 1 else "lines"
    return f"{word} {', '.join(map(str, numbers))}{more}"
