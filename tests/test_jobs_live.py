"""What only a live page says of a job, from plain values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import evolve

from moveworks_shift_async.jobs.records import (
    ChunkRecord,
    Command,
    Event,
    Header,
    Incident,
    Run,
    State,
    Total,
)
from moveworks_shift_async.jobs.report.account import JobAccount, account_of
from moveworks_shift_async.jobs.report.live import Live, live_of
from moveworks_shift_async.jobs.report.requests_chart import HEIGHT, WIDTH, chart_of
from moveworks_shift_async.jobs.schedule.schedule import Schedule
from moveworks_shift_async.jobs.schedule.window import Window
from moveworks_shift_async.jobs.store.ports import JobState

from .fakes import FakeClock

#: As the clock shows it on the wall.
NOW = (datetime(2026, 1, 1, tzinfo=UTC)).timestamp() + 1000.0
BEGAN = NOW - 300.0


def a_run(name: str = "run", **more: Any) -> Run:
    """A process that has begun."""
    given: dict[str, Any] = {"pid": 7, "host": "vendor", "began_at": BEGAN, "ended_at": None,
                             "ended": None, "budget": 120, "per": 60.0}  # fmt: skip
    return Run(id=name, **given | more)


def a_chunk(number: int, state: State, ended: float | None = None, **more: Any) -> ChunkRecord:
    """A request of one person, that ended so many seconds after the begin."""
    given: dict[str, Any] = {"people": 1, "requests": int(ended is not None), "throttled": 0,
                             "error": None, "reason": None, "left_at": None,
                             "owner": "run"}  # fmt: skip
    at = None if ended is None else BEGAN + ended
    return ChunkRecord(id=number, state=state, sent_at=at, ended_at=at, **given | more)


def a_state(*chunks: ChunkRecord, **more: Any) -> JobState:
    """A job that a process runs."""
    header = Header(source="people.csv", event_id=None, planned_at=BEGAN, complete=True,
                    people=len(chunks), chunks=len(chunks), texts=1)  # fmt: skip
    counts = {state: sum(chunk.state is state for chunk in chunks) for state in State}
    totals = [
        Total(state=state, left_alone=False, chunks=count, people=count, requests=0, throttled=0)
        for state, count in counts.items()
        if count
    ]
    given: dict[str, Any] = {"runs": [a_run()], "events": [], "command": Command.RUN,
                             "alive": frozenset(["run"]), "stray": None}  # fmt: skip
    return JobState(name="job", header=header, records=chunks, totals=totals, **given | more)


def account_in(state: JobState) -> JobAccount:
    """Its account now."""
    return account_of(state, [], FakeClock())


def live_in(state: JobState, *, buttons: bool = True) -> Live:
    """What a live page says of it."""
    return live_of(state, account_in(state), buttons=buttons)


def sent(count: int, left: int = 0, every: float = 2.0) -> list[ChunkRecord]:
    """So many accepted, one each few seconds, and some that wait."""
    told = [a_chunk(n, State.ACCEPTED, (n + 1) * every) for n in range(count)]
    return [*told, *(a_chunk(count + n, State.PLANNED) for n in range(left))]


@pytest.mark.parametrize(
    ("more", "standing", "mood"),
    [
        ({}, "under way", "working"),
        ({"command": Command.PAUSE}, "paused", "held"),
        ({"command": Command.STOP}, "stopping", "held"),
        ({"runs": [a_run(held_by=Incident.OUTAGE)]}, "waiting for the server", "away"),
        ({"runs": [a_run(held_by=Incident.CLOSED)]}, "waiting for its window", "held"),
        ({"alive": frozenset()}, "not finished", ""),
    ],
)
def test_where_a_job_is_stands_in_a_few_words(
    more: dict[str, Any], standing: str, mood: str
) -> None:
    """With what colours them."""
    live = live_in(a_state(*sent(3, 3), **more))
    assert (live.standing, live.mood) == (standing, mood)
    assert live.said == f"{standing.capitalize()}. 50 % of 6 people have an outcome."
    assert live.stopping is (standing == "stopping")


def test_what_is_heard_changes_with_each_tenth_only() -> None:
    """Whoever hears the page is not told of each request."""
    said = [live_in(a_state(*sent(count, 100 - count))).said for count in range(101)]
    assert len(set(said)) == 11
    assert live_in(a_state(*sent(0, 5), runs=[], alive=frozenset())).said == "Not begun."


@pytest.mark.parametrize(
    ("chunks", "more", "left"),
    [
        # 150 in 300 s, and 30 that are left; but for 1,000 the limit is slower than that.
        (sent(150, 30), {}, "About 1 min left, at the pace of now."),
        (
            sent(300, 1000, every=0.1),
            {"runs": [a_run(began_at=NOW - 30)]},
            "About 8 min left, at the pace of now.",
        ),
        (sent(150, 30), {"command": Command.PAUSE}, ""),
        (sent(150, 30), {"command": Command.STOP}, ""),
        (sent(150, 30), {"runs": [a_run(held_by=Incident.OUTAGE)]}, ""),
        (sent(150, 30), {"alive": frozenset()}, ""),
        (sent(150), {}, ""),
        (sent(0, 30), {}, ""),
    ],
)
def test_the_time_left_follows_the_pace_and_the_limit(
    chunks: list[ChunkRecord], more: dict[str, Any], left: str
) -> None:
    """And nothing is said where nothing tells."""
    if chunks[0].ended_at is not None and "8 min" in left:  # all of them in the last 30 s
        late = NOW - BEGAN - 30
        chunks = [
            chunk if chunk.ended_at is None else evolve(chunk, ended_at=chunk.ended_at + late)
            for chunk in chunks
        ]
    assert live_in(a_state(*chunks, **more)).left == left


HOURS = Schedule(windows=(Window.of("Mon-Fri 08:00-18:00 UTC"),))
#: So many seconds before the end of a Thursday's window, which is 17:43:20 after `NOW`.
EVENING = datetime(2026, 1, 1, 18, tzinfo=UTC).timestamp() - NOW


@pytest.mark.parametrize(
    ("before", "held", "left"),
    [
        (61.0, None, "About 1 min left, at the pace of now."),
        # 30 requests at 30 a minute: those of this minute, and the rest in the morning.
        (30.0, None, "Ends at the earliest Thu 2026-01-01 17:59:30 UTC."),
        (-60.0, Incident.CLOSED,
         "Begins Fri 2026-01-02 08:00 UTC, ends at the earliest Fri 2026-01-02 08:00 UTC."),
    ],
)  # fmt: skip
def test_the_time_left_knows_the_hours(before: float, held: Incident | None, left: str) -> None:
    """What will not be done by the evening is not said to be."""
    clock = FakeClock(time=1000.0 + EVENING - before)
    began = BEGAN + EVENING - before
    chunks = [
        chunk if chunk.ended_at is None else evolve(chunk, ended_at=chunk.ended_at + began - BEGAN)
        for chunk in sent(150, 30)
    ]
    state = a_state(*chunks, runs=[a_run(began_at=began, held_by=held)])
    state = evolve(state, header=evolve(state.header, windows=HOURS.columns[0]))
    assert live_of(state, account_of(state, [], clock), buttons=False).left == left


def test_hours_alone_tell_when_nothing_has_ended() -> None:
    """At the rate of the limit; without hours nothing tells."""
    early = FakeClock(time=1000.0)
    state = a_state(*sent(0, 130), runs=[a_run(held_by=Incident.CLOSED)])
    state = evolve(state, header=evolve(state.header, windows=HOURS.columns[0]))
    live = live_of(state, account_of(state, [], early), buttons=False)
    assert live.left == (
        "Begins Thu 2026-01-01 08:00 UTC, ends at the earliest Thu 2026-01-01 08:01 UTC."
    )


def test_those_at_work_come_first_with_what_they_do() -> None:
    """Then whoever has ended, or has not said a word."""
    runs = [
        a_run("dead", began_at=BEGAN - 50),
        a_run("done", began_at=BEGAN - 40, ended_at=BEGAN - 30, ended="done"),
        a_run("cut", began_at=BEGAN - 20, ended_at=BEGAN - 10, ended="asked by ann@example.com"),
        a_run(host="a", lease_until=NOW + 30),
        a_run("held", held_by=Incident.OUTAGE),
        a_run("paused", held_by=Incident.PAUSED),
    ]
    chunks = [
        a_chunk(0, State.SENDING),
        a_chunk(1, State.SENDING, owner="dead"),
        a_chunk(2, State.ACCEPTED, 5.0, owner="done", requests=3),
    ]
    alive = frozenset(["run", "held", "paused"])
    live = live_in(a_state(*chunks, runs=runs, alive=alive))
    assert [worker.state for worker in live.workers] == [
        "at work", "waiting for the server", "paused", "ended: asked by [address]", "ended",
        "gone without a word",
    ]  # fmt: skip
    assert [worker.at_work for worker in live.workers] == [True] * 3 + [False] * 3
    assert [worker.in_flight for worker in live.workers] == [1, 0, 0, 0, 0, 0]
    assert [worker.ended for worker in live.workers] == [0, 0, 0, 0, 3, 0]
    assert live.workers[0].name == "process 7 on a"
    assert live.workers[0].lease == "2026-01-01 00:17:10 UTC"
    assert live.workers[1].lease == ""


def test_the_chart_is_of_the_window_that_the_limit_counts() -> None:
    """30 a minute here; the line of the limit is above it, and nothing is outside of the box."""
    state = a_state(*sent(150, 5))
    chart = live_in(state).chart
    assert chart is not None
    assert (chart.used, chart.limit, chart.window, chart.since) == (30, 120, "minute", "5 min")
    corners = [pair.split() for pair in chart.path[1:-1].split("L")]
    assert all(0 <= float(x) <= WIDTH and 0 <= float(y) <= HEIGHT for x, y in corners)
    assert min(float(y) for _, y in corners) > chart.limit_y
    assert chart.bands == ()
    assert chart.says == (
        "30 requests in the last minute, of 120 that the limit allows;"
        " at most 30 in the last 5 min."
    )


def test_the_chart_shows_what_made_it_wait_and_what_still_does() -> None:
    """Of the minutes that it shows; what was before them is not there."""
    events = [
        Event(at=BEGAN + 30, incident=Incident.THROTTLED, seconds=60),
        Event(at=BEGAN + 299, incident=Incident.PAUSED, seconds=0.01),
    ]
    runs = [a_run(held_by=Incident.OUTAGE, held_since=NOW - 75)]
    state = a_state(*sent(2, 2), runs=runs, events=events)
    chart = chart_of(account_in(state), [])
    bands = {band.kind: (band.left, band.width) for band in chart.bands}
    assert bands == {
        "throttled": (60.0, 120.0),
        "outage": (450.0, 150.0),
        "paused": (598.0, 3.0),
    }
    assert chart.kinds == [("throttled", "429"), ("outage", "outage"), ("paused", "paused")]
    assert chart.says.endswith("It waited meanwhile: 429, outage, paused.")
    early = evolve(account_in(state), began_at=datetime.fromtimestamp(NOW - 3000, UTC))
    assert [band.kind for band in chart_of(early, []).bands] == ["outage"]
