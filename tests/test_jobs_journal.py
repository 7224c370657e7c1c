"""The file of a job: what it keeps, how states move, and what it refuses."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import traceback
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from attrs import astuple, evolve

from moveworks_shift_async.errors import JournalError
from moveworks_shift_async.jobs.records import Command, Event, Incident, Run, Settlement, State
from moveworks_shift_async.jobs.store.rows import pack, unpack
from moveworks_shift_async.jobs.store.sqlite.database import APPLICATION_ID, FORMAT
from moveworks_shift_async.jobs.store.sqlite.journal import Journal
from moveworks_shift_async.jobs.store.sqlite.reads import Reads
from moveworks_shift_async.wire.moveworks import Content

from .planned import header_of, people_of, plan, states_of, verified


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal stands."""
    return tmp_path / "job.journal"


def step(chunk: int, state: State, **more: object) -> Settlement:
    """The end of a request."""
    return Settlement(chunk=chunk, state=state, at=20.0, **more)  # type: ignore[arg-type]


def begin(journal: Journal) -> str:
    """A process begins."""
    run = Run(id="run", pid=7, host="h", began_at=1.0, ended_at=None, ended=None, budget=120,
              per=60.0)  # fmt: skip
    journal.begin_run(run)
    return run.id


# --- planning ------------------------------------------------------------------------------


def test_a_plan_is_kept(path: Path) -> None:
    """What was planned is read back: the header, the texts, the people in their order."""
    plan(path, chunks=3, size=2, texts=2, event_id="e1")
    journal = verified(str(path))
    header = journal.reads.verify()
    assert (header.source, header.event_id, header.complete) == ("people.csv", "e1", True)
    assert (header.people, header.chunks, header.texts, header.base_url) == (6, 3, 2, None)
    assert len(header.digest) == 64
    assert [*journal.reads.recipients()] == [(n, people_of(n, 2)) for n in range(3)]
    (first, some), (second, others) = journal.reads.texts(3)
    assert (some, others) == (4, 2)
    assert first == Content(event_id="e1", message="text 0", context=None)
    assert second.context == {"slots": {"floor": 1}}
    assert journal.reads.texts(1) == [(first, 4)]
    assert (journal.reads.runs(), journal.reads.events(), journal.reads.value("isolated")) == (
        [],
        [],
        0,
    )
    journal.close()


@pytest.mark.parametrize("name", [":memory:", "file:a.journal", "50%? #1.journal"])
def test_any_name_is_the_name_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """SQLite would take some for its own, and keep the job in memory or in another file."""
    monkeypatch.chdir(tmp_path)
    plan(Path(name), chunks=3)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert states_of(name) == [State.PLANNED] * 3


@pytest.mark.parametrize("change", ["event", "text", "address", "order"])
def test_the_digest_is_of_what_is_sent_to_whom(tmp_path: Path, change: str) -> None:
    """Two plans have the same digest exactly if they send the same to the same people."""

    def digest(name: str, **options: object) -> str:
        plan(tmp_path / name, **options)  # type: ignore[arg-type]
        with Journal.look(str(tmp_path / name)) as journal:
            return journal.reads.header().digest

    lists = [("a@x.io", "b@x.io"), ("c@x.io",)]
    other = {
        "event": digest("1", lists=lists, event_id="e"),
        "text": digest("2", lists=lists, texts=2),
        "address": digest("3", lists=[("a@x.io", "d@x.io"), ("c@x.io",)]),
        "order": digest("4", lists=[("b@x.io", "a@x.io"), ("c@x.io",)]),
    }
    same = digest("5", lists=lists)
    assert same == digest("6", lists=lists) != other[change]


def test_only_the_owner_may_read_it(path: Path) -> None:
    """Addresses are private: 0600 whatever the umask, also for the files beside it."""
    before = os.umask(0)
    try:
        plan(path)
        journal = Journal.take(str(path))
        begin(journal)
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        journal.close()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("job.journal", "job.journal-journal"), 0o600)


def test_the_commits_are_durable(path: Path) -> None:
    """They stand in the main file, and each waits for the disk."""
    plan(path)
    journal = Journal.take(str(path))
    assert journal._db.connection.execute("PRAGMA journal_mode").fetchone() == ("persist",)
    assert journal._db.connection.execute("PRAGMA synchronous").fetchone() == (2,)
    journal.close()


def test_a_planned_job_is_not_planned_over(path: Path) -> None:
    """A file with a whole plan stays; the way on is named."""
    plan(path)
    before = path.read_bytes()
    with pytest.raises(JournalError, match=r"holds a job already.*resume"):
        Journal.create(str(path), header_of())
    assert path.read_bytes() == before


def test_a_plan_that_broke_off_is_made_again(path: Path) -> None:
    """Nothing was sent from it, so it is replaced with all that lies beside it."""
    journal = Journal.create(str(path), header_of())
    journal.add_chunks([(9, 0, 1, pack(["a@x.io"]))])
    journal.close()
    plan(path, chunks=2)
    assert len(states_of(str(path))) == 2


def test_an_empty_file_is_not_taken_for_ours(path: Path) -> None:
    """Somebody may have made it for something else."""
    path.touch()
    with pytest.raises(JournalError, match="is an empty file"):
        plan(path)
    assert path.read_bytes() == b""


def test_a_foreign_file_is_not_planned_over(path: Path) -> None:
    """Whoever names the wrong file loses nothing."""
    path.write_text("address\na@x.io\n")
    with pytest.raises(JournalError, match="no journal of a job"):
        Journal.create(str(path), header_of())
    assert path.read_text() == "address\na@x.io\n"


def test_a_place_where_no_file_can_be_is_named(tmp_path: Path) -> None:
    """A missing folder, and a folder in the file's place."""
    with pytest.raises(JournalError, match="cannot be made: No such file"):
        Journal.create(str(tmp_path / "no" / "job"), header_of())
    with pytest.raises(JournalError, match="is a folder"):
        Journal.create(str(tmp_path), header_of())


# --- the states ----------------------------------------------------------------------------

MOVES: dict[State, set[State]] = {
    State.PLANNED: {State.PLANNED},
    State.SENDING: {*State} - {State.SENDING},
    State.ACCEPTED: set(),
    State.REJECTED: set(),
    State.UNKNOWN: set(),
    State.SPLIT: set(),
}


def brought_to(journal: Journal, state: State) -> None:
    """Bring chunk 0 there by the allowed way."""
    if state is not State.PLANNED:
        journal.sending(0, 10.0)
    if state not in (State.PLANNED, State.SENDING):
        journal.settle(step(0, state))


@pytest.mark.parametrize(("source", "target"), [*product(State, State)])
def test_a_chunk_settles_from_sending_alone(path: Path, source: State, target: State) -> None:
    """From `sending` a request ends anywhere; what has ended stays, whoever asks."""
    journal = Journal.open(plan(path, 1))
    brought_to(journal, source)
    if target in MOVES[source]:
        assert journal.settle(step(0, target))
        expected = target
    elif target is State.SENDING and source is State.SENDING:
        return journal.close()  # not an end
    else:
        assert not journal.settle(step(0, target))
        expected = source
    (found,) = journal._db.connection.execute("SELECT state FROM chunk").fetchone()
    assert found == expected
    return journal.close()


@pytest.mark.parametrize("source", [*State])
def test_only_a_planned_chunk_is_sent(path: Path, source: State) -> None:
    """`sending` is refused for whatever was sent or is being sent."""
    journal = Journal.open(plan(path, 1))
    brought_to(journal, source)
    assert journal.sending(0, 10.0) is (source is State.PLANNED)
    journal.close()


def test_a_step_adds_up(path: Path) -> None:
    """Requests and 429s of all tries are counted; times and the error are of the last."""
    journal = Journal.open(plan(path, 1))
    journal.sending(0, 10.0)
    journal.settle(
        step(0, State.PLANNED, requests=1, throttled=1, error="RateLimited", reason="slow down")
    )
    journal.sending(0, 30.0)
    (record,) = journal.reads.records()
    assert (record.state, record.sent_at, record.ended_at) == (State.SENDING, 30.0, None)
    journal.settle(evolve(step(0, State.ACCEPTED, requests=1), at=31.0))
    (record,) = journal.reads.records()
    assert (record.requests, record.throttled, record.error) == (2, 1, None)
    assert (record.sent_at, record.ended_at, record.people) == (30.0, 31.0, 2)
    assert [astuple(total) for total in journal.reads.totals()] == [
        (State.ACCEPTED, False, 1, 2, 2, 1)
    ]
    journal.close()


def test_chunks_are_claimed_in_order(path: Path) -> None:
    """Planned ones alone, above an id, as many as are wanted."""
    journal = Journal.open(plan(path, 5, texts=2))
    journal.sending(1, 1.0)
    assert [chunk.id for chunk in journal.reads.claim(-1, 3)] == [0, 2, 3]
    (last,) = journal.reads.claim(3, 9)
    assert (last.id, last.recipients) == (4, people_of(4, 2))
    assert last.content == Content(event_id=None, message="text 0", context=None)
    assert journal.reads.claim(4, 9) == []
    assert "example.com" not in repr(last)
    assert "text" not in repr(last)
    journal.close()


def test_a_divided_chunk_is_its_parts(path: Path) -> None:
    """The parts are planned with the same text; the whole counts nobody any more."""
    journal = Journal.open(plan(path, 2, size=3, texts=2))
    people = people_of(1, 3)
    journal.sending(1, 10.0)
    journal.settle(step(1, State.SPLIT, requests=1, error="BadRequest"))
    journal.split(1, [people[:1], people[1:]])
    assert [record.id for record in journal.reads.records()] == [0, 2, 3]
    assert dict(journal.reads.recipients()) == {0: people_of(0, 3), 2: people[:1], 3: people[1:]}
    assert [chunk.content.message for chunk in journal.reads.claim(0, 9)] == ["text 1", "text 1"]
    assert journal.reads.value("isolated") == 2
    journal.reads.verify()
    journal.close()


def test_a_file_in_which_a_later_run_began_is_another_one(path: Path) -> None:
    """Whoever has the lock is the last run: what it was sending was ended in a sibling's copy."""
    plan(path, 3)
    journal = Journal.take(str(path))
    with journal.transaction():
        journal.belong("https://a.test", "somebody")
        name = begin(journal)
        assert journal.sending(0, 10.0, name)
        assert journal.sending(1, 10.0, name)
    with journal.transaction():
        assert journal.settle(step(1, State.ACCEPTED, owner=name))
        assert not journal.settle(step(1, State.UNKNOWN, owner=name))
    with journal.transaction():
        journal._db.connection.execute("UPDATE chunk SET state = 'rejected' WHERE id = 0")
        journal._db.connection.execute(
            "INSERT INTO run (id, pid, host, began_at, budget, per) VALUES ('b', 1, 'h', 2, 1, 1)"
        )
    with pytest.raises(JournalError, match="was moved, renamed, replaced"), journal.transaction():
        journal.settle(step(0, State.ACCEPTED, owner=name))
    journal.close()


def test_orphans_become_unknown(path: Path) -> None:
    """Only what was being sent; the request counts, for it may have left."""
    journal = Journal.open(plan(path, 3))
    journal.sending(0, 10.0)
    journal.sending(1, 10.0)
    journal.settle(step(1, State.ACCEPTED, requests=1))
    assert (journal.orphans(), journal.orphans()) == (1, 0)
    assert states_of(str(path)) == [State.UNKNOWN, State.ACCEPTED, State.PLANNED]
    record = next(journal.reads.records())
    assert (record.requests, record.error, record.ended_at) == (1, "OutcomeUnknown", None)
    assert "the process ended" in (record.reason or "")
    journal.close()


def test_unknown_chunks_are_sent_again_or_left(path: Path) -> None:
    """By the user's word only; what was left for good is not sent again by a later word."""
    journal = Journal.open(plan(path, 2))
    for chunk in (0, 1):
        journal.sending(chunk, 10.0)
        journal.settle(step(chunk, State.UNKNOWN, requests=1))
        assert journal.write("leave_unknown", (20.0,)) == 1 if chunk == 0 else True
    assert journal.write("resend_unknown") == 1
    assert states_of(str(path)) == [State.UNKNOWN, State.PLANNED]
    assert [record.left_at for record in journal.reads.records()] == [20.0, None]
    assert journal.reads.value("left_at") == 20.0
    journal.close()


def test_runs_events_and_commands_are_kept(path: Path) -> None:
    """Who worked on it, what made it wait, and what another terminal wants."""
    journal = Journal.open(plan(path))
    name = begin(journal)
    (run,) = journal.reads.runs()
    assert (run.id, run.pid, run.ended, run.budget) == (name, 7, None, 120)
    journal.write("end_run", (5.0, "done", name))
    (run,) = journal.reads.runs()
    assert (run.ended_at, run.ended) == (5.0, "done")
    event = Event(at=3.0, incident=Incident.OUTAGE, seconds=4.0, reason="no connection")
    journal.add_event(evolve(event, at=9.0))
    journal.add_event(event)
    assert journal.reads.events() == [event, evolve(event, at=9.0)]
    assert journal.reads.command() is Command.RUN
    journal.write("set_command", (Command.PAUSE, 1.0))
    assert journal.reads.command() is Command.PAUSE
    journal.close()


def test_a_transaction_is_whole_or_nothing(path: Path) -> None:
    """Whatever is raised inside, nothing of it stays."""
    journal = Journal.open(plan(path))
    with pytest.raises(ZeroDivisionError), journal.transaction():  # noqa: PT012 - that is the end
        journal.sending(0, 1.0)
        raise ZeroDivisionError
    assert states_of(str(path))[0] is State.PLANNED
    with journal.transaction():
        journal.sending(0, 1.0)
    assert states_of(str(path))[0] is State.SENDING
    journal.close()


def test_addresses_pack_and_unpack() -> None:
    """In order, and small."""
    people = [f"first{n}.last{n}@corp.example.com" for n in range(500)]
    assert unpack(pack(people)) == tuple(people)
    assert len(pack(people)) < 6000


def test_what_the_server_may_still_count_is_given_as_ages(path: Path) -> None:
    """From its answer; what a killed process left on its way as late as an answer could come."""
    journal = Journal.open(plan(path, 5))
    for chunk, sent_at, ended_at in ((0, 10.0, 20.0), (1, 100.0, 110.0), (2, 101.0, 130.0)):
        journal.sending(chunk, sent_at)
        journal.settle(evolve(step(chunk, State.ACCEPTED, requests=1), at=ended_at))
    journal.sending(3, 60.0)
    journal.orphans()
    assert journal.reads.recent(140.0, 60.0, 9) == [10.0, 30.0, 20.0]
    assert journal.reads.recent(140.0, 60.0, 1) == [10.0]
    assert journal.reads.recent(500.0, 60.0, 9) == []
    journal.close()


def test_a_clock_that_was_set_back_makes_no_age_negative(path: Path) -> None:
    """A little, and it counts as now; by a day, and it counts no more: nobody waits for a day."""
    journal = Journal.open(plan(path, 1))
    journal.sending(0, 1_000.0)
    journal.settle(evolve(step(0, State.ACCEPTED, requests=1), at=1_001.0))
    assert journal.reads.recent(990.0, 60.0, 9) == [0.0]
    assert journal.reads.recent(0.0, 60.0, 9) == []
    journal.close()


# --- names and files that are not ours ------------------------------------------------------


@pytest.mark.parametrize("end", ["-journal", "-wal", "-shm", "-lock"])
def test_a_name_that_belongs_to_another_journal_is_refused(path: Path, end: str) -> None:
    """Whether that one is there or not, and whatever has the name now."""
    plan(path)
    with pytest.raises(JournalError, match="cannot be the name of a journal"):
        plan(Path(f"{path}{end}"))
    assert [file.name for file in path.parent.iterdir()] == ["job.journal"]


@pytest.mark.parametrize("end", ["-journal", "-wal", "-shm"])
@pytest.mark.parametrize("there", [True, False])
def test_what_lies_beside_and_is_not_ours_is_left_alone(path: Path, end: str, there: bool) -> None:
    """SQLite would take it for its own and remove it: nothing is opened before it is gone."""
    if there:
        plan(path)
    beside = Path(f"{path}{end}")
    beside.write_text("somebody's own\n" * 99)
    steps: list[Callable[[], object]] = [lambda: plan(path), lambda: Journal.open(str(path))]
    for act in steps if there else steps[:1]:
        with pytest.raises(JournalError, match=rf"{end} lies beside .* was left untouched"):
            act()
    assert beside.read_text() == "somebody's own\n" * 99
    assert path.exists() is there


def fifo(path: Path) -> None:
    """A named pipe."""
    os.mkfifo(path)


def nowhere(path: Path) -> None:
    """A link to what is not there."""
    path.symlink_to("missing")


@pytest.mark.parametrize(
    ("make", "why"), [(fifo, "is no regular file"), (nowhere, "leads nowhere")]
)
def test_what_is_no_file_is_not_planned_over(
    path: Path, make: Callable[[Path], None], why: str
) -> None:
    """It stays, and nobody waits for it."""
    make(path)
    before = path.lstat()
    with pytest.raises(JournalError, match=why):
        plan(path)
    assert path.lstat().st_ino == before.st_ino


def test_a_device_is_not_planned_over() -> None:
    """Not by root either, who may replace it."""
    with pytest.raises(JournalError, match="is no regular file"):
        plan(Path("/dev/null"))
    assert Path("/dev/null").is_char_device()


# --- what is refused -----------------------------------------------------------------------


def execute(path: Path, statement: str, *values: object) -> None:
    """Change the file behind the journal's back."""
    db = sqlite3.connect(path)
    db.execute(statement, values)
    db.commit()
    db.close()


def other_database(path: Path) -> None:
    """A SQLite file of another program."""
    path.unlink()
    execute(path, "CREATE TABLE job (id INTEGER)")


def flipped(path: Path) -> None:
    """One bit of somebody's address."""
    db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    (packed,) = db.execute("SELECT packed FROM address WHERE chunk = 1").fetchone()
    db.close()
    content = path.read_bytes()
    place = content.index(packed) + len(packed) // 2
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda path: path.write_text("address\n" * 99), "no journal of a job"),
    "nothing": (lambda path: path.write_bytes(b""), "no journal of a job"),
    "noise": (lambda path: path.write_bytes(bytes(range(256)) * 40), "no journal of a job"),
    "another database": (other_database, "no journal of a job"),
    "older": (lambda p: execute(p, f"PRAGMA user_version = {FORMAT - 1}"), "another release"),
    "newer": (lambda p: execute(p, f"PRAGMA user_version = {FORMAT + 1}"), "another release"),
    "cut in the middle": (lambda p: os.truncate(p, p.stat().st_size // 2), "is damaged"),
    "a page short": (lambda p: os.truncate(p, p.stat().st_size - 4096), "is damaged"),
    "a flipped bit": (flipped, "is damaged"),
    "other people": (
        lambda p: execute(p, "UPDATE address SET packed = ? WHERE chunk = 1", pack(["x@x.io"])),
        "is damaged",
    ),
    "another count": (lambda p: execute(p, "UPDATE chunk SET people = 9 WHERE id = 1"), "damaged"),
    "another text": (lambda p: execute(p, "UPDATE content SET message = 'no'"), "is damaged"),
    "a chunk less": (lambda p: execute(p, "DELETE FROM chunk WHERE id = 1"), "is damaged"),
    "no job": (lambda p: execute(p, "DELETE FROM job"), "is damaged"),
    "no plan": (lambda p: execute(p, "UPDATE job SET complete = 0"), "interrupted; nothing was"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_not_a_whole_journal_is_refused_untouched(path: Path, damage: str) -> None:
    """Each with words of its own, and not a byte of the file is changed."""
    plan(path, chunks=60, size=60)
    change, words = DAMAGES[damage]
    change(path)
    before = path.read_bytes()
    with pytest.raises(JournalError, match=words) as refused:
        verified(str(path))
    assert str(path) in str(refused.value)
    assert "example.com" not in str(refused.value)
    assert path.read_bytes() == before


KILLED = """
import os, signal, sys
from moveworks_shift_async.jobs.store.sqlite.journal import Journal
journal = Journal.open(sys.argv[1])
journal.sending(0, 1.0)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_damaged_journal_of_a_killed_process_stays_as_it_was(path: Path) -> None:
    """Not a byte of a file that is refused is changed."""
    plan(path, chunks=3)
    ended = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    flipped(path)
    before = path.read_bytes()
    with pytest.raises(JournalError, match="is damaged"):
        verified(str(path))
    assert path.read_bytes() == before


def test_the_last_commit_of_a_killed_process_is_there(path: Path) -> None:
    """It stands in the file, and whoever looks sees it."""
    plan(path, chunks=3)
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert states_of(str(path))[0] is State.SENDING
    journal = verified(str(path))
    assert journal.orphans() == 1
    journal.close()


def test_a_missing_journal_is_named(path: Path) -> None:
    """And none is made."""
    with pytest.raises(JournalError, match=r"there is no journal .*make one with a plan"):
        Journal.open(str(path))
    assert not path.exists()


BROKEN: dict[str, tuple[str, Callable[[Reads], object]]] = {
    "state": ("UPDATE chunk SET state = 'told'", lambda j: [*j.records()]),
    "totals": ("UPDATE chunk SET state = 'told'", Reads.totals),
    "command": ("UPDATE job SET command = 'dance'", Reads.command),
    "context": ("UPDATE content SET context = '{'", lambda j: j.claim(-1, 9)),
    "texts": ("UPDATE content SET context = '{'", lambda j: j.texts(3)),
    "addresses": ("UPDATE address SET packed = x'00'", lambda j: [*j.recipients()]),
    "claimed": ("UPDATE address SET packed = x'00'", lambda j: j.claim(-1, 9)),
    "event": ("INSERT INTO event VALUES (1, 'rain', 1, '')", Reads.events),
    "table": ("DROP TABLE event", Reads.events),
}


@pytest.mark.parametrize("what", BROKEN)
def test_nonsense_in_it_is_no_error_of_python(path: Path, what: str) -> None:
    """Whoever reads an account without a check meets a `JournalError`, never a ValueError."""
    plan(path)
    statement, read = BROKEN[what]
    execute(path, statement)
    with pytest.raises(JournalError, match="is damaged"), Journal.look(str(path)) as journal:
        read(journal.reads)


QUOTED: dict[str, str] = {
    "a table": "UPDATE sqlite_schema SET sql = 'CREATE TABLE secret words' WHERE name = 'run'",
    "no text": "UPDATE content SET message = CAST(x'ff736563726574' AS TEXT)",
    "a state": "UPDATE chunk SET state = 'secret'",
    "a column": "ALTER TABLE content RENAME COLUMN message TO secret",
}


@pytest.mark.parametrize("damage", QUOTED)
def test_no_error_quotes_what_stands_in_a_damaged_file(path: Path, damage: str) -> None:
    """Neither its words nor those of the errors behind it that a traceback would show."""
    plan(path)
    db = sqlite3.connect(path)
    db.execute("PRAGMA writable_schema = ON")
    db.execute(QUOTED[damage])
    db.commit()
    db.close()

    def read() -> None:
        with Journal.look(str(path)) as journal:
            [*journal.reads.records()]
            journal.reads.texts(3)

    for act in (read, lambda: verified(str(path))):
        with pytest.raises(JournalError, match="is damaged") as caught:
            act()
        assert "secret" not in "".join(traceback.format_exception(caught.value))


def test_a_page_that_breaks_while_it_is_read_is_damage(path: Path) -> None:
    """The first rows come, the later ones do not."""
    plan(path, chunks=300, size=60)
    with path.open("r+b") as file:
        for page in range(20, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xff" * 4096)
    with Journal.look(str(path)) as journal, pytest.raises(JournalError, match="is damaged"):
        [*journal.reads.recipients()]


def test_a_reader_does_not_write(path: Path) -> None:
    """What is opened to look at cannot be changed."""
    plan(path)
    with Journal.look(str(path)) as journal, pytest.raises(JournalError, match="cannot be used"):
        journal.write("set_command", (Command.STOP, 1.0))


def test_a_journal_that_is_held_too_long_is_named(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program that does not let go is an error, not a wait for ever."""
    plan(path)
    monkeypatch.setattr("moveworks_shift_async.jobs.store.sqlite.database.BUSY_SECONDS", 0.05)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    journal = Journal.open(str(path))
    with pytest.raises(JournalError, match=r"cannot be used.*locked"), journal.transaction():
        pass
    holder.close()
    journal.close()


def test_the_mark_says_whose_file_it_is(path: Path) -> None:
    """`file` and others can tell a journal by its header."""
    plan(path)
    assert path.read_bytes()[68:72] == APPLICATION_ID.to_bytes(4, "big") == b"mwsj"


def test_a_copy_is_a_journal(path: Path, tmp_path: Path) -> None:
    """A closed journal is one file."""
    plan(path, chunks=4)
    assert [file.name for file in tmp_path.iterdir()] == ["job.journal"]
    shutil.copy(path, tmp_path / "copy")
    assert len(states_of(str(tmp_path / "copy"))) == 4
