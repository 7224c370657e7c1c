"""The account of a job in words, for a terminal and for a page. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from ...errors import NotSent, Outcome, error_class
from ...settings import RateLimit
from ...text import covered, duration, people, plural, rate
from ..left_out import Exclusion
from ..records import Incident, Run, State
from .account import ErrorKind, JobAccount
from .timeline import TimelineEvent

ACCEPTED_MEANS = (
    "Accepted means that the vendor has scheduled the message. Its delivery may take minutes or"
    " hours, and nothing tells who has read it."
)


_PLAN_AGAIN = "Correct that, and plan a new job for these people alone"
_RESUME = "Resume the job"
# Lists of people who are not to be told, that are named.
_LISTS = 8
# For those whose error nobody knows: a process that died left none.
_NOTHING_KNOWN = {
    State.REJECTED: "The request was refused",
    State.UNKNOWN: "No usable answer came",
    State.PLANNED: "It could not be sent",
}
TOLD = {
    State.REJECTED: "Nobody of them was told",
    State.UNKNOWN: "They may have been told or not",
    State.PLANNED: "Nobody of them was told yet",
}
LABELS = {
    State.REJECTED: "rejected",
    State.UNKNOWN: "unknown",
    State.PLANNED: "not sent",
}
INCIDENTS = {
    Incident.THROTTLED: "429",
    Incident.OUTAGE: "outage",
    Incident.PAUSED: "paused",
    Incident.CLOSED: "not to send",
}


class Standing(Protocol):
    """What says where a job is."""

    @property
    def complete(self) -> bool:
        """Its plan is whole."""

    @property
    def forgotten_at(self) -> object:
        """Its texts and addresses were removed, if this is not None."""

    @property
    def running(self) -> bool:
        """A process is at work on it."""

    @property
    def paused(self) -> bool:
        """That one waits."""

    @property
    def finished(self) -> bool:
        """Nothing is left to send."""

    @property
    def undecided(self) -> int:
        """How many people wait for a decision."""

    @property
    def begun(self) -> bool:
        """A process has worked on it."""


def standing_of(account: Standing) -> str:
    """Where the job is, in two words."""
    if account.forgotten_at is not None:
        return "forgotten"
    if not account.complete:
        return "not planned"
    if account.running:
        return "paused" if account.paused else "under way"
    if account.finished:
        return "decision needed" if account.undecided else "finished"
    return "not finished" if account.begun else "not begun"


def headline(account: JobAccount) -> str:
    """How many were accepted, in one sentence."""
    if not account.complete:
        return "It is being planned, or its planning was interrupted. Nothing was sent."
    if not account.runs:
        return f"Nothing was sent yet. The job is for {people(account.people)}."
    if account.accepted == account.people > 1:
        return f"All {people(account.people)} were accepted for delivery."
    verb = "was" if account.accepted == 1 else "were"
    count = f"{account.accepted:,} of {people(account.people)}"
    return f"{count} {verb} accepted for delivery{' so far' if account.running else ''}."


def others(account: JobAccount) -> str:
    """What became of those who were not accepted; empty if there are none."""
    if not account.runs:
        return ""
    counts = (account.rejected, account.unknown, account.not_sent)
    said = [
        f"{count:,} {LABELS[state]} ({told[0].lower()}{told[1:]})"
        for count, (state, told) in zip(counts, TOLD.items(), strict=True)
        if count
    ]
    return f"The others: {'; '.join(said)}." if said else ""


def excluded_by(account: JobAccount) -> str:
    """Who is not to be told, by the lists that say so."""
    rest = len(account.exclusions) - _LISTS
    said = [*map(_excluding, account.exclusions[:_LISTS])]
    return "; ".join([*said, f"and {plural(rest, 'more list')}"] if rest > 0 else said)


def _excluding(one: Exclusion) -> str:
    count = f"{one.people:,}" if one.people else "nobody"
    broken = f" ({plural(one.invalid, 'entry', 'entries')} of it no address)" if one.invalid else ""
    return f"{count} by {covered(one.source)}{broken}"


def forgotten(account: JobAccount) -> str:
    """That its texts and addresses were removed; empty if they are there."""
    if account.forgotten_at is None:
        return ""
    on = moment(account.forgotten_at)
    return f"Its texts and addresses were removed on {on}. Nobody can be sent to from it."


def told_twice(account: JobAccount) -> str:
    """Who may have been told twice, by the user's word; empty if nobody."""
    if not account.resent:
        return ""
    return f"{people(account.resent)} were sent to again by decision: perhaps told twice."


def meaning(kind: ErrorKind, *, running: bool = False) -> str:
    """What an error means for the people it happened to, and what to do.

    While a process is at work, nothing is to be done for those whom it will still send to.
    """
    met = error_class(kind.error) or NotSent
    means = met.means or _NOTHING_KNOWN[kind.state]
    told, todo = TOLD[kind.state], ""  # what can be done for the unknown is said once for all
    if kind.state is State.REJECTED:
        todo = _RESUME if met.unprocessed else _PLAN_AGAIN
    elif kind.state is State.PLANNED and running:
        todo = "They are still to be sent to"
    elif (
        kind.state is State.PLANNED and met.outcome is Outcome.UNKNOWN
    ):  # sent again by the user's word
        told, todo = TOLD[State.UNKNOWN], f"{_RESUME}: it sends to them again"
    elif kind.state is State.PLANNED:
        todo = f"{met.remedy}, then resume" if met.remedy else _RESUME
    return ". ".join(filter(None, (means, told, todo))) + "."


def time_words(account: JobAccount) -> str:
    """How long it took or takes."""
    if not account.complete:
        return ""
    budget, per = limit_of(account)
    # The first window's requests may go out at once.
    at_least = max(0, math.ceil(account.chunks_left / budget) - 1) * per
    limit = rate(budget, per)
    ahead = f"at least {duration(at_least)}" if at_least else "less than " + duration(per)
    if not account.runs:
        return f"It takes {ahead} at {limit}."
    worked = duration(account.working)
    if account.gaps:
        worked += f" of work within {duration(account.elapsed)}"
    if account.finished:
        return f"It took {worked}."
    if account.throttled:  # what is left for us of the limit is known to the process that runs
        least = f"at least {duration(at_least)}; more" if at_least else "a time that"
        return f"It has taken {worked}; what is left takes {least} is not known after a 429."
    return f"It has taken {worked}; what is left takes {ahead} at {limit}."


def hours(account: JobAccount) -> tuple[str, ...]:
    """When it may send, and whether it may now; empty if it always may, or has nothing to send."""
    schedule = account.schedule
    if not schedule or account.finished:
        return ()
    windows = " or ".join(map(str, schedule.windows))
    others = [f"{name} {text}" for name, text in schedule.lines() if name != "window"]
    when = ", ".join(filter(None, (windows, *others)))
    now = ""
    if account.closed is not None and account.opens_at is None:
        now = f" Now {account.closed}."
    elif (
        account.opens_at is not None and not account.running
    ):  # else the run says what it waits for
        now = f" Now it is closed, until {schedule.shown(account.opens_at)}."
    return (f"To be sent {when}.{now}",)


def ended_early(account: JobAccount) -> str:
    """Why the last run left somebody; empty where it did not, or is not over."""
    if account.ending is None or account.finished:
        return ""
    return f"The last run ended early: {covered(account.ending).rstrip('. ')}."


def waits_for(account: JobAccount) -> tuple[str, ...]:
    """What those who are at work wait for now, beside the rate limit: a sentence for each."""
    held = {(run.held_by, run.held_why): run for run in account.at_work if run.held_by}
    said = [_held(run) for run in held.values()]
    ends = max((_until(event) for event in account.events if event.incident is Incident.THROTTLED),
               default=0.0)  # fmt: skip
    if account.running and account.began_at is not None and ends > account.elapsed:
        at = account.began_at + timedelta(seconds=ends)
        said.append(f"The server has answered 429: nothing is sent until {moment(at)}.")
    return tuple(said)


def _held(run: Run) -> str:
    since = "" if run.held_since is None else f" since {moment_of(run.held_since)}"
    why = f": {covered(run.held_why).rstrip('. ')}" if run.held_why else ""
    if run.held_by is Incident.CLOSED:  # which says until when, as clocks show it there
        return f"Not to send{since}{why}."
    until = "" if run.held_until is None else f", until {moment_of(run.held_until)}"
    what = "Paused" if run.held_by is Incident.PAUSED else "Waiting for the server"
    return f"{what}{since}{until}{why}."


def _until(event: TimelineEvent) -> float:
    return event.after + event.seconds


def limit_of(account: JobAccount) -> tuple[int, float]:
    """Requests in a window and its seconds: of the last run, or the vendor's own."""
    if account.runs:
        return max(1, account.runs[-1].budget), account.runs[-1].per
    usual = RateLimit()
    return usual.requests, usual.per


def waited(account: JobAccount, incident: Incident) -> str:
    """How often it waited for this, and how long; empty if it did not."""
    found = [event for event in account.events if event.incident is incident]
    return f"{times(len(found))}, {duration(time_in(found))}" if found else ""


def times(count: int) -> str:
    """`once`, `twice`, `3 times`."""
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")


def time_in(events: Iterable[TimelineEvent]) -> float:
    """Seconds that lie in any of them: several requests may meet the same pause."""
    seconds, end = 0.0, 0.0
    for begin, until in sorted((event.after, event.after + event.seconds) for event in events):
        seconds += max(0.0, until - max(begin, end))
        end = max(end, until)
    return seconds


def ended_word(account: JobAccount) -> str:
    """What stands beside the end of the last run: a job may go on after it."""
    return "ended" if standing_of(account) == "finished" else "last run ended"


def moment(at: datetime) -> str:
    """`2026-05-14 09:03:12 UTC`."""
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def moment_of(seconds: float) -> str:
    """The same of seconds since 1970."""
    return moment(datetime.fromtimestamp(seconds, UTC))
