"""The account of a job as plain lines, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from ...text import covered, people, plural
from ..records import Incident
from . import sentences as say
from .account import ErrorKind, JobAccount
from .ways import ways_for_unknown, ways_on

# Kinds of errors that are told; the rest is counted.
KINDS = 12


def account_lines(account: JobAccount) -> list[str]:
    """Totals that add up, times, errors by kind, and what to do. No addresses."""
    parts = (
        (say.headline(account),),
        _totals(account),
        _facts(account),
        _errors(account),
        _to_do(account),
    )
    lines: list[str] = []
    for part in map(list, parts):
        lines += ["", *part] if lines and part else part
    return lines


def _totals(account: JobAccount) -> Iterator[str]:
    rows = [
        ("accepted", account.accepted, "scheduled by the vendor"),
        ("rejected", account.rejected, "nobody was told"),
        ("unknown", account.unknown, _unknown(account)),
        ("not sent", account.not_sent, _not_sent(account)),
        ("people", account.people, ""),
        *([("excluded", account.excluded, _excluded(account))] if account.exclusions else []),
        ("duplicates", account.duplicates, _differing(account)),
        ("invalid", account.invalid, "left out" if account.invalid else ""),
        ("entries read", account.entries, ""),
    ]
    width = max(len(f"{count:,}") for _, count, _ in rows)
    for name, count, note in rows:
        if name in ("people", "entries read"):
            yield "  " + "-" * (14 + width)
        yield f"  {name:<14}{count:>{width},}{f'   {note}' if count and note else ''}"


def _unknown(account: JobAccount) -> str:
    left = f", {account.left_alone:,} of them left alone" if account.left_alone else ""
    return f"told or not told{left}"


def _not_sent(account: JobAccount) -> str:
    under_way = f", {account.in_flight:,} of them on their way now" if account.in_flight else ""
    return f"nobody was told yet{under_way}"


def _excluded(account: JobAccount) -> str:
    return f"not to be told: {say.excluded_by(account)}"


def _differing(account: JobAccount) -> str:
    return f"{account.differing:,} of them with another text" if account.differing else ""


def _facts(account: JobAccount) -> Iterator[str]:
    yield from filter(None, (say.told_twice(account), say.forgotten(account)))
    where = f"event {covered(account.event_id)}" if account.event_id else "the legacy endpoint"
    yield f"{covered(account.source)}, to {where}; {say.standing_of(account)}"
    times = [
        f"{word} {say.moment(at)}"
        for word, at in (
            ("planned", account.planned_at),
            ("begun", account.began_at),
            (say.ended_word(account), account.ended_at),
        )
        if at is not None
    ]
    yield ", ".join(times)
    yield from filter(None, (say.ended_early(account),))
    requests = f"{plural(account.requests, 'request')}, {account.throttled:,} answered 429"
    yield f"{requests}. {say.time_words(account)}".rstrip()
    yield from say.hours(account)
    yield from say.waits_for(account)
    waits = ((Incident.PAUSED, "Paused"), (Incident.OUTAGE, "Outages"), (Incident.CLOSED, "Closed"))
    for incident, word in waits:
        if words := say.waited(account, incident):
            yield f"{word}: {words}."


def _errors(account: JobAccount) -> Iterator[str]:
    for kind in account.errors[:KINDS]:
        yield _error(kind, running=account.running)
    rest = account.errors[KINDS:]
    if rest:
        count = people(sum(kind.people for kind in rest))
        yield f"and {plural(len(rest), 'more kind')} of errors: {count}"


def _error(kind: ErrorKind, *, running: bool) -> str:
    met = covered(kind.message).rstrip(". ")
    message = ": ".join(filter(None, (covered(kind.error), met)))
    count = f"{people(kind.people)} in {plural(kind.chunks, 'request')}"
    return f"{say.LABELS[kind.state]}: {count}: {message}. {say.meaning(kind, running=running)}"


def _to_do(account: JobAccount) -> Iterator[str]:
    if account.undecided:
        ended = "Once the run has ended, status says what can be done."
        choose = ended if account.running else "Choose:"
        if account.forgotten_at is not None:
            choose = "It stays so."
        yield f"{people(account.undecided)} may have been told or not. {choose}"
    for way in (*ways_for_unknown(account), *ways_on(account)):
        yield f"  {way.command}"
        yield f"      {way.means}"
