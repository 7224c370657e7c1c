"""What a page says of a job while somebody looks at it and it goes on. Pure.

The report says what has become of everybody. This says beside it who works on the job now, how
far the rate limit is used, and when it may be at its end. Of a job that is finished there is none.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping

from attrs import frozen

from ...text import covered, duration, people
from ..records import Command, Incident, Run, State
from ..schedule.forecast import forecast, said
from ..store.ports import JobState
from .account import JobAccount
from .requests_chart import Chart, Ended, chart_of
from .sentences import limit_of, moment_of, standing_of

# Seconds over which the pace of now is counted: some windows of the limit.
_PACE = 300.0
# Processes that are listed: those at work first, then the newest.
_WORKERS = 40
# Steps in which whoever only hears the page is told how far it is.
_STEPS = 10

# What a run does that is held by this.
_WAITS: Mapping[Incident | None, str] = {
    Incident.OUTAGE: "waiting for the server",
    Incident.CLOSED: "waiting for its window",
}


@frozen(kw_only=True)
class Worker:
    """One process that works on the job, or has."""

    name: str
    #: What it does, in words.
    state: str
    at_work: bool
    began: str
    #: Until when it is waited for if it says nothing; empty where a file's lock tells.
    lease: str
    #: Requests on their way, and those that have ended.
    in_flight: int
    ended: int


@frozen(kw_only=True)
class Live:
    """What only a live page says."""

    #: Somebody may pause and stop the job from the page.
    buttons: bool
    #: The process that runs it was told to stop.
    stopping: bool
    #: Where it is, in two or three words, and of which kind that is: `working`, `held`, `away`; or
    #: empty.
    standing: str
    mood: str
    #: How long it may take yet, as a sentence; empty where nothing tells.
    left: str
    #: For those who hear the page: changes seldom.
    said: str
    workers: tuple[Worker, ...]
    chart: Chart | None
    #: Why what stands here may be old; empty: it is not.
    trouble: str = ""


def live_of(state: JobState, account: JobAccount, *, buttons: bool) -> Live:
    """Of a job as it stands; the account is of the same state."""
    ended = _ended(state)
    running = account.running
    stopping = running and state.command is Command.STOP
    standing, mood = _standing(account, stopping=stopping)
    return Live(
        buttons=buttons,
        stopping=stopping,
        standing=standing,
        mood=mood,
        left="" if stopping else time_left(account, ended),
        said=_said(account, standing),
        workers=tuple(_workers(state, account))[:_WORKERS],
        chart=chart_of(account, ended) if running else None,
    )


def _ended(state: JobState) -> list[Ended]:
    """When requests ended, and how many; those of one chunk at the end of its last."""
    return sorted(
        (record.ended_at, record.requests)
        for record in state.records
        if record.ended_at is not None and record.requests
    )


def time_left(account: JobAccount, ended: list[Ended]) -> str:
    """How long what is left may take, at the pace of now but no faster than the limit allows.

    A sentence; where the job's hours end before that, when it will be at its end at the earliest.
    """
    held = {run.held_by for run in account.at_work} - {None, Incident.CLOSED}
    if not account.running or account.paused or held or not account.chunks_left:
        return ""
    now, (budget, per) = account.read_at.timestamp(), limit_of(account)
    since = max(account.at_work[-1].began_at, now - _PACE)
    count = sum(requests for at, requests in ended if at > since)
    closes = None if account.closed else account.schedule.closes(account.read_at)
    if count and now > since:
        least = max(0, math.ceil(account.chunks_left / budget) - 1) * per
        seconds = max(least, account.chunks_left * (now - since) / count)
        if not account.closed and (closes is None or now + seconds <= closes.timestamp()):
            return f"About {duration(math.ceil(seconds))} left, at the pace of now."
        budget = max(1, min(budget, round(count * per / (now - since))))
    if not account.closed and closes is None:
        return ""
    found = forecast(account.schedule, account.read_at, account.chunks_left, budget, per)
    words = said(found, account.schedule, account.read_at)
    return f"{words[0].upper()}{words[1:]}."


def _standing(account: JobAccount, *, stopping: bool) -> tuple[str, str]:
    if stopping:
        return "stopping", "held"
    standing = standing_of(account)
    if standing != "under way":
        return standing, "held" if account.paused else ""
    for incident, kind in ((Incident.OUTAGE, "away"), (Incident.CLOSED, "held")):
        if account.at_work and all(run.held_by is incident for run in account.at_work):
            return _WAITS[incident], kind
    return standing, "working"


def _said(account: JobAccount, standing: str) -> str:
    """How it stands, in words that change when something does, or a tenth more has ended."""
    done = account.accepted + account.rejected + account.unknown
    tenth = _STEPS * done // account.people if account.people else 0
    far = f" {tenth * 100 // _STEPS} % of {people(account.people)} have an outcome."
    return f"{standing.capitalize()}.{far if account.runs else ''}"


def _workers(state: JobState, account: JobAccount) -> Iterator[Worker]:
    at_work = {run.id for run in account.at_work}
    in_flight = Counter(one.owner for one in state.records if one.state is State.SENDING)
    ended = Counter[str | None]()
    for record in state.records:
        if record.ended_at is not None:
            ended[record.owner] += record.requests
    for run in sorted(state.runs, key=lambda run: (run.id not in at_work, -run.began_at)):
        lives = run.id in at_work
        yield Worker(
            name=f"process {run.pid} on {covered(run.host)}",
            state=_state(run, lives=lives, paused=account.paused),
            at_work=lives,
            began=moment_of(run.began_at),
            lease=moment_of(run.lease_until) if lives and run.lease_until is not None else "",
            in_flight=in_flight[run.id] if lives else 0,
            ended=ended[run.id],
        )


def _state(run: Run, *, lives: bool, paused: bool) -> str:
    if not lives:
        if run.ended_at is None:
            return "gone without a word"
        return "ended" if run.ended in (None, "done") else f"ended: {covered(run.ended)}"
    if paused or run.held_by is Incident.PAUSED:
        return "paused"
    return _WAITS.get(run.held_by, "at work")
