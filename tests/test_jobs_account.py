"""The account of a job: totals that add up, times, words, and a row for each recipient."""

from __future__ import annotations

import asyncio
import csv
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moveworks_shift_async.errors import JournalError
from moveworks_shift_async.jobs.job import Job
from moveworks_shift_async.jobs.records import Event, Incident, Run, Settlement, State
from moveworks_shift_async.jobs.report.account import ErrorKind, JobAccount
from moveworks_shift_async.jobs.report.lines import KINDS, account_lines
from moveworks_shift_async.jobs.report.page import render_page
from moveworks_shift_async.jobs.report.plot import allowance
from moveworks_shift_async.jobs.report.sentences import (
    meaning,
    standing_of,
    time_words,
)
from moveworks_shift_async.jobs.report.timeline import (
    POINTS,
    Break,
    TimelineEvent,
    ending_of,
    gaps,
)
from moveworks_shift_async.jobs.report.ways import ways_for_unknown
from moveworks_shift_async.jobs.store.rows import pack
from moveworks_shift_async.jobs.store.sqlite.journal import Journal
from moveworks_shift_async.wire.moveworks import Content

from . import journals
from .fakes import FakeClock
from .journals import BEGAN, begin, planned, read_account, send, write_report

ENDS = (State.ACCEPTED, State.REJECTED, State.UNKNOWN, State.PLANNED, State.SENDING)


def at(seconds: float) -> datetime:
    """A moment of the journals' day."""
    return datetime.fromtimestamp(BEGAN + seconds, UTC)


def rows_of(path: Path) -> list[dict[str, str]]:
    """A CSV file as a spreadsheet would read it."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_csv(journal: Journal, path: Path) -> None:
    """Write the rows alone."""
    write_report(journal, str(path), None)


def make_plan(path: Path, entries: list[str]) -> None:
    """A plan for these entries, as a program gives them."""
    asyncio.run(Job.plan(path, entries, message="Hello", legacy=True))


def test_a_finished_job_adds_up(tmp_path: Path) -> None:
    """Everybody is counted once, with the requests, the times and the errors."""
    account = read_account(journals.finished(tmp_path / "j"))
    assert (account.accepted, account.rejected, account.unknown, account.not_sent) == (
        59_500, 500, 0, 0,
    )  # fmt: skip
    assert (account.people, account.chunks, account.requests, account.throttled) == (
        60_000, 120, 120, 0,
    )  # fmt: skip
    assert (account.duplicates, account.differing, account.invalid) == (312, 4, 17)
    assert (account.began_at, account.ended_at) == (at(0), at(186))
    assert (account.finished, account.running, account.elapsed) == (True, False, 186)
    (kind,) = account.errors
    assert (kind.state, kind.error, kind.people, kind.chunks) == (
        State.REJECTED, "BadRequest", 500, 1,
    )  # fmt: skip
    assert [record.id for record in account.failures] == [77]


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(ENDS), st.integers(1, 9)), min_size=1, max_size=12))
def test_the_outcomes_always_add_up(
    tmp_path_factory: pytest.TempPathFactory, ends: list[tuple[State, int]]
) -> None:
    """Whatever became of the chunks, each person has one outcome, in the account and the file."""
    folder = tmp_path_factory.mktemp("law")
    journal = Journal.create(str(folder / "j"), journals.HEADER)
    with journal.transaction():
        journal.add_content(0, Content(event_id=None, message="Hello"))
        for number, (_, size) in enumerate(ends):
            packed = pack(journals.addresses(number, size))
            journal.add_chunks([(number, 0, size, packed)])
        people = sum(size for _, size in ends)
        journal.complete(evolve(journals.HEADER, people=people, chunks=len(ends)))
        begin(journal, BEGAN)
        for number, (state, _) in enumerate(ends):
            if state is not State.PLANNED:
                journal.sending(number, BEGAN)
            if state not in (State.PLANNED, State.SENDING):
                journal.settle(Settlement(chunk=number, state=state, at=BEGAN + 1, requests=1))
    account = read_account(journal)
    counts = (account.accepted, account.rejected, account.unknown, account.not_sent)
    assert sum(counts) == account.people == people
    write_csv(journal, folder / "out.csv")
    outcomes = [row["outcome"] for row in rows_of(folder / "out.csv")]
    names = ("accepted", "rejected", "unknown", "not_sent")
    assert tuple(map(outcomes.count, names)) == counts
    journal.close()


def test_requests_on_their_way_count_as_not_sent_while_a_run_is_on(tmp_path: Path) -> None:
    """With the lock taken, nothing is guessed; once it is free, they are unknown."""
    journal = journals.halfway(tmp_path / "j")
    during = read_account(journal)
    journal.close()
    with Journal.look(journal.path) as journal:
        after = read_account(journal)
    assert (during.running, during.in_flight, during.not_sent, during.unknown) == (
        True, 1_500, 180_000, 0,
    )  # fmt: skip
    assert during.ended_at is None
    assert not during.finished
    assert (after.running, after.in_flight, after.not_sent, after.unknown) == (
        False, 0, 178_500, 1_500,
    )  # fmt: skip
    assert after.errors[0].message == "the process ended while the request was on its way"
    assert after.ended_at == at(121)


def test_a_lock_that_cannot_be_read_is_not_free(tmp_path: Path) -> None:
    """What nobody can tell is not told: the run may be on."""
    journal = journals.halfway(tmp_path / "j")
    (tmp_path / "j").rename(tmp_path / "k")
    assert read_account(journal).running


def test_a_job_that_was_not_begun_has_no_times(tmp_path: Path) -> None:
    """Nobody was told, nothing failed, and the text says how long it takes."""
    account = read_account(planned(tmp_path / "j", 361))
    assert (account.began_at, account.ended_at, account.elapsed) == (None, None, 0.0)
    assert (account.timeline, account.failures, account.errors) == ((), (), ())
    assert account.not_sent == account.people == 180_500
    assert standing_of(account) == "not begun"
    assert time_words(account) == "It takes at least 3 min at 120 requests a minute."
    assert f"  moveworks-shift run {account.journal}" in account_lines(account)


def test_an_interrupted_plan_says_that_nothing_was_sent(tmp_path: Path) -> None:
    """Its account is there, too."""
    account = read_account(Journal.create(str(tmp_path / "j"), journals.HEADER))
    lines = account_lines(account)
    assert lines[0] == "It is being planned, or its planning was interrupted. Nothing was sent."
    assert standing_of(account) == "not planned"
    assert not account.finished


def test_chunks_that_were_split_are_not_counted_twice(tmp_path: Path) -> None:
    """Their people are counted in the parts, their requests in the total."""
    journal = planned(tmp_path / "j", 2, size=4)
    with journal.transaction():
        begin(journal, BEGAN)
        send(journal, [0], lambda _: BEGAN + 1, State.SPLIT)
        whole = journals.addresses(0, 4)
        journal.split(0, [tuple(whole[:3]), tuple(whole[3:])])
        # The parts stand behind the two chunks of the plan.
        send(journal, [2], lambda _: BEGAN + 2)
        send(journal, [3], lambda _: BEGAN + 2, State.REJECTED, error="BadRequest")
    account = read_account(journal)
    assert (account.people, account.accepted, account.rejected, account.not_sent) == (8, 3, 1, 4)
    assert (account.chunks, account.requests) == (3, 3)
    write_csv(journal, tmp_path / "out.csv")
    assert len(rows_of(tmp_path / "out.csv")) == 8


def test_a_journal_that_does_not_add_up_is_damaged(tmp_path: Path) -> None:
    """People who are missing from the chunks are not passed over, nor is a file begun."""
    journal = planned(tmp_path / "j", 2)
    journal._db.connection.execute("UPDATE chunk SET people = 499 WHERE id = 1")
    with pytest.raises(JournalError, match="damaged: its chunks hold 999 people, its plan 1000"):
        read_account(journal)
    journal._db.connection.execute("UPDATE chunk SET people = 501 WHERE id = 0")
    with pytest.raises(JournalError, match="chunk 0 has lost its people"):
        write_csv(journal, tmp_path / "out.csv")
    journal._db.connection.execute("UPDATE address SET packed = x'00' WHERE chunk = 0")
    with pytest.raises(JournalError):
        write_csv(journal, tmp_path / "out.csv")
    assert not [path for path in tmp_path.iterdir() if "out.csv" in path.name]


def test_an_account_inside_a_transaction_is_of_that_transaction(tmp_path: Path) -> None:
    """A runner's own thread may read it between its steps."""
    journal = planned(tmp_path / "j", 1)
    with journal.transaction():
        begin(journal, BEGAN)
        send(journal, [0], lambda _: BEGAN + 1)
        assert read_account(journal).accepted == 500
    assert read_account(journal).finished is True


def test_reading_holds_up_no_writer(tmp_path: Path) -> None:
    """A run goes on while the account is read, which stays as of one moment."""
    writer = planned(tmp_path / "j", 1)
    with Journal.look(str(tmp_path / "j")) as reader:
        with reader.transaction():
            assert reader.reads.header().people == 500
            begin(writer, BEGAN)
        assert reader.reads.runs() == []
    with Journal.look(str(tmp_path / "j")) as reader:
        assert len(reader.reads.runs()) == 1
    writer.close()


def test_the_timeline_is_thin_and_whole(tmp_path: Path) -> None:
    """At most `POINTS` points, never falling, from nobody to all who were accepted."""
    journal = planned(tmp_path / "j", 3_000, size=1)
    with journal.transaction():
        begin(journal, BEGAN)
        send(journal, range(3_000), lambda n: BEGAN + n)
    line = read_account(journal).timeline
    assert line[0] == (0.0, 0)
    assert line[-1] == (2_999.0, 3_000)
    assert 900 < len(line) <= POINTS
    assert sorted(line) == list(line)
    assert [count for _, count in line] == sorted(count for _, count in line)


def test_a_clock_that_went_back_draws_nobody_before_the_begin(tmp_path: Path) -> None:
    """Times before the begin are taken for the begin."""
    journal = planned(tmp_path / "j", 2)
    with journal.transaction():
        begin(journal, BEGAN)
        send(journal, range(2), lambda _: BEGAN - 3_600)
        journal.add_event(Event(at=BEGAN - 60, incident=Incident.PAUSED, seconds=-1))
    account = read_account(journal, clock=FakeClock())
    assert account.timeline == ((0.0, 0), (0.0, 1_000))
    assert (account.events[0].after, account.events[0].seconds) == (0.0, 0.0)
    assert account.elapsed == account.working == 0.0


def test_breaks_between_runs_are_no_work(tmp_path: Path) -> None:
    """A run that was killed worked until its last step."""
    journal = planned(tmp_path / "j", 3)
    with journal.transaction():
        begin(journal, BEGAN)
        send(journal, [0], lambda _: BEGAN + 10)
        begin(journal, BEGAN + 100)
        begin(journal, BEGAN + 200)
        send(journal, [1, 2], lambda n: BEGAN + 200 + n)
    account = read_account(journal)
    assert [(gap.after, gap.seconds) for gap in account.breaks] == [(10.0, 90.0), (100.0, 100.0)]
    assert (account.elapsed, account.working) == (202.0, 12.0)
    assert time_words(account) == "It took 12 s of work within 3 min 22 s."


def test_after_a_429_nobody_knows_how_long_the_rest_takes(tmp_path: Path) -> None:
    """Others spend from the limit, too; what it takes at least is said all the same."""
    account = evolve(read_account(journals.troubled(tmp_path / "j")), throttled=3)
    rest = time_words(account).partition("; ")[2]
    assert rest == "what is left takes at least 3 min; more is not known after a 429."
    rest = time_words(evolve(account, chunks_left=50)).partition("; ")[2]
    assert rest == "what is left takes a time that is not known after a 429."


def test_the_limit_is_a_stair_that_the_accepted_never_pass(tmp_path: Path) -> None:
    """Each run may use a whole budget at once, and again each window, up to everybody."""
    account = read_account(journals.troubled(tmp_path / "j"))
    corners = allowance(account)
    assert corners[:3] == [(0.0, 0.0), (0.0, 60_000.0), (60.0, 120_000.0)]
    assert corners[-1][1] == 600_000
    for after, count in account.timeline:
        assert count <= max(people for begun, people in corners if begun <= after)
    assert allowance(read_account(planned(tmp_path / "k", 1))) == [(0.0, 0.0)]


def test_who_is_unknown_in_a_forgotten_job_stays_so(tmp_path: Path) -> None:
    """Nobody has the addresses any more, so nothing can be decided."""
    account = read_account(journals.troubled(tmp_path / "job"))
    text = "\n".join(account_lines(evolve(account, forgotten_at=account.planned_at)))
    assert "may have been told or not. It stays so." in text


def test_the_text_of_a_troubled_job(tmp_path: Path) -> None:
    """It adds up, names each kind of error with its people, and says what to do, exactly."""
    path = tmp_path / "j b"
    text = "\n".join(account_lines(read_account(journals.troubled(path))))
    for line in (
        "495,000 of 600,000 people were accepted for delivery.",
        "  not sent       99,500   nobody was told yet",
        "  people        600,000",
        "  entries read  600,003",
        "1,001 requests, 0 answered 429. It has taken 13 min 10 s of work within 15 h 06 min;",
        "Paused: once, 45 s.",
        "Outages: once, 1 min 35 s.",
        "unknown: 3,500 people in 7 requests: ServerFailed: 502 Bad Gateway. The server broke",
        "5,000 people may have been told or not. Choose:",
        f"  moveworks-shift resume '{path}' --unknown resend",
        f"  moveworks-shift resume '{path}' --unknown skip",
        f"  moveworks-shift resume '{path}'\n",
    ):
        assert line in text


def test_the_text_of_a_job_under_way(tmp_path: Path) -> None:
    """Nobody is asked to resume what runs."""
    text = "\n".join(account_lines(read_account(journals.halfway(tmp_path / "j"))))
    assert "1,500 of them on their way now" in text
    assert "accepted for delivery so far" in text
    assert "resume" not in text


def test_nobody_is_asked_to_decide_while_the_job_runs(tmp_path: Path) -> None:
    """`resume` would be refused then; what can be done is said when the run has ended."""
    journal = planned(tmp_path / "j", 2, size=1)
    with journal.transaction():
        begin(journal, BEGAN)
        send(journal, [0], lambda _: BEGAN + 1, State.UNKNOWN)
    under_way = evolve(read_account(journal), running=True)
    text = "\n".join(account_lines(under_way))
    assert "1 person may have been told or not. Once the run has ended, status says" in text
    assert "resume" not in text


def test_unknown_people_who_are_left_alone_need_no_decision(tmp_path: Path) -> None:
    """They stay unknown, and the job is finished."""
    journal = planned(tmp_path / "j", 1, size=1)
    with journal.transaction():
        run = begin(journal, BEGAN)
        send(journal, [0], lambda _: BEGAN + 1, State.UNKNOWN)
        journal.write("end_run", (BEGAN + 2, "finished", run))
    before = read_account(journal)
    assert standing_of(before) == "decision needed"
    assert len(ways_for_unknown(before)) == 2
    journal.write("leave_unknown", (BEGAN + 3,))
    after = read_account(journal)
    assert (after.unknown, after.left_alone, after.undecided) == (1, 1, 0)
    assert standing_of(after) == "finished"
    assert ways_for_unknown(after) == ()
    assert any("1 of them left alone" in line for line in account_lines(after))


def test_a_failure_may_have_told_nobody_and_be_tried_again(tmp_path: Path) -> None:
    """A chunk that met an error and is planned again is among the failures, with its error."""
    journal = planned(tmp_path / "j", 3)
    with journal.transaction():
        begin(journal, BEGAN)
        send(journal, [0], lambda _: BEGAN + 1)
        send(journal, [1], lambda _: BEGAN + 2, State.PLANNED, error="ConnectionFailed",
             reason="no route to host")  # fmt: skip
    account = read_account(journal)
    (failure,) = account.failures
    assert (failure.id, failure.state, failure.reason) == (1, State.PLANNED, "no route to host")
    (kind,) = account.errors
    assert (kind.state, kind.error, kind.people, kind.chunks) == (
        State.PLANNED, "ConnectionFailed", 500, 1,
    )  # fmt: skip
    assert (account.accepted, account.not_sent) == (500, 1_000)


def test_events_stand_where_they_happened(tmp_path: Path) -> None:
    """In seconds after the begin of the first run, in order."""
    journal = planned(tmp_path / "j", 1)
    with journal.transaction():
        begin(journal, BEGAN)
        begin(journal, BEGAN + 50)
        journal.add_event(Event(at=BEGAN + 90, incident=Incident.PAUSED, seconds=5))
        journal.add_event(Event(at=BEGAN + 7, incident=Incident.THROTTLED, seconds=60))
    events = read_account(journal).events
    assert [(mark.incident, mark.after, mark.seconds) for mark in events] == [
        (Incident.THROTTLED, 7.0, 60.0), (Incident.PAUSED, 90.0, 5.0),
    ]  # fmt: skip


def test_only_a_job_that_is_done_has_ended(tmp_path: Path) -> None:
    """Who still has people to send to, or a decision to make, has a last run that ended."""
    done, left, open_ = (planned(tmp_path / name, 1) for name in "abc")
    for journal, state in ((done, State.ACCEPTED), (left, State.PLANNED), (open_, State.UNKNOWN)):
        with journal.transaction():
            run = begin(journal, BEGAN)
            send(journal, [0], lambda _: BEGAN + 1, state)
            journal.write("end_run", (BEGAN + 2, "done", run))
    ended = [", ended 2026-05-14 09:00:02 UTC" in "\n".join(account_lines(read_account(journal)))
             for journal in (done, left, open_)]  # fmt: skip
    assert ended == [True, False, False]
    assert "last run ended 2026-05-14 09:00:02" in "\n".join(account_lines(read_account(left)))


def test_the_text_names_a_file_so_that_a_shell_reads_it(tmp_path: Path) -> None:
    """In printable characters; a name that holds an address is not repeated."""
    odd = planned(tmp_path / "a\x1b[2J'b\udcff", 1)
    lines = account_lines(read_account(odd))
    assert f"  moveworks-shift run $'{tmp_path}/a\\033[2J\\'b\\377'" in lines
    named = planned(tmp_path / "ann@example.com.journal", 1)
    lines = account_lines(read_account(named))
    assert "  moveworks-shift run JOURNAL" in lines
    assert not [line for line in lines if "ann@" in line]


def test_everybody_accepted_is_said_first(tmp_path: Path) -> None:
    """The best of ends takes one sentence."""
    journal = planned(tmp_path / "j", 1)
    begin(journal, BEGAN)
    send(journal, [0], lambda _: BEGAN + 1)
    assert account_lines(read_account(journal))[0] == "All 500 people were accepted for delivery."


def test_many_kinds_of_errors_are_counted(tmp_path: Path) -> None:
    """The text names the largest and counts the rest; odd characters stay out of the terminal."""
    journal = planned(tmp_path / "j", KINDS + 3, size=1)
    with journal.transaction():
        begin(journal, BEGAN)
        for chunk in range(KINDS + 3):
            send(journal, [chunk], lambda _: BEGAN + 1, State.REJECTED,
                 error="BadRequest", reason=f"\x1b[31m fault {chunk}\n")  # fmt: skip
    text = "\n".join(account_lines(read_account(journal)))
    assert "and 3 more kinds of errors: 3 people" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("state", "error", "words"),
    [
        (State.PLANNED, "ConnectionFailed", "Nobody of them was told yet. Check the network"),
        (State.PLANNED, "NotFound", "told yet. If the event id is wrong, plan a new job; if not,"),
        (State.PLANNED, "ClientClosed", "It could not be sent. Nobody of them was told yet. Res"),
        (State.PLANNED, "OutcomeUnknown", "They may have been told or not. Resume the job: it"),
        (State.PLANNED, "", "It could not be sent. Nobody of them was told yet. Resume the job."),
        (State.REJECTED, "NotAllowed", "Nobody of them was told. Correct that, and plan"),
        (State.REJECTED, "RateLimited", "Nobody of them was told. Resume the job."),
        (State.UNKNOWN, "BadResponse", "They may have been told or not."),
        (State.UNKNOWN, "Novel", "No usable answer came. They may have been told or not."),
    ],
)
def test_each_kind_says_whether_they_were_told(state: State, error: str, words: str) -> None:
    """First what was met, then what it means for the people, then what to do."""
    assert words in meaning(ErrorKind(state=state, error=error, message="", people=1, chunks=1))


def test_nothing_is_to_be_done_for_whom_a_process_still_sends_to() -> None:
    """A 429 is met on the way, and the job goes on by itself."""
    kind = ErrorKind(state=State.PLANNED, error="RateLimited", message="", people=1, chunks=1)
    assert meaning(kind, running=True).endswith("They are still to be sent to.")
    assert "Resume" in meaning(kind)


# --- a row for each recipient ---------------------------------------------------------------


def test_the_file_has_a_row_for_each_recipient(tmp_path: Path) -> None:
    """In the order of the plan, with exactly these columns, for the owner alone."""
    out = tmp_path / "out.csv"
    write_csv(journals.troubled(tmp_path / "j"), out)
    rows = rows_of(out)
    assert list(rows[0]) == ["address", "outcome", "chunk", "time", "reason", "line"]
    assert len(rows) == 600_003
    assert rows[0] == {
        "address": "ann.example.0@example.com", "outcome": "accepted", "chunk": "0",
        "time": "2026-05-14T09:00:00Z", "reason": "", "line": "",
    }  # fmt: skip
    assert rows[409 * 500]["reason"] == "502 Bad Gateway"
    assert rows[409 * 500]["outcome"] == "unknown"
    assert [row["outcome"] for row in rows[-4:]] == ["not_sent", *["invalid"] * 2, "duplicate"]
    assert rows[-4]["time"] == rows[-4]["reason"] == ""
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_nothing_in_the_file_is_a_formula(tmp_path: Path) -> None:
    """A reason gets an apostrophe wherever a cell may begin, an address a space."""
    people = (
        "+49151@sms.example.com", "-ann@example.com", "=odd@example.com", "o'hara!@example.com",
        "=cmd|'/c'!a+@example.com", "ann@example.com",
    )  # fmt: skip
    journal = planned(tmp_path / "j", 2, size=len(people))
    journal._db.connection.execute("UPDATE address SET packed = ?", (pack(people),))
    reasons = ('=HYPERLINK("http://x","y"), please;=cmd', "\t＝1+1\r\nno")  # noqa: RUF001
    with journal.transaction():
        begin(journal, BEGAN)
        for chunk, reason in enumerate(reasons):
            send(journal, [chunk], lambda _: BEGAN, State.REJECTED, reason=reason)
    write_csv(journal, tmp_path / "out.csv")
    rows = rows_of(tmp_path / "out.csv")
    assert [row["address"] for row in rows[:6]] == [
        *(f" {address}" for address in people[:3]), people[3], f" {people[4]}", people[5],
    ]  # fmt: skip
    assert rows[0]["reason"] == """'=HYPERLINK("http://x","y"), please;'=cmd"""
    assert rows[-1]["reason"] == "'＝1+1 no"  # noqa: RUF001


def test_who_was_left_out_stands_behind_the_recipients(tmp_path: Path) -> None:
    """With the line in the source and the reason: first what is no address, then duplicates."""
    out = tmp_path / "out.csv"
    entries = ["ann@example.com", "=1;=cmd|x", "ANN@example.com", " ann@example.com", "b\ud800"]
    make_plan(tmp_path / "j", entries)
    journal = Journal.open(str(tmp_path / "j"))
    write_csv(journal, out)
    assert [[*row.values()] for row in rows_of(out)] == [
        ["ann@example.com", "not_sent", "0", "", "", ""],
        ["'=1;'=cmd|x", "invalid", "", "", "no @", "2"],
        ["b\\ud800", "invalid", "", "", "no @", "5"],
        ["ANN@example.com", "duplicate", "", "", "came before", "3"],
        ["ann@example.com", "duplicate", "", "", "came before", "4"],
    ]
    journal._db.connection.execute("DELETE FROM left_out WHERE why = 'invalid'")
    with pytest.raises(JournalError, match="entries that were left out are missing"):
        write_csv(journal, tmp_path / "again.csv")
    assert not (tmp_path / "again.csv").exists()


def test_the_file_is_a_source_of_the_same_recipients(tmp_path: Path) -> None:
    """Those whom a spreadsheet would take for a formula, too; nobody else, and nobody twice."""
    people = ["+49151@sms.example.com", "=odd@example.com", "-a|'b'!c@example.com", "Ann@b.de"]
    make_plan(tmp_path / "j", [*people, "ann@B.de", "=nobody", "@", ""])
    asyncio.run(Job(tmp_path / "j").write_csv(tmp_path / "account.csv"))
    asyncio.run(Job.plan(tmp_path / "k", tmp_path / "account.csv", message="Again", legacy=True))
    with Journal.look(str(tmp_path / "k")) as journal:
        header, found = journal.reads.header(), [*journal.reads.recipients()]
    assert found == [(0, tuple(people))]
    assert (header.people, header.duplicates, header.invalid) == (4, 1, 3)


def test_the_reason_of_what_is_under_way(tmp_path: Path) -> None:
    """They are not sent, and the reason says that this may end in a moment."""
    write_csv(journals.halfway(tmp_path / "j"), tmp_path / "out.csv")
    row = rows_of(tmp_path / "out.csv")[240 * 500]
    assert (row["outcome"], row["reason"]) == ("not_sent", "its request is on its way")
    assert row["time"] == "2026-05-14T09:02:01Z"


def test_why_a_run_ended_early_is_said_in_words() -> None:
    """Nothing where it sent to everybody, or died; that it was cut, where it was."""
    run = Run(id="one", pid=1, host="here", began_at=1.0, ended_at=2.0, ended=None, budget=9, per=1)
    words = {how: ending_of(evolve(run, ended=how)) for how in (None, "done", "cut", "full disk")}
    assert words == {
        None: None,
        "done": None,
        "cut": "it was cut, with what was on its way",
        "full disk": "full disk",
    }


def test_the_account_shows_no_chunks_in_its_repr(tmp_path: Path) -> None:
    """A log line of it is short."""
    account: JobAccount = read_account(journals.troubled(tmp_path / "j"))
    assert len(repr(account)) < 1_000


def test_people_who_are_sent_to_again_by_decision_stay_marked(tmp_path: Path) -> None:
    """Accepted the second time, perhaps told twice: the text, the page and the rows say so."""
    journal = planned(tmp_path / "j", 2, size=3)
    with journal.transaction():
        run = begin(journal, BEGAN)
        send(journal, [0], lambda _: BEGAN + 1, State.UNKNOWN)
        send(journal, [1], lambda _: BEGAN + 1, State.ACCEPTED)
        journal.write("resend_unknown")
        send(journal, [0], lambda _: BEGAN + 2, State.ACCEPTED)
        journal.write("end_run", (BEGAN + 3, "finished", run))
    account = read_account(journal)
    assert (account.accepted, account.unknown, account.resent) == (6, 0, 3)
    said = "3 people were sent to again by decision: perhaps told twice."
    assert said in account_lines(account)
    assert said in render_page(account)
    write_csv(journal, tmp_path / "account.csv")
    rows = [*csv.DictReader((tmp_path / "account.csv").read_text(encoding="utf-8").splitlines())]
    again = "sent again after an unknown outcome; perhaps told twice"
    assert [row["reason"] for row in rows] == [again] * 3 + [""] * 3


def test_the_halves_of_a_list_that_was_sent_again_stay_marked(tmp_path: Path) -> None:
    """Its people are the same."""
    journal = planned(tmp_path / "j", 1, size=2)
    with journal.transaction():
        begin(journal, BEGAN)
        send(journal, [0], lambda _: BEGAN + 1, State.UNKNOWN)
        journal.write("resend_unknown")
        send(journal, [0], lambda _: BEGAN + 2, State.SPLIT)
        journal.split(0, [("p0@example.com",), ("p1@example.com",)])
    assert [record.resent for record in journal.reads.records()] == [True, True]
    assert read_account(journal).resent == 2


def test_a_wait_for_a_window_is_no_work() -> None:
    """Nor is it counted twice where no process was at work; what lies ahead does not count."""
    found = [Break(after=10.0, seconds=5.0), Break(after=100.0, seconds=10.0)]

    def wait(after: float, seconds: float, incident: Incident = Incident.CLOSED) -> TimelineEvent:
        return TimelineEvent(incident=incident, after=after, seconds=seconds)

    events = [
        wait(12.0, 8.0),
        wait(50.0, 1.0),
        wait(60.0, 1.0, Incident.PAUSED),
        wait(115.0, 900.0),
    ]
    assert [(gap.after, gap.seconds) for gap in gaps(found, events, [], 120.0)] == [
        (10.0, 10.0), (50.0, 1.0), (100.0, 10.0), (115.0, 5.0),
    ]  # fmt: skip
    assert gaps([], [wait(7.0, 0.0)], [], 120.0) == ()
    (still,) = gaps([], [], [30.0, 40.0, 130.0], 120.0)
    assert (still.after, still.seconds) == (30.0, 90.0)
