"""`moveworks-shift plan`: what it prints, what it leaves, and what it refuses."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
import os
import signal
import sqlite3
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from moveworks_shift_async.cli import main
from moveworks_shift_async.jobs.plan.cost import PACE
from moveworks_shift_async.jobs.store.sqlite.journal import Journal

from .commands import HANG, end, environment, start, until

EVENT = "7d9f7a54-3f9e-4c37-8a57-3b1a8f0f6a21"
STAFF = "Email,First Name\nann@example.com,Ann & Co\nx,Bob\nbob@example.com,Bob\n"


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own with a file of three rows, and no variable that names a credential."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("MOVEWORKS_")]:
        monkeypatch.delenv(name)
    Path("staff.csv").write_text(STAFF)


def sent(path: str = "tonight.journal") -> list[tuple[str, tuple[str, ...]]]:
    """Message and people of each chunk."""
    with Journal.open(path) as journal:
        return [(chunk.content.message, chunk.recipients) for chunk in journal.reads.claim(-1, 9)]


def planned(*args: str) -> int:
    """The exit code of a plan for the three rows."""
    given = ("plan", "tonight.journal", "--legacy", "--recipients", "staff.csv", *args)
    return main.run(given)


def mode(path: str) -> int:
    """Who may read and write it."""
    return stat.S_IMODE(Path(path).stat().st_mode)


def test_an_old_encoding_is_named_where_texts_depend_on_it(capsys: Any) -> None:
    """Without it nobody is planned; `send` takes the addresses and says that it guessed."""
    Path("staff.csv").write_bytes("Email,Name\nann@example.com,Łukasz\n".encode("cp1250"))
    assert planned("--template", "Hi {Name}") == 2
    assert "staff.csv, line 2: not UTF-8; that it is " in capsys.readouterr().err
    assert planned("--template", "Hi {Name}", "--encoding", "cp1250") == 0
    assert sent() == [("Hi Łukasz", ("ann@example.com",))]
    send = ("send", "--legacy", "--message", "Hi", "--recipients", "staff.csv", "--dry-run")
    for more, said in (((), "(a guess)"), (("--encoding", "cp1250"), "CSV, comma, cp1250, 1 row")):
        assert main.run([*send, *more]) == 0
        assert said in capsys.readouterr().err


def test_a_plan_says_whom_it_is_for_and_how_to_send_it(capsys: Any) -> None:
    """The plan on stdout; who is left out and what comes next on stderr; no credential needed."""
    args = ("plan", "to night.journal", "--event", EVENT, "--message", "Hi")
    more = ("--recipients", "staff.csv", "--invalid-file", "invalid.csv")
    assert main.run([*args, *more, "--requests-per-minute", "30"]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[:7] == [
        "Plan of staff.csv, in to night.journal",
        '  Read as     CSV, comma, UTF-8, 3 rows, column "Email"',
        "  People      2",
        "  Duplicates  0",
        "  Invalid     1 (line 3)",
        "  Requests    1, 1 text",
        "  Least time  a few seconds at 30 requests a minute",
    ]
    assert shown.err.splitlines() == [
        "  line 3: no @",
        "invalid.csv: written, a row for each invalid one",
        "nothing was sent yet; this sends it: moveworks-shift run 'to night.journal'",
    ]
    with Path("invalid.csv").open(newline="") as file:
        assert [*csv.reader(file)] == [["line", "reason", "entry"], ["3", "no @", "x"]]
    assert (mode("to night.journal"), mode("invalid.csv")) == (0o600, 0o600)
    assert sent("to night.journal") == [("Hi", ("ann@example.com", "bob@example.com"))]


def test_a_plan_without_invalid_rows_ends_with_0(monkeypatch: pytest.MonkeyPatch) -> None:
    """From standard input, too."""
    piped = io.TextIOWrapper(io.BytesIO(b"ann@example.com\n"))
    monkeypatch.setattr(sys, "stdin", piped)
    assert planned("--message", "Hi", "--recipients", "-") == 0
    assert sent() == [("Hi", ("ann@example.com",))]


def test_the_plan_as_json_is_one_object(capsys: Any) -> None:
    """What comes next stays on stderr, and no address is in either."""
    assert planned("--template", "Hello {First Name}", "--json") == 0
    shown = capsys.readouterr()
    plan = json.loads(shown.out)
    assert plan.pop("begins") == plan.pop("ends")
    assert set(plan.pop("shown")) == set(PACE)
    assert plan == {
        "windows": [], "not_before": None, "not_after": None, "late_requests": 0,
        "journal": "tonight.journal", "people": 2, "excluded": 0, "duplicates": 0, "differing": 0,
        "invalid": 1, "chunks": 2, "texts": 2, "least_seconds": 0.0, "exclusions": [],
        "invalid_examples": [{"line": 3, "reason": "no @"}],
    }  # fmt: skip
    assert "moveworks-shift run tonight.journal" in shown.err
    assert "example.com" not in shown.out + shown.err


def test_a_strict_plan_with_invalid_rows_ends_with_3(capsys: Any) -> None:
    """It names the rows, keeps the file of them, and leaves no journal to be sent by mistake."""
    assert planned("--message", "Hi", "--strict", "--invalid-file", "invalid.csv") == 3
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [
        "  line 3: no @",
        "Error: staff.csv: 1 row without a valid address. Nothing was sent. Correct these rows, or"
        " leave out --strict, and they are left out.",
    ]
    assert not Path("tonight.journal").exists()
    assert Path("invalid.csv").read_text().splitlines() == ["line,reason,entry", "3,no @,x"]
    Path("staff.csv").write_text("Email\nann@example.com\n")
    assert planned("--message", "Hi", "--strict") == 0


def test_many_invalid_rows_are_counted(capsys: Any) -> None:
    """Ten are named."""
    Path("staff.csv").write_text("Email\nann@example.com\n" + "x\n" * 1200)
    assert planned("--message", "Hi") == 0
    err = capsys.readouterr().err
    assert "  line 12: no @\n  and 1,190 more\n" in err
    assert "line 13" not in err


# --- templates ----------------------------------------------------------------------------


def test_values_are_escaped_unless_told_not_to() -> None:
    """In the message, from a file, with columns in the context as well."""
    Path("hello.html").write_text("<b>{First Name}</b>")
    Path("context.json").write_text('{"slots": {"name": "{First Name}"}}')
    assert planned("--template-file", "hello.html", "--context-file", "context.json") == 0
    assert [text for text, _ in sent()] == ["<b>Ann &amp; Co</b>", "<b>Bob</b>"]
    Path("tonight.journal").unlink()
    assert planned("--template", "{First Name}", "--no-escape") == 0
    assert [text for text, _ in sent()] == ["Ann & Co", "Bob"]


def test_braces_mean_nothing_in_a_message() -> None:
    """It is sent as it is."""
    assert planned("--message", "{First Name}") == 0
    assert [text for text, _ in sent()] == ["{First Name}"]


def test_a_second_text_for_a_person_is_said_and_not_sent(capsys: Any) -> None:
    """The first wins, and the plan names the line of the other."""
    Path("staff.csv").write_text("Email,Shift\na@example.com,early\nA@example.com,late\n")
    assert planned("--template", "{Shift}") == 0
    said = "Duplicates  1; 1 of them has another text, which is not sent (line 3)"
    assert said in capsys.readouterr().out
    assert [text for text, _ in sent()] == ["early"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--template", "Hello {frist_name}"],
         'message, character 7: "frist_name" is no column; the columns are "Email", "First Name"'),
        (["--template", "Hello {Nick}", "--recipients", "gaps.csv"],
         'gaps.csv, line 4: no value in column "Nick"'),
        (["--template", "Hello {"], "brace"),
        (["--template-file", "absent.html"], "absent.html cannot be read: No such file"),
        (["--message", "Hi", "--recipients", "absent.csv"], "absent.csv cannot be read"),
        (["--message", "Hi", "--recipients", "nobody.csv"], "nobody.csv"),
        (["--message", "Hi", "--column", "Fax"], 'no column "Fax"'),
        (["--message", "Hi", "--invalid-file", "gaps.csv"], "gaps.csv is there already"),
        (["--message", "Hi", "--query", "SELECT 1"], "query"),
        (["--message", "Hi", "--recipients", "sqlite:///staff.db"], "a database needs a query"),
        (["--message", "Hi", "--recipients", "sqlite://u:pass-word@h/d", "--query", "SELECT 1"],
         "sqlite:"),
        (["--message", "Hi", "--recipients", "sqlite:///staff.db", "--query", "SELECT nonsense"],
         "no such column"),
        (["--message", "Hi", "--event", "x"], "one of --event and --legacy"),
    ],
)  # fmt: skip
def test_a_plan_that_is_refused_is_one_line_and_leaves_nothing(
    args: list[str], said: str, capsys: Any
) -> None:
    """What is wrong and where; exit code 2; neither a journal nor an address nor a password."""
    Path("gaps.csv").write_text("Email,Nick\na@example.com,A\nb@example.com,B\nsecret@x.org,\n")
    Path("nobody.csv").write_text("Email\n a@b\n")
    with contextlib.closing(sqlite3.connect("staff.db")) as database:
        database.execute("CREATE TABLE staff (email TEXT)")
    assert planned(*args) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert said in shown.err
    assert "Nothing was sent." in shown.err
    assert not {"secret", "example.com", "pass-word"} & {*shown.err.replace("@", " ").split()}
    assert not Path("tonight.journal").exists()
    assert Path("gaps.csv").read_text().startswith("Email,Nick")


def test_a_query_gives_the_people(capsys: Any) -> None:
    """With its columns for the template."""
    with contextlib.closing(sqlite3.connect("staff.db")) as database, database:
        database.execute("CREATE TABLE staff (email TEXT, city TEXT)")
        rows = [("a@example.com", "Rome"), ("b@example.com", "Oslo")]
        database.executemany("INSERT INTO staff VALUES (?, ?)", rows)
    query = "SELECT email, city FROM staff WHERE city = 'Oslo'"
    url = ("--recipients", "sqlite:///staff.db", "--query", query)
    assert planned("--template", "In {city}", *url) == 0
    assert sent() == [("In Oslo", ("b@example.com",))]
    assert 'SQL, 1 row, column "email"' in capsys.readouterr().out


# --- the journal --------------------------------------------------------------------------


def test_a_job_is_not_planned_over(capsys: Any) -> None:
    """It stays byte for byte, the line says how to go on, and nobody is advised to send again."""
    planned("--message", "Hi")
    before = Path("tonight.journal").read_bytes()
    capsys.readouterr()
    assert planned("--message", "Other", "--invalid-file", "invalid.csv") == 2
    err = capsys.readouterr().err
    assert "tonight.journal holds a job already: go on with it (resume), or name another" in err
    assert err.endswith("This command sent nothing.\n")
    assert Path("tonight.journal").read_bytes() == before
    assert not Path("invalid.csv").exists()


@pytest.mark.parametrize(
    ("journal", "said"),
    [("staff.csv", "staff.csv is no journal of a job; it was left untouched"),
     ("absent/tonight.journal", "cannot be made: No such file or directory"),
     (".", ". is a folder; name a file in it")],
)  # fmt: skip
def test_a_file_that_cannot_be_a_journal_is_refused(journal: str, said: str, capsys: Any) -> None:
    """It is left as it is."""
    args = ("--legacy", "--message", "Hi", "--recipients", "staff.csv")
    assert main.run(["plan", journal, *args]) == 2
    assert said in capsys.readouterr().err
    assert Path("staff.csv").read_text() == STAFF


def test_ctrl_c_at_the_question_says_how_to_begin(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """`send --journal` has planned by then, so running it again would be refused."""
    Path("staff.csv").write_text("".join(f"p{number}@example.com\n" for number in range(501)))
    monkeypatch.setenv("MOVEWORKS_API_KEY", "key")
    monkeypatch.setattr(
        "moveworks_shift_async.cli.send.confirm",
        lambda *_, **__: signal.raise_signal(signal.SIGINT),
    )
    args = ("--legacy", "--message", "Hi", "--recipients", "staff.csv")
    assert main.run(["send", *args, "--journal", "tonight.journal"]) == 130
    assert capsys.readouterr().err.endswith(
        "Nothing was sent. The job is planned, and this sends it:"
        " moveworks-shift run tonight.journal\n"
    )


# --- Ctrl-C -------------------------------------------------------------------------------

LEGACY = ("--legacy", "--message", "Hi", "--recipients")
INTERRUPTED = "Error: interrupted. This command sent nothing. Run it again."


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_ctrl_c_leaves_no_journal(number: signal.Signals, tmp_path: Path) -> None:
    """Neither does SIGTERM; the line says that nothing was sent."""
    many = "\n".join(f"person{count}@example.com" for count in range(2_000_000))
    (tmp_path / "many.txt").write_text(many)
    journal = tmp_path / "job"
    args = ("plan", str(journal), *LEGACY, str(tmp_path / "many.txt"))
    process = await start(*args, env=environment())
    await until(journal.exists)
    process.send_signal(number)
    ended = await end(process)
    assert (ended.code, ended.out, ended.err) == (130, "", f"{INTERRUPTED}\n")
    assert {*os.listdir(tmp_path)} == {"many.txt", "staff.csv"}


async def test_a_source_that_is_silent_cannot_keep_it(tmp_path: Path) -> None:
    """The first Ctrl-C ends it, though nothing more comes."""
    process = await start("plan", str(tmp_path / "job"), *LEGACY, "-", env=environment())
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.writelines(b"person%d@example.com\n" % count for count in range(100_000))
    await process.stdin.drain()  # more than a pipe holds, so it reads by now
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), HANG) == 130
    assert (await process.stderr.read()).decode() == f"{INTERRUPTED}\n"
    assert not (tmp_path / "job").exists()
    process.stdin.close()
