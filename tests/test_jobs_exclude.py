"""Whom a plan leaves out by the caller's word: nobody on a list is told, everybody is counted."""

from __future__ import annotations

import asyncio
import csv
import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import openpyxl
import psycopg
import pyarrow  # type: ignore[import-untyped]  # it has no types
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from moveworks_shift_async import (
    ExcludeList,
    InvalidInput,
    Job,
    JournalError,
    MoveworksError,
    NotAddresses,
    Plan,
)
from moveworks_shift_async.addresses import address_fault, person
from moveworks_shift_async.jobs.plan import excluded as excluding
from moveworks_shift_async.jobs.plan import spool
from moveworks_shift_async.jobs.records import Run, Settlement, State
from moveworks_shift_async.jobs.report.lines import account_lines
from moveworks_shift_async.jobs.store.names import store_of
from moveworks_shift_async.jobs.store.ports import Beginning, RunStore

NOW = 1_767_225_700.0
STAFF = [f"p{number}@example.com" for number in range(6)]
OUTCOMES = (State.ACCEPTED, State.REJECTED, State.UNKNOWN, State.SENDING, State.PLANNED)


def files(folder: Path) -> list[str]:
    """What is in it."""
    return sorted(os.listdir(folder))


def write(path: str, text: str) -> None:
    """A file."""
    Path(path).write_text(text)


def table(path: str) -> list[list[str]]:
    """The rows of a CSV file, without its header."""
    with Path(path).open(newline="") as file:
        return [*csv.reader(file)][1:]


def text_of(path: str) -> str:
    """What is in a file."""
    return Path(path).read_text()


async def planned(path: Path | str, people: Any, *exclude: Any, **options: Any) -> Plan:
    """A plan of one message, or of a text for each."""
    text: dict[str, Any] = {} if "template" in options else {"message": "Hello"}
    return await Job.plan(path, people, exclude=exclude, legacy=True, **text, **options)


async def told(path: Path | str) -> list[str]:
    """Everybody in a chunk, in order."""
    return [one for _, people in await Job(path).chunks() for one in people]


async def left_out(path: Path | str) -> list[tuple[str, int, str, str]]:
    """Why, line, reason and entry of everybody who is in none."""
    async with store_of(str(path)).reading() as store:
        return [(some.why, *row) async for some in store.left_out() for row in some.entries]


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where no job is yet, in each kind of store."""
    if request.param == "sqlite":
        return str(tmp_path / "other.journal")
    return f"{request.getfixturevalue('postgres')}#{uuid4()}"


@asynccontextmanager
async def begun(name: str) -> AsyncIterator[RunStore]:
    """A run of this job, which is at work inside of the block and dead behind it."""
    run = Run(id=str(uuid4()), pid=1, host="here", began_at=NOW, ended_at=None, ended=None,
              budget=9, per=60)  # fmt: skip
    async with store_of(name).running() as store:
        found = await store.found()
        base = {"base_url": "https://a.test", "identity": "me", "unknown": "report"}
        await store.begin(Beginning(run=run, stray=found.stray, **base))  # type: ignore[arg-type]
        for chunk, state in zip(await store.claim(run.id, 4), OUTCOMES, strict=False):
            assert await store.sending(chunk, NOW)
            if state is not State.SENDING:
                at = NOW + 1
                step = Settlement(chunk=chunk.id, owner=run.id, state=state, at=at, requests=1)
                assert await store.settle(step)
        yield store


async def a_job(name: str) -> str:
    """A job of five people: accepted, rejected, unknown, left on its way, and not sent."""
    rows = [{"email": one, "n": str(at)} for at, one in enumerate(STAFF[:5])]
    await planned(name, rows, template="{n}")
    async with begun(name):
        pass
    return name


# --- everybody is in exactly one place ----------------------------------------------------

ENTRIES = st.lists(
    st.one_of(
        st.builds(
            "{}{}@Example.com{}".format,
            st.sampled_from(["", " "]),
            st.sampled_from(["ann", "ANN", "bob", "straße", "strasse", "i", "İ", "I", "eve"]),
            st.sampled_from(["", " "]),
        ),
        st.sampled_from(["no", "", "a b@c.d"]),
    ),
    max_size=25,
)


@settings(max_examples=80, deadline=None)
@given(ENTRIES, st.lists(ENTRIES, max_size=3), st.booleans())
def test_every_entry_is_planned_excluded_a_duplicate_or_invalid(
    entries: list[str], lists: list[list[str]], texts: bool
) -> None:
    """One of the four; and nobody who is on a list, in whatever letters, is in any chunk."""
    people = {person(one.strip()) for one in entries if address_fault(one.strip()) is None}
    known = [{person(one.strip()) for one in some if address_fault(one.strip()) is None}
             for some in lists]  # fmt: skip
    out = set[str]().union(*known)

    async def law(path: Path) -> None:
        rows: Any = [{"email": one, "n": at} for at, one in enumerate(entries)]
        how = {"template": "{n}"} if texts else {}
        bad = any(some and not has for some, has in zip(lists, known, strict=True))
        if bad or not people - out:
            with pytest.raises(InvalidInput):
                await planned(path, rows, *lists, **how, column="email")
            assert not [*path.parent.iterdir()]
            return
        made = await planned(path, rows, *lists, **how, column="email")
        chunked = await told(path)
        assert len(chunked) == made.people == len({*map(person, chunked)})
        assert {*map(person, chunked)} == people - out
        found = await left_out(path)
        assert (made.excluded, made.duplicates, made.invalid) == tuple(
            sum(row[0] == why for row in found) for why in ("excluded", "duplicate", "invalid")
        )
        assert made.people + made.excluded + made.duplicates + made.invalid == len(entries)
        assert sorted([*chunked, *(row[3].strip() for row in found)]) == sorted(
            map(str.strip, entries)
        )
        whose = [person(row[3]) for row in found if row[0] == "excluded"]
        assert len(whose) == len({*whose})
        assert {*whose} == people & out
        firsts = [next(at for at, has in enumerate(known) if one in has) for one in whose]
        assert [one.people for one in made.exclusions] == [*map(firsts.count, range(len(lists)))]
        assert [one.addresses + one.invalid for one in made.exclusions] == [*map(len, lists)]
        account = await Job(path).account()
        assert (account.excluded, account.exclusions) == (made.excluded, made.exclusions)
        assert account.entries == len(entries)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(law(Path(folder) / "job"))


async def test_many_are_excluded_in_small_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often the buckets are written, and however often a list names the same person."""
    monkeypatch.setattr(spool, "_HELD", 100)
    people = [f"p{number}@example.com" for number in range(5_000)]
    odd = [one.upper() for one in people[1::2]]
    made = await planned(tmp_path / "job", people, odd * 3, people[:10])
    assert (made.people, made.excluded) == (2_495, 2_505)
    assert [one.people for one in made.exclusions] == [2_500, 5]
    assert {*await told(tmp_path / "job")} == {*people[10::2]}


async def test_who_is_excluded_has_no_differing_text(tmp_path: Path) -> None:
    """Nothing is sent to her, so no text of hers is left out for another; her text is none."""
    rows = [{"email": one, "n": n} for one, n in
            (("ann@b.c", "x"), ("Ann@b.c", "y"), ("bob@b.c", "z"), ("bob@b.c", "w"))]  # fmt: skip
    made = await planned(tmp_path / "job", rows, ["ANN@b.c"], template="{n}")
    assert (made.people, made.excluded, made.duplicates, made.differing) == (1, 1, 2, 1)
    assert made.texts == 1
    assert await left_out(tmp_path / "job") == [
        ("excluded", 1, "list 1 to exclude", "ann@b.c"),
        ("duplicate", 2, "came before", "Ann@b.c"),
        ("duplicate", 4, "came before with another text", "bob@b.c"),
    ]


# --- lists --------------------------------------------------------------------------------


def a_list(folder: Path, kind: str) -> Any:
    """A list of the second person, in this form."""
    path = folder / f"left.{kind}"
    match kind:
        case "csv":
            path.write_text(f"name;mail\nBob;{STAFF[1].upper()}\n")
        case "txt":
            path.write_text(f"{STAFF[1]}\n")
        case "json":
            path.write_text(f'[{{"email": "{STAFF[1]}"}}]')
        case "parquet":
            parquet.write_table(pyarrow.table({"email": [STAFF[1]]}), path)
        case "xlsx":
            book = openpyxl.Workbook()
            assert book.active is not None
            book.active.append(["email"])
            book.active.append([STAFF[1]])
            book.save(path)
    return path


@pytest.mark.parametrize("kind", ["csv", "txt", "json", "parquet", "xlsx"])
async def test_a_list_is_a_file_of_any_form(tmp_path: Path, kind: str) -> None:
    """And says what it was taken for."""
    made = await planned(tmp_path / "job", STAFF, a_list(tmp_path, kind))
    assert await told(tmp_path / "job") == [STAFF[0], *STAFF[2:]]
    (one,) = made.exclusions
    assert (one.source, one.people, one.addresses) == (str(tmp_path / f"left.{kind}"), 1, 1)
    assert "1 " in one.read_as


async def test_a_list_is_a_query(tmp_path: Path) -> None:
    """With what it needs; the plan shows no password of it."""
    with sqlite3.connect(tmp_path / "staff.db") as database:
        database.execute("CREATE TABLE gone (mail TEXT, boss TEXT)")
        database.execute("INSERT INTO gone VALUES (?, ?)", (STAFF[2], STAFF[3]))
    database.close()
    url = f"sqlite:///{tmp_path / 'staff.db'}"
    gone = ExcludeList(url, query="SELECT mail, boss FROM gone", column="boss")
    assert "SELECT" not in repr(gone)
    assert (await planned(tmp_path / "job", STAFF, gone)).excluded == 1
    assert STAFF[3] not in await told(tmp_path / "job")


class Rows:
    """What gives addresses asynchronously, and is closed."""

    def __init__(self) -> None:
        self.closed = False

    async def __call__(self) -> AsyncIterator[str]:
        try:
            async with asyncio.timeout(60):  # it is read in one task
                yield STAFF[0]
                await asyncio.sleep(0)
                yield STAFF[1]
        finally:
            self.closed = True


async def test_a_list_is_any_iterable(tmp_path: Path) -> None:
    """A generator, an async one, a set, mappings, or nothing at all."""
    rows = Rows()
    made = await planned(
        tmp_path / "job", STAFF, rows(), (one for one in STAFF[1:3]), {STAFF[3]},
        [{"work mail": STAFF[4]}], [], set(),
    )  # fmt: skip
    assert rows.closed
    assert await told(tmp_path / "job") == STAFF[5:]
    assert [one.people for one in made.exclusions] == [2, 1, 1, 1, 0, 0]
    assert [one.source for one in made.exclusions][-1] == "list 6 to exclude"


async def test_a_list_is_what_it_was_at_the_call(tmp_path: Path) -> None:
    """Whatever becomes of it afterwards."""
    gone = {STAFF[0]}
    planning = planned(tmp_path / "job", STAFF, gone)
    work = Job.plan(tmp_path / "two", STAFF, exclude=[gone], legacy=True, message="Hi")
    gone.clear()
    assert (await work).excluded == 1
    assert (await planning).excluded == 0  # called when it was empty


@pytest.mark.parametrize("content", ["", "email\n", "[]", "\n\n"])
async def test_an_empty_file_is_refused(tmp_path: Path, content: str) -> None:
    """It may be an export that failed, and everybody on it would be told."""
    path = tmp_path / "left.csv"
    path.write_text(content)
    with pytest.raises(InvalidInput) as error:
        await planned(tmp_path / "job", STAFF, path)
    assert "left.csv" in str(error.value)
    assert "nobody to send to" not in str(error.value)
    assert "leave it out of the plan" in str(error.value)
    assert files(tmp_path) == ["left.csv"]


async def test_a_list_without_an_address_is_refused(tmp_path: Path) -> None:
    """It says where the first one stands, and what to choose instead."""
    path = tmp_path / "left.csv"
    path.write_text("email,work\nann,a@b.c\nbob,b@b.c\n")
    with pytest.raises(InvalidInput, match="--exclude-column") as error:
        await planned(tmp_path / "job", STAFF, ExcludeList(path, column="email"))
    assert "none of 2 entries" in str(error.value)
    with pytest.raises(InvalidInput, match="list 1 to exclude: none of 2 entries is an e-mail"):
        await planned(tmp_path / "job", STAFF, ["ann", "bob"])
    assert files(tmp_path) == ["left.csv"]


async def test_a_column_that_is_not_clear_is_refused(tmp_path: Path) -> None:
    """The other column would exclude the managers."""
    path = tmp_path / "left.csv"
    path.write_text(f"work mail,private mail\n{STAFF[0]},{STAFF[1]}\n")
    with pytest.raises(InvalidInput, match="choose one with --exclude-column NAME"):
        await planned(tmp_path / "job", STAFF, path)
    made = await planned(tmp_path / "job", STAFF, ExcludeList(path, column="private mail"))
    assert STAFF[1] not in await told(tmp_path / "job")
    assert 'column "private mail"' in str(made)


async def test_what_is_no_address_is_counted_and_shown(tmp_path: Path) -> None:
    """It excludes nobody; with `strict` nothing is planned."""
    path = tmp_path / "left.csv"
    path.write_text(f"email\n{STAFF[0]}\nnobody\n{STAFF[1]}\n\nbob at example.com\n")
    made = await planned(tmp_path / "job", STAFF, path)
    (one,) = made.exclusions
    assert (one.people, one.addresses, one.invalid) == (2, 2, 2)
    assert [(row.line, row.reason) for row in one.invalid_examples] == [
        (3, "no @"), (6, "holds a space"),
    ]  # fmt: skip
    assert "2 of its entries are no address, and exclude nobody (lines 3, 6)" in str(made)
    with pytest.raises(NotAddresses, match=r"left.csv: 2 rows without a valid address") as error:
        await planned(tmp_path / "strict", STAFF, path, strict=True)
    assert error.value.count == 2
    assert not (tmp_path / "strict").exists()


async def test_a_list_of_nobody_here_says_so(tmp_path: Path) -> None:
    """It may be the wrong one."""
    made = await planned(tmp_path / "job", STAFF, ["eve@example.com"])
    wanted = "nobody by list 1 to exclude: 1 address; nobody on it is among the recipients"
    assert wanted in str(made)
    assert made.people == len(STAFF)


async def test_if_all_are_excluded_there_is_no_job(tmp_path: Path) -> None:
    """And it says by which lists."""
    with pytest.raises(InvalidInput, match=r"all 6 people are excluded by list 1 .*, list 2 "):
        await planned(tmp_path / "job", STAFF * 2, STAFF[:3], STAFF[3:])
    with pytest.raises(InvalidInput, match="the only person is excluded by"):
        await planned(tmp_path / "job", STAFF[:1], STAFF)
    assert not files(tmp_path)


@pytest.mark.parametrize(
    ("exclude", "why"),
    [
        ("left.csv", "exclude takes several lists"),
        (ExcludeList("left.csv"), "exclude takes several lists"),
        (7, "exclude takes several lists"),
        ([7], "must be a file, a URL or an iterable, not int"),
        ([ExcludeList(["a@b.c"], query="SELECT 1")], "a query needs a database's URL"),
        ([STAFF[0]], "an address stands where a list"),
        ([["a@b.c"]] * 201, "201 lists to exclude; join them to 200"),
        (["nowhere.csv"], "nowhere.csv cannot be read"),
        (["-", "-"], "only one list of people can be read from standard input"),
    ],
)
async def test_what_is_no_list_is_refused(tmp_path: Path, exclude: Any, why: str) -> None:
    """Before anything is made; no address is in the error."""
    with pytest.raises(InvalidInput, match=why) as error:
        await Job.plan(tmp_path / "job", STAFF, exclude=exclude, message="Hi", legacy=True)
    assert "example.com'" not in str(error.value).replace('["ann@example.com"]', "")
    assert not files(tmp_path)


async def test_no_list_is_read_for_a_job_that_is_there(tmp_path: Path) -> None:
    """And a list that breaks leaves no journal."""
    await planned(tmp_path / "job", STAFF)
    read = []

    def rows() -> Iterator[str]:
        read.append(1)
        yield "a@b.c"
        raise KeyError("mine")

    with pytest.raises(JournalError, match="holds a job already"):
        await planned(tmp_path / "job", STAFF, rows())
    assert not read
    with pytest.raises(KeyError, match="mine"):
        await planned(tmp_path / "new", STAFF, rows())
    assert files(tmp_path) == ["job"]


async def test_a_cancelled_list_leaves_nothing(tmp_path: Path) -> None:
    """It is closed, and so is the plan."""
    reading = asyncio.Event()

    async def rows() -> AsyncIterator[str]:
        yield "a@b.c"
        reading.set()
        await asyncio.sleep(600)

    work = asyncio.create_task(planned(tmp_path / "job", STAFF, rows()))
    await reading.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert not files(tmp_path)


# --- other jobs ---------------------------------------------------------------------------


async def test_a_job_excludes_whom_it_told_or_may_have_told(place: str, tmp_path: Path) -> None:
    """What its dead run had on its way is unknown; whom it rejected and left may be told."""
    made = await planned(tmp_path / "job", STAFF, await a_job(place))
    assert await told(tmp_path / "job") == [STAFF[1], *STAFF[4:]]
    (one,) = made.exclusions
    assert one.source == f"{store_of(place).name}:accepted,unknown"
    twice = "do not resume it, for it would tell 1 more, not excluded"
    assert one.read_as == f"a job, 3 of its 5 people; {twice}"


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("accepted", [1, 2, 3, 4, 5]),
        ("rejected,accepted", [2, 3, 4, 5]),
        ("unknown", [0, 1, 4, 5]),
        ("accepted,rejected,unknown,not_sent", [5]),
    ],
)
async def test_a_job_excludes_those_who_are_named(
    place: str, tmp_path: Path, words: str, kept: list[int]
) -> None:
    """By what became of them."""
    await planned(tmp_path / "job", STAFF, f"{await a_job(place)}:{words}")
    assert await told(tmp_path / "job") == [STAFF[at] for at in kept]


async def test_a_plan_is_made_of_a_jobs_account(place: str, tmp_path: Path) -> None:
    """For those whom it did not tell; in any store."""
    await a_job(place)
    made = await planned(tmp_path / "job", f"{place}:not_sent,rejected")
    assert await told(tmp_path / "job") == [STAFF[1], STAFF[4]]
    assert made.source == f"{store_of(place).name}:not_sent,rejected"
    twice = "do not resume it, for it would tell 1 of them, too"
    assert made.read_as == f"a job, 2 of its 5 people; {twice}"
    with pytest.raises(InvalidInput, match=r"is a job: say to which of its people"):
        await planned(tmp_path / "x", place)
    await planned(tmp_path / "new", STAFF)
    with pytest.raises(InvalidInput, match=":accepted: no entries: nobody to send to"):
        await planned(tmp_path / "x", f"{tmp_path / 'new'}:accepted")
    assert "x" not in files(tmp_path)


async def test_a_job_takes_its_numbers_of_lists_with_it(place: str) -> None:
    """In both stores the account, its text, the CSV and the page say who was excluded by which."""
    made = await planned(place, [*STAFF, "P1@Example.com", "no"], STAFF[:2], ["x", STAFF[2]])
    account = await Job(place).account()
    assert (account.people, account.excluded, account.duplicates, account.invalid) == (3, 3, 1, 1)
    assert account.exclusions == made.exclusions
    said = (
        "not to be told: 2 by list 1 to exclude; 1 by list 2 to exclude (1 entry of it no address)"
    )
    assert any(said in line for line in account_lines(account))
    assert any(line.split() == ["entries", "read", "8"] for line in account_lines(account))
    with tempfile.TemporaryDirectory() as folder:
        table, page = Path(folder) / "a.csv", Path(folder) / "a.html"
        await Job(place).write(csv=table, page=page)
        with table.open(newline="") as file:
            rows = [*csv.DictReader(file)]
        assert "3 people excluded" in page.read_text()
        assert "2 by list 1 to exclude" in page.read_text()
    assert [(row["address"], row["outcome"], row["reason"], row["line"]) for row in rows[3:]] == [
        ("no", "invalid", "no @", "8"),
        (STAFF[0], "excluded", "list 1 to exclude", "1"),
        (STAFF[1], "excluded", "list 1 to exclude", "2"),
        (STAFF[2], "excluded", "list 2 to exclude", "3"),
        ("P1@Example.com", "duplicate", "came before", "7"),
    ]


async def test_a_job_that_is_run_moves(place: str, tmp_path: Path) -> None:
    """Nobody is planned from it; to exclude it takes those too whom it will tell."""
    rows = [{"email": one, "n": str(at)} for at, one in enumerate(STAFF[:5])]
    await planned(place, rows, template="{n}")
    async with begun(place):
        for words in ("", ":accepted,unknown", ":rejected", ":not_sent"):
            with pytest.raises(InvalidInput, match="is being run just now") as error:
                await planned(tmp_path / "job", STAFF, f"{place}{words}")
        everybody = ":accepted,unknown,not_sent"
        assert everybody in str(error.value)
        with pytest.raises(InvalidInput, match="would be told twice"):
            await planned(tmp_path / "job", f"{place}:rejected")
        # Also whom it tells at this very moment.
        await planned(tmp_path / "job", STAFF, f"{place}{everybody}")
    assert await told(tmp_path / "job") == [STAFF[1], STAFF[5]]


async def test_a_job_that_a_fleet_has_moves(postgres: str, tmp_path: Path) -> None:
    """Also between two of its workers, and before its time."""
    name = await a_job(f"{postgres}#{uuid4()}")
    async with await psycopg.AsyncConnection.connect(postgres, autocommit=True) as admin:
        await admin.execute(
            "INSERT INTO moveworks_shift.submission (job, not_before, workers)"
            " SELECT id, now() + interval '1 day', 1 FROM moveworks_shift.job WHERE name = %s",
            (name.rpartition("#")[2],),
        )
    with pytest.raises(InvalidInput, match="is being run just now"):
        await planned(tmp_path / "job", STAFF, name)
    await planned(tmp_path / "job", STAFF, f"{name}:accepted,unknown,not_sent")


async def test_a_job_that_told_nobody_is_refused_as_a_list(place: str, tmp_path: Path) -> None:
    """It was not run yet, or it is another one; whoever wants them all excluded says so."""
    await planned(place, STAFF[:2])
    with pytest.raises(InvalidInput, match=r":accepted,unknown: nobody is on it"):
        await planned(tmp_path / "job", STAFF, place)
    made = await planned(tmp_path / "job", STAFF, f"{place}:not_sent")
    assert made.exclusions[0].read_as == "a job, 2 of its 2 people"
    assert await told(tmp_path / "job") == STAFF[2:]


async def test_an_outcome_that_is_none_is_an_error(place: str, tmp_path: Path) -> None:
    """It says which there are."""
    await a_job(place)
    for words in ("acepted", "accepted,", "", "Accepted", "accepted;unknown", "excluded"):
        with pytest.raises(InvalidInput, match="accepted, rejected, unknown, not_sent"):
            await planned(tmp_path / "job", STAFF, f"{place}:{words}")


async def test_a_job_has_no_columns(place: str, tmp_path: Path) -> None:
    """What to do instead is said: the first list, without those who were told."""
    await a_job(place)
    for options in ({"template": "Hello {n}"}, {"column": "email"}, {"query": "SELECT 1"}):
        with pytest.raises(InvalidInput, match="from the first list again, and exclude this job"):
            await planned(tmp_path / "job", f"{place}:rejected", **options)
    made = await planned(tmp_path / "job", STAFF, ExcludeList(place, column="mail"))
    assert made.excluded == 3


async def test_a_job_that_is_not_there(place: str, tmp_path: Path) -> None:
    """Is named, and nobody is told that it may be a file of addresses."""
    with pytest.raises((InvalidInput, JournalError), match=r"is not there|there is no job"):
        await planned(tmp_path / "job", STAFF, f"{place}:accepted")
    with pytest.raises((InvalidInput, JournalError), match=r"cannot be read|there is no job"):
        await planned(tmp_path / "job", STAFF, place)


async def test_a_file_is_what_its_name_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with a colon in it; where both would be meant, neither is."""
    monkeypatch.chdir(tmp_path)
    write("x:rejected", STAFF[0])
    assert (await planned("job", STAFF, "x:rejected")).excluded == 1
    await a_job("a:b.journal")
    assert (await planned("two", STAFF, "a:b.journal")).excluded == 3
    assert (await planned("three", STAFF, "a:b.journal:accepted")).excluded == 1
    write("a:b.journal:accepted", STAFF[0])
    with pytest.raises(InvalidInput, match="rename one of them"):
        await planned("four", STAFF, "a:b.journal:accepted")
    write("people.csv", STAFF[0])
    with pytest.raises(InvalidInput, match=r"people.csv is no journal; accepted would be outcomes"):
        await planned("four", STAFF, "people.csv:accepted")
    with pytest.raises(InvalidInput, match=r"C:\\jobs\\a.journal cannot be read"):
        await planned("four", STAFF, r"C:\jobs\a.journal")
    os.mkdir("folder")
    with pytest.raises(InvalidInput, match="folder"):
        await planned("four", STAFF, "folder")
    assert "four" not in files(tmp_path)


async def test_an_account_names_a_few_of_many_lists(tmp_path: Path) -> None:
    """The others are counted."""
    await planned(tmp_path / "job", STAFF, *[[STAFF[0]]] * 20)
    lines = account_lines(await Job(tmp_path / "job").account())
    (line,) = [line for line in lines if line.strip().startswith("excluded")]
    assert line.endswith("; nobody by list 8 to exclude; and 12 more lists")


@pytest.mark.parametrize("name", ["=cmd()", "a\nb.csv", "\udcff.csv", "<b>.csv"])
async def test_a_name_of_a_file_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It is no formula, no line, no markup and no error in what is made of a job."""
    monkeypatch.chdir(tmp_path)
    write(name, STAFF[0])
    made = await planned("job", STAFF, name)
    str(made).encode()
    assert len(str(made).splitlines()) == 9
    account = await Job("job").write(csv="a.csv", page="a.html")
    assert account.excluded == 1
    rows = table("a.csv")
    assert rows[5][1] == "excluded"
    assert rows[5][4] in ("'=cmd()", "a b.csv", "\\udcff.csv", "<b>.csv")
    assert "<b>" not in text_of("a.html")


async def test_a_password_is_in_no_error(tmp_path: Path) -> None:
    """Of whatever is mistaken for what."""
    for name in ("mysql://me:s3cr3t@h/db:accepted", "postgresql+psycopg://me:s3cr3t@h/db#x",
                 "postgresql://me:s3cr3t@127.0.0.1:1/db#x:accepted", "postgresql://u:s3cr3t@h/#x@",
                 "sqlite://:s3cr3t@/x:rejected"):  # fmt: skip
        for where, lists in ((STAFF, [name]), (name, [])):
            with pytest.raises(MoveworksError) as error:
                await planned(tmp_path / "job", where, *lists)
            assert "s3cr3t" not in str(error.value)


async def test_a_journal_that_cannot_be_used_is_no_list(tmp_path: Path) -> None:
    """Half a plan, one of another release, one that is damaged."""
    path = tmp_path / "other"
    await planned(path, STAFF)
    whole = path.read_bytes()
    path.write_bytes(whole[:60] + (99).to_bytes(4, "big") + whole[64:])
    with pytest.raises(JournalError, match="another release"):
        await planned(tmp_path / "job", STAFF, path)
    path.write_bytes(whole)
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM address")
    database.close()
    with pytest.raises(JournalError, match="or has lost people"):
        await planned(tmp_path / "job", STAFF, f"{path}:not_sent")
    path.write_bytes(whole[:-4096])
    with pytest.raises(JournalError):
        await planned(tmp_path / "job", STAFF, path)
    assert not (tmp_path / "job").exists()


async def test_a_journal_that_this_process_plans_is_no_list(tmp_path: Path) -> None:
    """Its own journal, and one that is being planned."""
    with pytest.raises(JournalError, match="job is being planned, or its planning was"):
        await planned(tmp_path / "job", STAFF, tmp_path / "job")
    assert not files(tmp_path)
    reading, done = asyncio.Event(), asyncio.Event()

    async def rows() -> AsyncIterator[str]:
        yield STAFF[0]
        reading.set()
        await done.wait()

    work = asyncio.create_task(planned(tmp_path / "other", rows()))
    await reading.wait()
    with pytest.raises(JournalError, match="other is being planned, or its planning"):
        await planned(tmp_path / "job", STAFF, tmp_path / "other")
    done.set()
    assert (await work).people == 1


def test_few_lists_fit_into_an_answer() -> None:
    """Each is one of the numbers of a byte that are left."""
    assert excluding.MOST_LISTS <= 256 - 4
