"""A plan: everybody in exactly one place, nothing left by a failure, and its price in words."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import gc
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow  # type: ignore[import-untyped]  # it has no types
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from moveworks_shift_async.errors import InvalidInput, JobRunning, JournalError, NotSent
from moveworks_shift_async.jobs.left_out import InvalidLine
from moveworks_shift_async.jobs.plan import groups, texts, writer
from moveworks_shift_async.jobs.plan import opened as opening
from moveworks_shift_async.jobs.plan.options import PlanOptions
from moveworks_shift_async.jobs.plan.plan import Plan, plan
from moveworks_shift_async.jobs.plan.planner import Planner
from moveworks_shift_async.jobs.plan.rejects import faults
from moveworks_shift_async.jobs.store.names import store_of
from moveworks_shift_async.jobs.store.sqlite.journal import Journal
from moveworks_shift_async.jobs.store.sqlite.lock import Lock
from moveworks_shift_async.jobs.threads import FromThread
from moveworks_shift_async.sending.batcher import Batcher, chunks
from moveworks_shift_async.settings import RateLimit
from moveworks_shift_async.sources import Block, RecipientSource, open_recipients
from moveworks_shift_async.sources.iterables import Row
from moveworks_shift_async.wire.moveworks import Content

from .commands import HANG

EVENT = "8a5f3f1e-6a0e-4b5c-9d3f-2f1f7f0c9a11"
ENTRIES = st.lists(
    st.one_of(
        st.builds(
            "{}{}@Example.com{}".format,
            st.sampled_from(["", " "]),
            st.sampled_from(["ann", "ANN", "bob", "straße", "strasse", "i", "İ", "I"]),
            st.sampled_from(["", " ", "\n"]),
        ),
        st.text(max_size=8),
    ),
    max_size=40,
)


def in_blocks(entries: Sequence[str], size: int, **values: Sequence[str | None]) -> Iterator[Block]:
    """Entries in lines 2, 3, ... with columns beside them, in blocks."""
    for start in range(0, len(entries), size):
        part = slice(start, start + size)
        columns = {name: column[part] for name, column in values.items()}
        count = len(entries[part])
        lines = range(start + 2, start + 2 + count)
        yield Block(lines=lines, entries=entries[part], values=columns)


def one(*entries: str, **values: Sequence[str | None]) -> list[Block]:
    """All entries in one block."""
    return [*in_blocks(entries, len(entries) or 1, **values)]


def order(message: str = "Hello", **options: Any) -> PlanOptions:
    """A job for the legacy endpoint."""
    content = Content(event_id=None, message=message, context=options.pop("context", None))
    return PlanOptions.of(content, **options)


@cache
def a_loop() -> asyncio.AbstractEventLoop:
    """An event loop in a thread of its own, for planners in the tests' thread."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


def begin(path: Path | str, wanted: PlanOptions, source: str = "people.csv") -> Planner:
    """A plan that is being made."""
    loop, stop = FromThread(a_loop()), threading.Event()
    planner = Planner.begin(store_of(str(path)), wanted, source, loop, stop)
    try:
        planner.open()
    except BaseException:
        abandon(planner)
        raise
    return planner


def abandon(planner: Planner) -> None:
    """Leave nothing of it behind."""
    FromThread(a_loop()).wait(planner.abandon())


def planned(path: Path, blocks: Iterator[Block] | list[Block], wanted: PlanOptions) -> Plan:
    """A plan made at once."""
    planner = begin(path, wanted)
    try:
        for block in blocks:
            planner.feed(block)
        made = planner.finish()
    except BaseException:
        abandon(planner)
        raise
    planner.close()
    return made


def sent(path: Path) -> list[tuple[str, tuple[str, ...]]]:
    """Message and people of each chunk in the journal, in order."""
    with Journal.open(str(path)) as journal:
        journal.reads.verify()
        found = journal.reads.claim(-1, 1_000_000)
        assert [chunk.id for chunk in found] == [*range(len(found))]
        return [(chunk.content.message, chunk.recipients) for chunk in found]


def left(folder: Path) -> set[str]:
    """The files in a folder, but for the lock."""
    return {path.name for path in folder.iterdir()}


# --- everybody in exactly one place -------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(ENTRIES, st.integers(1, 50))
def test_a_plan_is_what_the_batcher_makes(entries: list[str], size: int) -> None:
    """The same chunks, duplicates and invalid entries, for any list and any size of blocks."""
    batcher = Batcher()
    wanted = [*chunks(batcher, entries)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job"
        try:
            made = planned(path, in_blocks(entries, size), order())
        except InvalidInput:
            assert not wanted
            assert left(Path(folder)) == set()
            return
        assert [people for _, people in sent(path)] == wanted
    assert made.duplicates == batcher.duplicates
    assert made.invalid == len(batcher.invalid)
    assert made.people + made.duplicates + made.invalid == len(entries)
    assert (made.chunks, made.texts, made.differing) == (len(wanted), 1, 0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["x", "y", "<z>"])), min_size=1),
    st.integers(1, 50),
)
def test_each_person_gets_her_first_text(rows: list[tuple[str, str]], size: int) -> None:
    """Chunks hold one text each; who is in none of them is a duplicate."""
    wanted: dict[Any, tuple[str, str]] = {}
    for name, value in rows:
        text = f"Hi {value.replace('<', '&lt;').replace('>', '&gt;')}"
        wanted.setdefault(name, (text, f"{name}@b.c"))
    entries = [f"{name}@b.c" for name, _ in rows]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job"
        blocks = in_blocks(entries, size, word=[value for _, value in rows])
        made = planned(path, blocks, order("Hi {word}", template=True))
        got = [(text, address) for text, people in sent(path) for address in people]
    assert sorted(got) == sorted(wanted.values())
    assert made.people + made.duplicates == len(rows)
    assert made.texts == len({text for text, _ in got}) == made.chunks


def test_full_groups_come_first(tmp_path: Path) -> None:
    """A chunk of 500 is written at once, the incomplete ones at the end in order of their texts."""
    entries = [f"p{number}@b.c" for number in range(1203)]
    words = ["a" if number < 2 or number % 2 else "b" for number in range(1203)]
    blocks = in_blocks(entries, 7, word=words)
    made = planned(tmp_path / "job", blocks, order("{word}", template=True))
    assert [(text, len(people)) for text, people in sent(tmp_path / "job")] == [
        ("a", 500), ("b", 500), ("a", 102), ("b", 101),
    ]  # fmt: skip
    assert (made.chunks, made.texts) == (4, 2)


def test_many_texts_go_through_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few people may wait in memory, no text takes more chunks than its people need."""
    monkeypatch.setattr(groups, "_WAITING", 100)
    monkeypatch.setattr(writer, "_CHUNKS", 3)
    monkeypatch.setattr(texts, "_CACHED", 50)
    entries = [f"p{number}@b.c" for number in range(3000)]
    words = [str(number % 300 if number < 1800 else 7) for number in range(3000)]
    blocks = in_blocks(entries, 90, word=words)
    made = planned(tmp_path / "job", blocks, order("{word}", template=True))
    found = sent(tmp_path / "job")
    assert made.chunks == len(found) == 299 + 3
    told = sorted((address, text) for text, people in found for address in people)
    assert told == sorted(zip(entries, words, strict=True))


def test_context_and_event_reach_the_journal(tmp_path: Path) -> None:
    """Equal messages with different slots are different texts."""
    content = Content(event_id=EVENT, message="Hi", context={"slots": {"team": "{team}"}})
    blocks = one("a@b.c", "d@b.c", team=["R&D", "IT"])
    planned(tmp_path / "job", blocks, PlanOptions.of(content, template=True))
    journal = Journal.open(str(tmp_path / "job"))
    assert [chunk.content for chunk in journal.reads.claim(-1, 9)] == [
        Content(event_id=EVENT, message="Hi", context={"slots": {"team": name}})
        for name in ("R&D", "IT")
    ]
    journal.close()


@pytest.mark.parametrize("template", [True, False])
async def test_the_context_is_what_it_was_at_the_call(tmp_path: Path, template: bool) -> None:
    """Whatever its owner does to it while the recipients are read."""
    reading, changed = asyncio.Event(), asyncio.Event()
    context: dict[str, Any] = {"slots": {"name": "Ann", "more": [1]}}

    async def rows() -> AsyncIterator[dict[str, str]]:
        reading.set()
        await changed.wait()
        yield {"email": "a@b.c"}

    text: Any = {"template" if template else "message": "Hi"}
    planning = asyncio.create_task(
        plan(tmp_path / "job", rows(), legacy=True, context=context, **text)
    )
    await reading.wait()
    context["slots"]["name"] = "Bob"
    context["slots"]["more"].append(2)
    changed.set()
    await planning
    with Journal.look(str(tmp_path / "job")) as journal:
        (chunk,) = journal.reads.claim(-1, 9)
    assert chunk.content.context == {"slots": {"name": "Ann", "more": [1]}}


def test_braces_mean_nothing_without_a_template(tmp_path: Path) -> None:
    """A message is sent as it is, and a template without columns has one text."""
    planned(tmp_path / "job", one("a@b.c"), order("{name} {{slot}} }"))
    assert sent(tmp_path / "job") == [("{name} {{slot}} }", ("a@b.c",))]
    planned(tmp_path / "other", one("a@b.c"), order("100 % {{slot}}", template=True))
    assert sent(tmp_path / "other") == [("100 % {{slot}}", ("a@b.c",))]


def test_a_text_nobody_gets_is_not_counted(tmp_path: Path) -> None:
    """Where all who would get it had another text before, it is not in the journal."""
    blocks = one("a@b.c", "A@b.c", "b@b.c", " a@b.c", word=["x", "y", "z", "x"])
    done = planned(tmp_path / "job", blocks, order("{word}", template=True))
    assert (done.texts, done.duplicates, done.differing) == (2, 2, 1)
    assert done.differing_lines == (3,)
    assert sent(tmp_path / "job") == [("x", ("a@b.c",)), ("z", ("b@b.c",))]


# --- what is refused ----------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_row_without_a_value_is_an_error_with_its_line(tmp_path: Path, value: str | None) -> None:
    """File, line and column are named, what the row holds is not; no journal is left."""
    blocks = one("a@b.c", "x", "secret@b.c", **{"First Name": ["Ann", None, value]})
    with pytest.raises(InvalidInput) as error:
        planned(tmp_path / "job", blocks, order("Hi {First Name}", template=True))
    assert str(error.value) == 'people.csv, line 4: no value in column "First Name"'
    assert left(tmp_path) == set()


def test_a_message_too_long_is_an_error_with_its_line(tmp_path: Path) -> None:
    """The vendor's limit is for the text with its values."""
    blocks = one("a@b.c", "b@b.c", word=["x", "&" * 4001])
    with pytest.raises(InvalidInput, match=r"people.csv, line 3: message has 20005 characters"):
        planned(tmp_path / "job", blocks, order("{word}", template=True))


@pytest.mark.parametrize("template", [True, False])
def test_half_a_character_is_refused(tmp_path: Path, template: bool) -> None:
    """A lone surrogate cannot be written down."""

    def made() -> Plan:
        wanted = order("{word}" if template else "\ud800", template=template)
        return planned(tmp_path / "job", one("a@b.c", word=["\ud800"]), wanted)

    with pytest.raises(InvalidInput, match="half a character"):
        made()


def test_nobody_valid_is_an_error(tmp_path: Path) -> None:
    """It says how many entries there were and what is wrong with the first; no file is left."""
    rejected = order(invalid_csv=str(tmp_path / "invalid.csv"))
    wanted = r"people.csv: nobody valid, all of 2 entries; the first, line 2: no @$"
    with pytest.raises(InvalidInput, match=wanted):
        planned(tmp_path / "job", one("ann", ""), rejected)
    with pytest.raises(InvalidInput, match=r"people.csv: no entries: nobody to send to$"):
        planned(tmp_path / "job", [], order())
    assert left(tmp_path) == set()


def test_invalid_entries_are_written_down_on_request(tmp_path: Path) -> None:
    """Line, reason and entry as it came, in a new file for its owner alone."""
    path = tmp_path / "invalid.csv"
    entries = ["a@b.c", ' "x",\n', *["no"] * 12, "\ud800"]
    done = planned(tmp_path / "job", one(*entries), order(invalid_csv=str(path)))
    with path.open(encoding="utf-8", newline="") as file:
        rows = [*csv.reader(file)]
    assert rows[0] == ["line", "reason", "entry"]
    assert rows[1] == ["3", "no @", ' "x",\n']
    assert rows[-1] == ["16", "no @", "\\ud800"]
    assert len(rows) == 15
    assert done.invalid == 14
    assert [found.line for found in done.invalid_examples] == [*range(3, 13)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_entry_is_no_formula_in_that_file(tmp_path: Path) -> None:
    """Wherever a spreadsheet parts its cells."""
    path = tmp_path / "invalid.csv"
    entries = ["a@b.c", "=1+1", "a;=cmd|'/c calc'!A1", "\t@x"]
    planned(tmp_path / "job", one(*entries), order(invalid_csv=str(path)))
    with path.open(encoding="utf-8", newline="") as file:
        found = [row[2] for row in csv.reader(file)][1:]
    assert found == ["'=1+1", "a;'=cmd|'/c calc'!A1", "'\t'@x"]


@pytest.mark.parametrize("size", [1, 3, 50])
def test_the_journal_keeps_who_was_left_out(
    tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With line, reason and entry, in the order of the source, also where many blocks are many."""
    monkeypatch.setattr(writer, "_BLOCK", 4)
    monkeypatch.setattr(writer, "_MOST", 8)
    entries = [f" {'AaBb'[n % 4]}@b.c" if n % 3 else f"no {n}" for n in range(40)]
    done = planned(tmp_path / "job", in_blocks(entries, size), order())
    with Journal.look(str(tmp_path / "job")) as journal:
        blocks = [*journal.reads.left_out()]
    found = [(block.why, *row) for block in blocks for row in block.entries]
    bad = [("invalid", n + 2, "holds a space", f"no {n}") for n in range(0, 40, 3)]
    again = [
        ("duplicate", n + 2, "came before", entry.strip())
        for n, entry in enumerate(entries)
        if n % 3 and n not in (1, 2)
    ]
    assert found == bad + again
    assert (done.invalid, done.duplicates) == (len(bad), len(again))
    assert max(len(block.entries) for block in blocks) <= 4


def test_what_differs_is_named_so_and_what_is_long_is_cut(tmp_path: Path) -> None:
    """A duplicate with another text is not one with the same; a cell may hold any text."""
    entries = ["a@b.c", "A@b.c", "a@B.c", "x" * 100_000]
    blocks = one(*entries, name=["Ann", "Ann", "Eve", "Bob"])
    planned(tmp_path / "job", blocks, order("Hello {name}", template=True))
    with Journal.look(str(tmp_path / "job")) as journal:
        invalid, again = journal.reads.left_out()
    assert again.entries == [
        (3, "came before", "A@b.c"), (4, "came before with another text", "a@B.c"),
    ]  # fmt: skip
    assert [entry for _, _, entry in invalid.entries] == ["x" * 254 + "..."]


def test_an_existing_file_for_invalid_entries_is_refused(tmp_path: Path) -> None:
    """It is left as it was, and so is the folder."""
    path = tmp_path / "invalid.csv"
    path.write_text("mine")
    with pytest.raises(InvalidInput, match="is there already"):
        planned(tmp_path / "job", one("a@b.c"), order(invalid_csv=str(path)))
    assert path.read_text() == "mine"
    assert left(tmp_path) == {"invalid.csv"}
    with pytest.raises(JournalError, match="cannot be written"):
        planned(tmp_path / "job", one(), order(invalid_csv=str(tmp_path / "no" / "x.csv")))


def test_the_journal_is_no_file_for_invalid_entries(tmp_path: Path) -> None:
    """Else the entries would be lost without a word."""
    path = tmp_path / "job"
    with pytest.raises(InvalidInput, match="is there already"):
        planned(path, one("a@b.c", "no"), order(invalid_csv=str(path)))
    assert left(tmp_path) == set()


@given(st.lists(st.sampled_from(["a@b.c", "ü@b.c", "no", ""]), max_size=350))
def test_faults_are_found_wherever_they_are(entries: list[str]) -> None:
    """The same places as checking each entry alone."""
    wanted = [(at, "no @" if entry else "empty") for at, entry in enumerate(entries)
              if "@" not in entry]  # fmt: skip
    assert faults(entries) == wanted


# --- the file -----------------------------------------------------------------------------


def test_the_journal_is_for_its_owner(tmp_path: Path) -> None:
    """Mode 0600, and nothing else is left in the folder."""
    previous = os.umask(0)
    try:
        planned(tmp_path / "job", one("a@b.c"), order())
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "job").stat().st_mode) == 0o600
    assert left(tmp_path) == {"job"}


def test_a_source_whose_name_is_no_text_is_planned(tmp_path: Path) -> None:
    """A file's name is any bytes."""
    name = os.fsdecode(b"\xff.csv")
    planner = begin(tmp_path / "job", order(), name)
    for block in one("a@b.c"):
        planner.feed(block)
    assert planner.finish().source == r"\udcff.csv"
    planner.close()


def test_a_journal_with_a_job_is_refused_and_untouched(tmp_path: Path) -> None:
    """Not even a failing plan changes a byte of it."""
    path = tmp_path / "job"
    planned(path, one("a@b.c"), order())
    before = path.read_bytes()
    with pytest.raises(JournalError, match="holds a job already"):
        planned(path, one("b@b.c"), order(invalid_csv=str(tmp_path / "invalid.csv")))
    assert path.read_bytes() == before
    assert left(tmp_path) == {"job"}


def test_a_file_that_is_no_journal_is_untouched(tmp_path: Path) -> None:
    """The user's own file stays."""
    path = tmp_path / "job"
    path.write_text("mine " * 1000)
    with pytest.raises(JournalError, match="no journal"):
        planned(path, one("a@b.c"), order())
    assert path.read_text() == "mine " * 1000


CHILD = """
    import sys
    from moveworks_shift_async.jobs.plan.options import PlanOptions
    from moveworks_shift_async.wire.moveworks import Content
    from tests.test_jobs_plan import abandon, begin

    class Rows:
        values = {}
        def __init__(self, start):
            self.lines = range(start, start + 5000)
            self.entries = [f"person{n * 7919 % 1000003}@example.com" for n in self.lines]

    order = PlanOptions.of(Content(event_id=None, message="Hello"))
    planner = begin(sys.argv[1], order)
"""


def child(script: str, *arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
    """Another process with this script."""
    code = textwrap.dedent(CHILD) + textwrap.dedent(script)
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


def test_a_killed_plan_is_replaced(tmp_path: Path) -> None:
    """Its journal says that it was interrupted; the next plan takes its place."""
    path = tmp_path / "job"
    script = "planner.feed(Rows(0)); print('fed', flush=True); import time; time.sleep(50)"
    with child(script, path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "fed\n"
        process.send_signal(signal.SIGKILL)
    interrupted = Journal.open(str(path))
    with pytest.raises(JournalError, match="interrupted; nothing was sent: plan it again"):
        interrupted.reads.verify()
    interrupted.close()
    planned(path, one("a@b.c"), order())
    assert sent(path) == [("Hello", ("a@b.c",))]
    assert left(tmp_path) == {"job"}


def test_a_killed_plan_leaves_no_file_of_invalid_entries(tmp_path: Path) -> None:
    """So the same command can be given again."""
    script = """
        from moveworks_shift_async.jobs.plan.rejects import Rejects
        rejects = Rejects.to(sys.argv[2])
        for line in range(10_000):
            rejects.add(line, "no @", "somebody")
        print("written", flush=True)
        import time; time.sleep(50)
    """
    with child(script, tmp_path / "job", tmp_path / "invalid.csv") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        process.send_signal(signal.SIGKILL)
    assert left(tmp_path) == {"job"}
    rejected = order(invalid_csv=str(tmp_path / "invalid.csv"))
    planned(tmp_path / "job", one("a@b.c", "no"), rejected)
    assert left(tmp_path) == {"job", "invalid.csv"}


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit for the size of files")
@pytest.mark.parametrize("limit", [2_000, 100_000, 1_000_000])
def test_a_full_disk_is_a_clear_error(tmp_path: Path, limit: int) -> None:
    """While the journal is made, while rows are spooled, while chunks are written."""
    script = """
        for start in range(0, 30_000, 5_000):
            planner.feed(Rows(start))
        planner.finish()
    """
    guarded = f"""
import resource
from moveworks_shift_async.errors import JournalError
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
planner = None
try:
{textwrap.indent(textwrap.dedent(CHILD) + textwrap.dedent(script), "    ")}
except JournalError as error:
    print(error)
    if planner is not None:
        abandon(planner)
else:
    print("no error")
# Lifted for what writes files at the end of a process, like a measurement of coverage.
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""
    done = subprocess.run(
        [sys.executable, "-c", guarded, str(tmp_path / "job")],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    if limit == 1_000_000:  # the spool takes 700 kB, the journal less
        assert done.stdout == "no error\n"
        return
    assert "full or broken" in done.stdout
    assert left(tmp_path) == set()


def test_a_journal_that_cannot_be_written_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills up while chunks are written."""

    def full(*_: object) -> None:
        raise JournalError("the disk is full")

    monkeypatch.setattr(Journal, "add_chunks", full)
    with pytest.raises(JournalError, match="the disk is full"):
        planned(tmp_path / "job", one("a@b.c"), order())
    assert left(tmp_path) == set()


# --- the async face -----------------------------------------------------------------------


async def one_by_one(rows: Iterable[Row]) -> AsyncIterator[Row]:
    """Rows from the event loop."""
    for row in rows:
        await asyncio.sleep(0)
        yield row


PEOPLE: list[Row] = [
    {"Email": "a@b.c", "word": "1"},
    {"Email": "A@b.c", "word": "1"},
    {"Email": "x", "word": "1"},
]


@pytest.mark.parametrize("kind", [lambda rows: rows, iter, one_by_one])
async def test_rows_from_anywhere(tmp_path: Path, kind: Callable[[list[Row]], Any]) -> None:
    """A list, an iterator and an async iterator give the same plan."""
    made = await plan(tmp_path / "job", kind(PEOPLE), template="{word}", legacy=True)
    assert made == Plan(
        journal=str(tmp_path / "job"), source="recipients", people=1, duplicates=1, differing=0,
        invalid=1, invalid_examples=(InvalidLine(3, "no @"),), chunks=1, texts=1,
        rate_limit=RateLimit(), planned_at=made.planned_at,
    )  # fmt: skip
    assert sent(tmp_path / "job") == [("1", ("a@b.c",))]
    Lock.take(str(tmp_path / "job")).release()


@pytest.mark.parametrize("kind", [iter, one_by_one])
async def test_bare_addresses_from_anywhere(
    tmp_path: Path, kind: Callable[[list[Row]], Any]
) -> None:
    """More than a block of them, without any column."""
    rows: list[Row] = [f"p{number}@b.c" for number in range(5000)]
    made = await plan(tmp_path / "job", kind([*rows, "P0@b.c"]), message="{Hi}", legacy=True)
    assert (made.people, made.duplicates, made.chunks, made.texts) == (5000, 1, 10, 1)
    assert {message for message, _ in sent(tmp_path / "job")} == {"{Hi}"}


def write_csv(path: Path) -> None:
    """A comma is no part of the name."""
    path.write_text("Email,First Name\nann@b.c,Ann & Co\nx,Bob\nbob@b.c,Bob\n")


def write_parquet(path: Path) -> None:
    """With a column of numbers beside."""
    columns = {"Email": ["ann@b.c", "x", "bob@b.c"], "First Name": ["Ann & Co", "Bob", "Bob"]}
    parquet.write_table(pyarrow.table(columns | {"Age": [1, 2, 3]}), path)


def write_xlsx(path: Path) -> None:
    """On the first of two worksheets."""
    book = openpyxl.Workbook()
    for row in (["Email", "First Name"], ["ann@b.c", "Ann & Co"], ["x", "Bob"], ["bob@b.c", "Bob"]):
        book.worksheets[0].append(row)
    book.save(path)


@pytest.mark.parametrize(
    ("write", "line"), [(write_csv, 3), (write_parquet, 2), (write_xlsx, 3)]
)  # fmt: skip
@pytest.mark.parametrize("escape", [True, False])
async def test_tables_are_planned(
    tmp_path: Path, write: Callable[[Path], None], line: int, escape: bool
) -> None:
    """A file gives its name, its columns and its lines; values are escaped unless told not to."""
    path = tmp_path / "people"
    write(path)
    made = await plan(
        tmp_path / "job", path, template="Hello {First Name}", event_id=EVENT, escape=escape
    )
    assert (made.source, made.people, made.texts) == (str(path), 2, 2)
    assert made.invalid_examples == (InvalidLine(line, "no @"),)
    name = "Ann &amp; Co" if escape else "Ann & Co"
    assert sent(tmp_path / "job") == [
        (f"Hello {name}", ("ann@b.c",)),
        ("Hello Bob", ("bob@b.c",)),
    ]


def a_database(path: Path) -> str:
    """The URL of a database of three people."""
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE staff (email TEXT, city TEXT)")
        rows = [("ann@b.c", "Rome"), ("bob@b.c", "Oslo"), ("eve@b.c", "Rome")]
        database.executemany("INSERT INTO staff VALUES (?, ?)", rows)
    return f"sqlite:///{path}"


async def test_a_query_is_planned(tmp_path: Path) -> None:
    """With the columns that the query names."""
    url = a_database(tmp_path / "staff.db")
    query = "SELECT email, city AS place FROM staff WHERE city = 'Rome'"
    made = await plan(tmp_path / "job", url, query=query, template="{place}", legacy=True)
    assert (made.source, made.people) == (url, 2)
    assert made.read_as == 'SQL, 2 rows, column "email"'
    assert '  Read as     SQL, 2 rows, column "email"\n  People      2\n' in str(made)
    assert sent(tmp_path / "job") == [("Rome", ("ann@b.c", "eve@b.c"))]


@pytest.mark.parametrize(
    ("source", "options", "why"),
    [
        (["a@b.c"], {"query": "SELECT 1"}, "a query needs a database's URL"),
        ("people.csv", {"query": "SELECT 1"}, "query"),
        ("sqlite:///staff.db", {}, "a database needs a query"),
        (7, {}, "a file, a URL or an iterable, not int"),
        (["a@b.c"], {"message": None}, "either message or template"),
        (["a@b.c"], {"template": "Hi"}, "either message or template"),
        ([7], {}, "row 1"),
    ],
)
async def test_a_source_that_is_none_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: Any,
    options: dict[str, Any],
    why: str,
) -> None:
    """It says why, and no journal is left."""
    defaults: dict[str, Any] = {"message": "Hi", "legacy": True}
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "people.csv")
    a_database(tmp_path / "staff.db")
    with pytest.raises(InvalidInput, match=why):
        await plan(tmp_path / "job", source, **defaults | options)
    assert left(tmp_path) == {"people.csv", "staff.db"}


async def test_standard_input_is_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is `-`, and is called by its name."""
    write_csv(tmp_path / "people.csv")
    with (tmp_path / "people.csv").open(encoding="utf-8") as piped:
        monkeypatch.setattr(sys, "stdin", piped)
        made = await plan(tmp_path / "job", "-", message="Hi", legacy=True, column="Email")
    assert (made.source, made.people, made.invalid) == ("standard input", 2, 1)
    assert sent(tmp_path / "job") == [("Hi", ("ann@b.c", "bob@b.c"))]


async def test_a_source_is_opened_and_closed_in_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name is the plan's, and its columns are checked before anything is made."""
    threads = []

    @contextlib.contextmanager
    def opened(*where: Any, **how: Any) -> Iterator[RecipientSource]:
        threads.append(threading.current_thread())
        try:
            with open_recipients(*where, **how) as source:
                yield source
        finally:
            threads.append(threading.current_thread())

    monkeypatch.setattr(opening, "open_recipients", opened)
    path = tmp_path / "people.csv"
    path.write_text("Email,city,age\na@b.c,Rome,7\n")
    made = await plan(tmp_path / "job", path, template="{city}", event_id=EVENT)
    assert (made.source, made.chunks) == (str(path), 1)
    with pytest.raises(InvalidInput, match='the columns are "Email", "city", "age"'):
        await plan(tmp_path / "x", path, template="{town}", legacy=True)
    await plan(tmp_path / "plain", path, message="Hello", legacy=True)
    assert left(tmp_path) == {"job", "plain", "people.csv"}
    assert len(threads) == 6
    assert threading.current_thread() not in threads


async def test_columns_of_a_programs_rows_are_checked(tmp_path: Path) -> None:
    """Against the keys of the first rows."""
    rows: list[Row] = [{"Email": "a@b.c", "a": 1}]
    with pytest.raises(InvalidInput, match='no column "b"; the columns are "Email", "a"'):
        await plan(tmp_path / "x", rows, template="{b}", legacy=True)
    assert left(tmp_path) == set()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"message": "Hello"}, "either event_id, or legacy"),
        ({"message": "Hello", "event_id": EVENT, "legacy": True}, "either event_id, or legacy"),
        ({"message": "Hello", "event_id": "x"}, "UUID"),
        ({"legacy": True, "message": ""}, "0 characters"),
        ({"legacy": True, "template": "{"}, "brace"),
        ({"legacy": True, "message": "Hello", "context": {"a": {1}}}, "JSON"),
        ({"event_id": "x", "template": "{a}"}, "UUID"),
    ],
)
async def test_what_is_wrong_is_said_before_anything_is_touched(
    tmp_path: Path, options: dict[str, Any], why: str
) -> None:
    """No file is made and no row is read."""

    def never() -> Iterator[Row]:
        raise AssertionError("it was read")
        yield

    with pytest.raises(InvalidInput, match=why):
        await plan(tmp_path / "job", never(), **options)
    assert left(tmp_path) == set()


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_a_source_that_fails_leaves_nothing(tmp_path: Path, asynchronous: bool) -> None:
    """Its own error comes out."""

    def failing() -> Iterator[Row]:
        yield from (f"p{number}@b.c" for number in range(5000))
        raise ZeroDivisionError

    source = one_by_one(failing()) if asynchronous else failing()
    with pytest.raises(ZeroDivisionError):
        await plan(tmp_path / "job", source, message="Hello", legacy=True)
    assert left(tmp_path) == set()


async def test_a_file_that_breaks_at_a_late_line_leaves_nothing(tmp_path: Path) -> None:
    """The line is named, and what stands in it is not."""
    path, rows = tmp_path / "people.csv", [f"p{number}@b.c,Ann" for number in range(20_000)]
    path.write_bytes("\n".join(["Email,Name", *rows, ""]).encode() + b'secret@b.c,"Bob\n')
    with pytest.raises(InvalidInput, match=r"people\.csv, line 20002: ") as error:
        await plan(tmp_path / "job", path, message="Hello", legacy=True)
    assert "secret" not in str(error.value)
    assert left(tmp_path) == {"people.csv"}


async def test_a_value_that_is_missing_at_a_late_line_leaves_nothing(tmp_path: Path) -> None:
    """File, line and column are named."""
    path, rows = tmp_path / "people.csv", [f"p{number}@b.c,Ann" for number in range(20_000)]
    path.write_text("\n".join(["Email,Name", *rows, "secret@b.c,", ""]))
    with pytest.raises(InvalidInput) as error:
        await plan(tmp_path / "job", path, template="Hello {Name}", legacy=True)
    assert str(error.value) == f'{path}, line 20002: no value in column "Name"'
    assert left(tmp_path) == {"people.csv"}


async def test_a_plan_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    """The thread stops within a block, however often it is cancelled, and the lock is free."""
    started = threading.Event()

    def endless() -> Iterator[Row]:
        while True:
            started.set()
            yield "a@b.c"

    task = asyncio.create_task(
        plan(tmp_path / "job", endless(), message="Hello", legacy=True,
             invalid_csv=tmp_path / "invalid.csv")
    )  # fmt: skip
    await asyncio.to_thread(started.wait)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left(tmp_path) == set()


async def test_a_plan_cancelled_between_blocks_leaves_nothing(tmp_path: Path) -> None:
    """While it waits for an async source."""
    waiting = asyncio.Event()

    async def stuck() -> AsyncIterator[Row]:
        for number in range(3000):
            yield f"p{number}@b.c"
        waiting.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(plan(tmp_path / "job", stuck(), message="Hello", legacy=True))
    await waiting.wait()
    assert "job" in left(tmp_path)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left(tmp_path) == set()


def test_a_stopped_planner_does_nothing_more(tmp_path: Path) -> None:
    """Feeding and finishing say that nothing was sent."""
    planner = begin(tmp_path / "job", order())
    planner.feed(one("a@b.c")[0])
    planner.stop.set()
    with pytest.raises(NotSent, match="was stopped; nothing was sent"):
        planner.feed(one("b@b.c")[0])
    with pytest.raises(NotSent, match="was stopped; nothing was sent"):
        planner.finish()
    abandon(planner)
    assert left(tmp_path) == set()


async def test_a_plan_whose_every_task_is_cancelled_leaves_no_file(tmp_path: Path) -> None:
    """In every turn of the loop, as an application does that is ended twice."""
    begun, go_on = threading.Event(), threading.Event()

    def people() -> Iterator[str]:
        yield "a@example.com"
        begun.set()
        assert go_on.wait(HANG)

    task = asyncio.create_task(plan(tmp_path / "job", people(), message="Hello", legacy=True))
    await asyncio.to_thread(begun.wait, HANG)
    go_on.set()
    async with asyncio.timeout(HANG):
        while not task.done():
            for other in asyncio.all_tasks() - {asyncio.current_task()}:
                other.cancel()
            await asyncio.sleep(0)
    assert task.cancelled()
    assert left(tmp_path) == set()


LEFT = """
    import asyncio, sys
    from moveworks_shift_async import Job
    from moveworks_shift_async.jobs.threads import FromThread

    loop, start = asyncio.new_event_loop(), FromThread.start

    def stopped(self, work):
        if work.__name__ == "complete":
            loop.call_soon_threadsafe(loop.stop)
        return start(self, work)

    FromThread.start = stopped
    try:
        people = ["a@example.com"]
        loop.run_until_complete(Job.plan(sys.argv[1], people, message="Hello", legacy=True))
    except RuntimeError as error:
        print(error)
    loop.close()
"""


def test_a_process_whose_loop_is_left_in_the_middle_of_a_plan_ends(tmp_path: Path) -> None:
    """A thread that waits for a loop that never turns again would keep it for ever."""
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LEFT), tmp_path / "job"],
        capture_output=True, text=True, timeout=HANG, check=True,
    )  # fmt: skip
    assert ended.stdout == "Event loop stopped before Future completed.\n"


async def test_two_plans_of_one_journal_are_refused(tmp_path: Path) -> None:
    """The second one hears so, and the first one's journal stays."""
    first = begin(tmp_path / "job", order())
    before = (tmp_path / "job").read_bytes()
    with pytest.raises(JobRunning):
        await plan(tmp_path / "job", ["a@b.c"], message="Hello", legacy=True)
    assert (tmp_path / "job").read_bytes() == before
    abandon(first)


async def test_a_folder_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    """Nothing is made."""
    with pytest.raises(JournalError, match="cannot be made: No such file"):
        await plan(tmp_path / "no" / "job", ["a@b.c"], message="Hello", legacy=True)


def test_no_file_is_left_open(tmp_path: Path) -> None:
    """Neither by a plan that was made nor by one that was not."""
    a_loop()  # it is made once, and has files of its own
    gc.collect()
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    planned(tmp_path / "job", one("a@b.c", w=["1"]), order("{w}", template=True))
    with pytest.raises(InvalidInput):
        planned(tmp_path / "other", one("a", w=["1"]), order("{w}", template=True))
    gc.collect()
    assert (len(os.listdir("/proc/self/fd")) if before else 0) == before


# --- its words ----------------------------------------------------------------------------


def a_plan(**values: Any) -> Plan:
    """A plan with these numbers."""
    numbers = {"people": 1, "duplicates": 0, "differing": 0, "invalid": 0, "chunks": 1, "texts": 1}
    common = {"journal": "job.mws", "source": "people.csv", "rate_limit": RateLimit(),
              "planned_at": datetime(2026, 11, 29, 20, 40, tzinfo=UTC)}  # fmt: skip
    return Plan(**{**common, **numbers, **values})


def test_a_plan_says_what_it_costs() -> None:
    """Counts with their lines, requests, the least time and what the platforms take."""
    examples = tuple(InvalidLine(line, "no @") for line in range(2, 12))
    shown = a_plan(
        people=60_000, duplicates=1200, invalid=1001, invalid_examples=examples, chunks=121, texts=2
    )
    assert str(shown) == "\n".join(
        [
            "Plan of people.csv, in job.mws",
            "  People      60,000",
            "  Duplicates  1,200",
            "  Invalid     1,001 (lines 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ...)",
            "  Requests    121, 2 texts",
            "              each different text is a request of its own; one text for all would take"
            " 120 requests and a few seconds",
            "  Least time  1 min at 120 requests a minute",
            "  Delivery    Microsoft Teams 24 min, Zoom 40 min, Moveworks for Web 1 h 00 min,"
            " Webex 1 h 40 min, Slack 1 h 54 min, Google Chat 6 h 40 min",
        ]
    )
    assert shown.delivery["Slack"] == pytest.approx(114.29, abs=0.01)


def test_one_is_singular_and_nothing_is_short() -> None:
    """No line for what does not matter."""
    shown = str(a_plan(invalid=1, invalid_examples=(InvalidLine(7, "no @"),),
                       rate_limit=RateLimit(requests=1, per=10.0)))  # fmt: skip
    assert "Invalid     1 (line 7)" in shown
    assert "at 1 request in 10 s" in shown
    assert "each different text" not in shown


def test_texts_of_their_own_have_their_price() -> None:
    """10,000 different texts at 120 a minute are 83 minutes; one text would be 20 requests."""
    shown = str(a_plan(people=10_000, chunks=10_000, texts=10_000))
    assert (
        "every person has a different text; each different text is a request of its own;"
        " one text for all would take 20 requests and a few seconds"
    ) in shown
    assert "Least time  1 h 23 min at 120 requests a minute" in shown


def test_differing_texts_are_named_with_their_lines() -> None:
    """Who had another text before is left out, and the plan says where."""
    shown = str(a_plan(duplicates=3, differing=2, differing_lines=(4, 9)))
    wanted = "3; 2 of them have another text, which is not sent (lines 4, 9)"
    assert f"Duplicates  {wanted}" in shown
    assert "1 of them has" in str(a_plan(duplicates=3, differing=1, differing_lines=(4,)))
