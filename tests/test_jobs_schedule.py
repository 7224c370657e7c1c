"""When a job may send: windows, moments, both changes of daylight saving, and the forecast."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moveworks_shift_async.errors import InvalidInput
from moveworks_shift_async.jobs.schedule import zones
from moveworks_shift_async.jobs.schedule.change import ScheduleChange
from moveworks_shift_async.jobs.schedule.forecast import forecast, said
from moveworks_shift_async.jobs.schedule.schedule import Schedule
from moveworks_shift_async.jobs.schedule.window import DAYS, Window, changes_at, open_at
from moveworks_shift_async.jobs.schedule.zones import moment_of, put_at, zone_of
from moveworks_shift_async.limits.window import Quota, SlidingWindow

WORK = "Mon-Fri 08:00-18:00 Europe/Berlin"
MINUTE = timedelta(minutes=1)
#: A Sunday evening.
NOW = datetime(2026, 11, 29, 20, 40, tzinfo=UTC)
#: With and without daylight saving; by 30 minutes; at odd offsets; once without a day.
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Africa/Casablanca",
)

#: Around the changes of two years, and anywhere else, to the minute.
minutes = st.integers(0, 2 * 366 * 24 * 60).map(
    lambda count: datetime(2025, 12, 1, tzinfo=UTC) + count * MINUTE
)
changes = st.sampled_from(
    [
        datetime(2026, month, day, hour, tzinfo=UTC)
        for month, day, hour in ((3, 29, 1), (10, 25, 1), (3, 8, 7), (11, 1, 6), (4, 4, 15))
    ]
)
near_changes = st.builds(lambda at, off: at + off * MINUTE, changes, st.integers(-1500, 1500))
moments = st.one_of(minutes, near_changes)


def _window(days: frozenset[int], begins: int, ends: int, zone: str) -> Window:
    return Window(days, begins, ends if ends != begins else begins + 1, zone)


windows = st.builds(
    _window,
    st.frozensets(st.integers(0, 6), min_size=1),
    st.integers(0, 24 * 60 - 1),
    st.integers(0, 24 * 60),
    st.sampled_from(ZONES),
)
schedules = st.builds(
    lambda windows, first, last: Schedule(
        windows=tuple(windows),
        not_before=first,
        not_after=None if last is None or (first and last <= first) else last,
    ),
    st.lists(windows, max_size=3),
    st.none() | moments,
    st.none() | moments,
)


def utc(month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    """A moment of 2026."""
    return datetime(2026, month, day, hour, minute, second, tzinfo=UTC)


def shows(window: Window, at: datetime) -> bool:
    """Whether a clock on the wall shows one of its hours: the definition, in words of text."""
    there = at.astimezone(ZoneInfo(window.zone))
    time, today = f"{there:%H:%M}", there.weekday() in window.days
    yesterday = (there.weekday() + 6) % 7 in window.days
    begins, ends = (f"{n // 60:02}:{n % 60:02}" for n in (window.begins, window.ends))
    if begins < ends:
        return today and begins <= time < ends
    return (today and time >= begins) or (yesterday and time < ends)


# --- windows ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (WORK, WORK),
        ("22:00-06:00 UTC", "Mon-Sun 22:00-06:00 UTC"),
        ("Mon, wed-Friday 8:00 - 18:00  Europe/Berlin", "Mon,Wed-Fri 08:00-18:00 Europe/Berlin"),
        ("Sat\u2013Mon 22:00\u201324:00 UTC", "Mon,Sat,Sun 22:00-24:00 UTC"),
        ("Tue 00:00-24:00 utc", "Tue 00:00-24:00 utc"),
    ],
)
def test_window_texts(text: str, meant: str) -> None:
    """A window is read as people write it, and written so that it is read again."""
    assert str(Window.of(text)) == meant
    assert Window.of(meant) == Window.of(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Mon-Fry 08:00-18:00 UTC", '"Mon-[Fry] 08:00-18:00 UTC": days are Mon, Tue'),
        ("Mo 08:00-18:00 UTC", '"[Mo] 08:00-18:00 UTC": days are'),
        ("Mon- 08:00-18:00 UTC", 'Mon'),
        ("Mon-Fri 08:00-18:00", '"Mon-Fri 08:00-18:00 []": the time zone is missing'),
        ("Mon-Fri 08:00-25:00 UTC", '"Mon-Fri 08:00-[25:00] UTC": a time is written 08:00'),
        ("Mon 8-18 UTC", '"Mon [8]-18 UTC": a time is written 08:00'),
        ("Mon 08:00 UTC", '"Mon [08:00] UTC": hours have a begin and an end'),
        ("08:00-08:00 UTC", '"[08:00-08:00] UTC": it is never open; all day is 00:00-24:00'),
        ("24:00-08:00 UTC", '"[24:00]-08:00 UTC": no day begins at its end'),
        ("08:00-12:00,13:00-18:00 UTC", "give another --window"),
        ("08:00-18:00 UTC Sun", '"08:00-18:00 UTC [Sun]": nothing comes after the zone'),
        ("08:00-18:00 Berlin", '"08:00-18:00 [Berlin]": no time zone is called Berlin,'
                               " perhaps Europe/Berlin"),
        ("08:00-18:00 Nowhere/Xq", "no time zone is called Nowhere/Xq; one looks like"),
        ("", '"[]": it names no hours'),
        ("Mon-Fri", '"[Mon-Fri]": it names no hours'),
    ],
)  # fmt: skip
def test_window_errors_show_the_place(text: str, shown: str) -> None:
    """What is wrong stands in brackets, in its place, beside an example."""
    with pytest.raises(InvalidInput) as raised:
        Window.of(text)
    assert shown in str(raised.value)
    assert str(raised.value).endswith(f'one looks like "{WORK}"')


@given(windows)
def test_a_window_is_read_as_it_is_written(window: Window) -> None:
    """The text of a window is all of it."""
    assert Window.of(str(window)) == window


@given(windows, moments)
def test_open_is_what_a_clock_there_shows(window: Window, at: datetime) -> None:
    """Whatever the zone does: a window is open while a clock on the wall shows its hours."""
    assert window.is_open(at) is shows(window, at)


@given(st.lists(windows, min_size=1, max_size=3).map(tuple), moments, st.data())
def test_changes(several: tuple[Window, ...], at: datetime, data: st.DataObject) -> None:
    """Until it changes it stays as it is, and there it is not."""
    until, now = changes_at(several, at), open_at(several, at)
    last = at + timedelta(days=9) if until is None else until
    if until is not None:
        assert at < until
        assert open_at(several, until) is not now
    between = st.integers(0, int((last - at).total_seconds()) - 1)
    for seconds in data.draw(st.lists(between, max_size=20)):
        assert open_at(several, at + timedelta(seconds=seconds)) is now
    assert open_at(several, last - timedelta(seconds=1)) is now


@settings(max_examples=25)
@given(st.lists(windows, min_size=1, max_size=2).map(tuple), near_changes)
def test_no_minute_before_a_change_is_another(several: tuple[Window, ...], at: datetime) -> None:
    """Looked at one by one, over days on which clocks are put forward or back."""
    until, now = changes_at(several, at), open_at(several, at)
    for later in range(2 * 24 * 60):
        minute = at + later * MINUTE
        assert open_at(several, minute) is (now if until is None or minute < until else not now)
        if until is not None and minute >= until:
            break


def test_the_day_after_a_late_evening_in_spring() -> None:
    """24 hours behind it are the day after the next, as clocks there show it."""
    sunday = Window.of("Sun 08:00-18:00 Europe/Berlin")
    for evening in (utc(3, 27, 22, 30), utc(3, 28, 22, 30)):
        assert changes_at((sunday,), evening) == utc(3, 29, 6)


def test_it_may_never_change() -> None:
    """What is open all week stays open; without windows it always is."""
    assert changes_at((Window.of("00:00-24:00 Europe/Berlin"),), NOW) is None
    assert open_at((), NOW)


def test_clocks_put_forward() -> None:
    """In Berlin 02:00 is followed by 03:00: what begins between the two begins then, and an hour
    that lies between them is not there."""
    early, hour = Window.of("02:30-06:00 Europe/Berlin"), Window.of("Sun 02:00-03:00 Europe/Berlin")
    assert changes_at((early,), utc(3, 29, 0, 30)) == utc(3, 29, 1)
    assert changes_at((early,), utc(3, 29, 1)) == utc(3, 29, 4)
    assert changes_at((hour,), utc(3, 28)) == utc(4, 5)


def test_clocks_put_back() -> None:
    """03:00 is followed by 02:00 again: what clocks show twice is there twice."""
    early, night = Window.of("02:30-06:00 Europe/Berlin"), Window.of("22:00-02:30 Europe/Berlin")
    edges, at = [], utc(10, 25, 0)
    for _ in range(4):
        at = changes_at((early,), at) or at
        edges.append(at)
    assert edges == [utc(10, 25, 0, 30), utc(10, 25, 1), utc(10, 25, 1, 30), utc(10, 25, 5)]
    assert changes_at((night,), utc(10, 24, 21)) == utc(10, 25, 0, 30)
    assert [night.is_open(utc(10, 25, 1, minute)) for minute in (0, 29, 30)] == [True, True, False]


def test_a_change_is_found_to_the_second() -> None:
    """Between two moments without one there is none."""
    berlin = zone_of("Europe/Berlin")
    assert put_at(berlin, utc(3, 29), utc(3, 30)) == utc(3, 29, 1)
    assert put_at(berlin, utc(3, 30), utc(3, 31)) is None


def test_without_any_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine has no rules of zones, the error says what to install; UTC needs none."""

    def missing(name: str) -> ZoneInfo:
        raise KeyError(name)

    monkeypatch.setattr(zones, "ZoneInfo", missing)
    monkeypatch.setattr(zones, "available_timezones", set[str])
    zone_of.cache_clear()
    with pytest.raises(InvalidInput, match=r"knows no time zones.*Europe/Berlin.*pip install tzda"):
        Window.of(WORK)
    assert Window.of("08:00-09:00 UTC").is_open(utc(3, 1, 8))
    zone_of.cache_clear()


# --- moments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-12-01T09:00+01:00", utc(12, 1, 8)),
        ("2026-12-01 09:00 Europe/Berlin", utc(12, 1, 8)),
        ("2026-12-01T09:00[Europe/Berlin]", utc(12, 1, 8)),
        ("2026-12-01T09:00:30Z", utc(12, 1, 9, 0, 30)),
        ("2026-10-25T02:30+02:00", utc(10, 25, 0, 30)),
        ("22:30 UTC", utc(11, 29, 22, 30)),
        ("06:30 Asia/Tokyo", utc(11, 29, 21, 30)),
        ("20:40 UTC", utc(11, 30, 20, 40)),
    ],
)
def test_moments(text: str, at: datetime) -> None:
    """A day and an hour with an offset or a zone; an hour alone is the next one."""
    assert moment_of(text, NOW) == (at, False)


def test_an_hour_alone_asks_nothing_of_another_day() -> None:
    """Clocks skip 02:30 in one night: that is no matter to another hour, or to the next day."""
    evening, morning = utc(3, 28, 21), utc(3, 29, 6)
    assert moment_of("23:30 Europe/Berlin", evening)[0] == utc(3, 28, 22, 30)
    assert moment_of("02:30 Europe/Berlin", morning)[0] == utc(3, 30, 0, 30)
    with pytest.raises(InvalidInput, match="no clock there shows it"):
        moment_of("02:30 Europe/Berlin", evening)


def test_moments_of_this_machine() -> None:
    """Without a zone it is this machine's, and the answer says so."""
    at, here = moment_of("2026-12-01T09:00", NOW)
    assert at == datetime(2026, 12, 1, 9).astimezone()
    assert here
    assert moment_of("21:00", NOW)[0].astimezone().hour == 21


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("tomorrow", '"tomorrow" is no time; one is 22:30, or 2026-12-01T09:00'),
        ("2026-13-01T09:00", "no time that there will be"),
        ("1999-12-01T09:00Z", "no time that there will be"),
        ("2026-12-01T09:00 Nowhere", "no time zone is called Nowhere"),
        ("2026-03-29T02:30 Europe/Berlin", "no clock there shows it"),
        ("2026-10-25T02:30 Europe/Berlin", "say 2026-10-25T02:30+0200 or 2026-10-25T02:30+0100"),
    ],
)
def test_moments_that_are_none(text: str, shown: str) -> None:
    """One that clocks skip is none, and one that they show twice needs an offset."""
    with pytest.raises(InvalidInput) as raised:
        moment_of(text, NOW)
    assert shown in str(raised.value)


# --- schedules ----------------------------------------------------------------------------------


@given(schedules, moments, st.data())
def test_opens(schedule: Schedule, at: datetime, data: st.DataObject) -> None:
    """Something may leave when it opens, nothing before, and something until it closes."""
    opens = schedule.opens(at)
    if opens is None:
        assert not schedule.allows(at)
        return
    assert at <= opens
    assert schedule.allows(opens)
    if opens > at:
        between = st.integers(0, int((opens - at).total_seconds()) - 1)
        assert not schedule.allows(at + timedelta(seconds=data.draw(between)))
    if (closes := schedule.closes(opens)) is not None:
        assert not schedule.allows(closes)
        inside = st.integers(0, int((closes - opens).total_seconds()) - 1)
        assert schedule.allows(opens + timedelta(seconds=data.draw(inside)))


@given(schedules)
def test_a_schedule_is_read_as_it_is_kept(schedule: Schedule) -> None:
    """What a job keeps of it is all of it."""
    assert Schedule.kept(*schedule.columns) == schedule
    assert bool(schedule) is (schedule != Schedule())


def test_why_closed() -> None:
    """It says until when, and why; and where nothing is to come, that."""
    work = Schedule(windows=(Window.of(WORK),))
    assert work.why_closed(utc(11, 30, 8)) is None
    assert work.why_closed(NOW) == f"waiting until Mon 2026-11-30 08:00 CET, outside of {WORK}"
    later = Schedule(not_before=utc(12, 1, 9), not_after=utc(12, 1, 10, 0, 30))
    assert later.why_closed(NOW) == (
        "waiting until Tue 2026-12-01 09:00 UTC, as it is not to begin before"
    )
    over = "nothing is sent after Tue 2026-12-01 10:00:30 UTC"
    assert later.why_closed(utc(12, 2)) == over
    never = Schedule(windows=(Window.of("Sat 08:00-09:00 UTC"),), not_after=utc(12, 1))
    assert never.why_closed(NOW) == "no window opens any more"
    assert later.lines() == [("not before", "Tue 2026-12-01 09:00 UTC"),
                             ("not after", "Tue 2026-12-01 10:00:30 UTC")]  # fmt: skip
    assert work.lines() == [("window", WORK)]


def test_a_change_replaces_what_it_names() -> None:
    """The rest stays as it is kept; words take a part away."""
    kept = Schedule(windows=(Window.of(WORK),), not_before=utc(12, 1), not_after=utc(12, 2))
    nothing = ScheduleChange.of(NOW, None, None, None)
    assert not nothing
    assert nothing.applied(kept) == kept
    away = ScheduleChange.of(NOW, "always", "now", "never")
    assert away.applied(kept) == Schedule()
    night = ScheduleChange.of(NOW, ["22:00-24:00 UTC", "Sun 00:00-24:00 UTC"], None, None)
    assert len(night.applied(kept).windows) == 2
    assert night.applied(kept).not_before == utc(12, 1)


def test_a_change_says_which_zone_it_took() -> None:
    """A moment without one is by this machine's, as text and as a datetime."""
    bare = datetime(2026, 12, 1, 9)  # noqa: DTZ001 - that is what is tested
    given_ = ScheduleChange.of(NOW, None, bare, "2026-12-03T09:00")
    assert [at.replace(tzinfo=None) for at in given_.local] == [bare, bare + timedelta(days=2)]
    aware = datetime(2026, 12, 1, 9, tzinfo=timezone(timedelta(hours=1)))
    there = ScheduleChange.of(NOW, None, aware, None)
    assert there.local == ()
    assert there.applied(Schedule()).not_before == utc(12, 1, 8)


def test_a_change_that_leaves_nothing() -> None:
    """A last moment before the first is an error, whichever was kept."""
    kept = Schedule(not_after=utc(12, 1))
    with pytest.raises(InvalidInput, match=r"not before Wed 2026-12-02 .*: nothing could be sent"):
        ScheduleChange.of(NOW, None, "2026-12-02T00:00Z", None).applied(kept)


# --- the forecast -------------------------------------------------------------------------------


def simulated(schedule: Schedule, now: datetime, bursts: int, longest: int) -> list[datetime]:
    """When bursts leave, by a clock that is looked at every minute; as many as there is time for.

    A rate window is a minute, and all edges are on minutes.
    """
    left, at = list[datetime](), now
    while len(left) < bursts and at < now + longest * MINUTE:
        if schedule.allows(at):
            left.append(at)
        at += MINUTE
    return left


@given(schedules, moments, st.integers(1, 400), st.integers(1, 120))
def test_a_forecast_is_what_a_clock_would_do(
    schedule: Schedule, now: datetime, requests: int, budget: int
) -> None:
    """No send starts outside, and the end is the true one: not a rate window before or after it."""
    planned = forecast(schedule, now, requests, budget, 60.0)
    bursts = [spell.first + place * MINUTE
              for spell in planned.spells for place in range(spell.bursts)]  # fmt: skip
    assert all(schedule.allows(at) for at in bursts)
    assert [spell.last for spell in planned.spells] == [
        spell.first + (spell.bursts - 1) * MINUTE for spell in planned.spells
    ]
    true = simulated(schedule, now, len(bursts), 3 * 24 * 60)
    assert bursts[: len(true)] == true
    assert planned.late == max(0, requests - len(bursts) * budget)
    assert planned.ends == (bursts[-1] if bursts else None)
    assert planned.begins == (bursts[0] if bursts else None)


@given(
    st.integers(0, 23 * 60),
    st.integers(10, 50),
    near_changes,
    st.integers(1, 80),
    st.integers(1, 4),
    st.floats(0.0, 0.9),
)
def test_the_end_by_the_very_gate(
    begins: int, lasts: int, now: datetime, bursts: int, budget: int, latency: float
) -> None:
    """The gate's slots outlive their answers: the true end is not before the planned one, and at
    most in the opening that follows it. Nothing leaves outside."""
    ends = (begins + lasts) % (24 * 60)
    schedule = Schedule(windows=(Window(frozenset(range(7)), begins, ends, "Europe/Berlin"),))
    slots, at = SlidingWindow(Quota(budget, 60.0, budget)), now
    for _ in range(bursts * budget):
        while True:
            wait = timedelta(seconds=slots.wait(at.timestamp()))
            opens = schedule.opens(at + wait)
            assert opens is not None
            if opens == at:
                break
            at = opens
        assert schedule.allows(at)
        slots.answered(slots.start(at.timestamp()), at.timestamp() + latency)
    planned = forecast(schedule, now, bursts * budget, budget, 60.0).ends
    assert planned is not None
    assert planned <= at
    closes = schedule.closes(planned)
    assert closes is not None
    following = schedule.opens(closes)
    assert following is not None
    last = schedule.closes(following)
    assert last is not None
    assert at < last


def test_a_forecast_with_nights() -> None:
    """100,000 requests at 120 a minute go into the hours of two working days."""
    planned = forecast(Schedule(windows=(Window.of(WORK),)), NOW, 100_000, 120, 60.0)
    assert planned.begins == utc(11, 30, 7)
    assert planned.ends == utc(12, 1, 10, 53)
    assert [spell.bursts for spell in planned.spells] == [600, 234]
    assert planned.late == 0


def test_a_forecast_that_is_not_done() -> None:
    """What does not fit before the last moment is late, and so is what would take years."""
    short = Schedule(not_after=NOW + timedelta(seconds=90))
    assert forecast(short, NOW, 500, 120, 60.0).late == 260
    over = Schedule(not_after=NOW)
    assert (over.opens(NOW), forecast(over, NOW, 5, 120, 60.0).begins) == (None, None)
    weekly = Schedule(windows=(Window.of("Mon 08:00-08:01 UTC"),))
    assert forecast(weekly, NOW, 120 * 200, 120, 60.0).late == 120 * 95


def test_a_forecast_in_words() -> None:
    """When it begins, if not now, when it ends, and what is late; or why nothing is sent."""
    work = Schedule(windows=(Window.of(WORK),), not_after=utc(11, 30, 7, 1))
    late = said(forecast(work, NOW, 500, 120, 60.0), work, NOW)
    at = "Mon 2026-11-30 08:00 CET"
    assert late == f"begins {at}, ends at the earliest {at}; 380 requests not in time"
    free = Schedule()
    now = said(forecast(free, NOW, 500, 120, 60.0), free, NOW)
    assert now == "ends at the earliest Sun 2026-11-29 20:44 UTC"
    over = Schedule(not_after=NOW)
    nothing = said(forecast(over, NOW, 5, 120, 60.0), over, NOW)
    assert nothing == "nothing can be sent: nothing is sent after Sun 2026-11-29 20:40 UTC"


@given(st.integers(1, 40), st.integers(1, 60_000), st.sampled_from([60, 600, 100_000]))
def test_platforms_show_at_their_pace(bursts: int, people: int, pace: int) -> None:
    """As a queue would: what has come is shown in order, and nobody waits where nobody is before.

    Windows do not hold it: the vendor delivers what it has.
    """
    schedule = Schedule(windows=(Window.of("10:00-10:07 UTC"),))
    planned = forecast(schedule, NOW, bursts, 1, 60.0)
    shown = planned.shown(people, {"Chat": pace})["Chat"]
    free = planned.begins or NOW
    for spell in planned.spells:
        for place in range(spell.bursts):
            free = max(free, spell.first + place * MINUTE)
            free += timedelta(seconds=people / bursts * 60 / pace)
    assert abs(shown - free) < timedelta(seconds=0.01)


def test_nothing_is_shown_of_nothing() -> None:
    """A job of which nothing can leave has no delivery."""
    assert forecast(Schedule(not_after=NOW), NOW, 5, 1, 60.0).shown(5, {"Chat": 60}) == {}


def test_days_have_names() -> None:
    """The week begins on Monday, as `weekday` counts."""
    assert f"{utc(11, 30):%A}" == DAYS[utc(11, 30).weekday()]
